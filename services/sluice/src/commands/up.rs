//! `sluice up`: three services in one process, on one port, without configuration.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use sluice_runtime::{Clock, Entropy, Shutdown};

use crate::cli;
use crate::data_directory::DataDirectory;
use crate::settings::Settings;
use crate::suite::{Databases, Suite};

/// How long the last spans have to leave.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Works until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// When it can't start, or a task fails.
pub async fn run(flags: &cli::Up) -> anyhow::Result<()> {
    let settings = Settings::load(flags).context("settings")?;
    let telemetry = sluice_telemetry::init(&settings.telemetry()).context("telemetry")?;
    tell("sluice: settings in force (a file, then SLUICE_… variables, then flags; the later weighs more)");
    for line in settings.lines() {
        tell(format!("  {line}"));
    }
    let shutdown = Shutdown::on_signal()?;
    let suite = prepare(&settings).await?;
    for (service, database) in suite.databases.named() {
        tell(format!("  {service} keeps {} ({})", database.url(), database.durability().await?));
    }
    if settings.dev {
        tell(
            "sluice: DEVELOPMENT: webhooks may go to this machine (loopback) and over plain http. Not for production.",
        );
    } else {
        tell(
            "sluice: webhooks go to public https addresses only; `--dev` allows this machine and http, `egress.allow` names networks.",
        );
    }
    let running = suite.start(shutdown).await?;
    tell(format!("sluice: listening on {} (gRPC, gRPC-Web, health)", running.address()));
    tell("sluice: next, in another shell, put an account on a plan as billing does:");
    tell(format!("  sluice account put acme --plan advanced{}", elsewhere(&settings, running.address())));
    let ended = running.run().await;
    tell("sluice: stopped");
    telemetry.shutdown(LAST_SPANS);
    Ok(ended?)
}

/// The flags that a client command needs beside its own, if any.
fn elsewhere(settings: &Settings, listening: SocketAddr) -> String {
    let usual = Settings::default();
    let mut flags = String::new();
    if listening != usual.listen {
        flags.push_str(&format!(" --server {}", reachable(listening)));
    }
    if settings.data != usual.data {
        flags.push_str(&format!(" --data {}", settings.data.display()));
    }
    flags
}

/// Where this machine reaches a listener on all of its addresses.
fn reachable(listening: SocketAddr) -> SocketAddr {
    let loopback = match listening.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    SocketAddr::new(loopback, listening.port())
}

/// Opens the data directory, makes the keys that are missing, connects the databases.
///
/// # Errors
/// What can't be used, named.
pub async fn prepare(settings: &Settings) -> anyhow::Result<Suite> {
    let (clock, entropy) = (Clock::system(), Entropy::system());
    let data = DataDirectory::open(&settings.data)?;
    let signing = data.signing_key()?;
    let master = data.master_keys(&entropy)?;
    for made in [&signing.made, &master.made].into_iter().flatten() {
        tracing::info!(file.path = %made.display(), "made a key");
    }
    Ok(Suite {
        listen: settings.listen,
        databases: Databases::connect(&settings.database_urls(&data)?, &clock).await?,
        verifier: settings.verifier(&signing.key)?,
        reflection: settings.reflection,
        origins: settings.origins.clone(),
        registry: settings.registry(master.key),
        evaluator: settings.evaluator.clone(),
        dispatcher: settings.dispatcher(),
        clock,
        entropy,
    })
}

#[allow(clippy::print_stderr, reason = "what an operator reads at the start")]
fn tell(line: impl std::fmt::Display) {
    eprintln!("{line}");
}
