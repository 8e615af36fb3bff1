//! A service as a process of its own: its settings, its listeners, its end.
//!
//! Who is here:
//! - [`Process`], [`Upstream`]: what every service binary is told beside the service's own settings; files that they name with
//!   certificates, keys and tokens are read again when they change;
//! - [`run`]: from the command line to the end of the drain; the service itself is wired by the caller onto the [`Ground`] it
//!   gets, and answers with its [`Doors`];
//! - [`BootError`]: why a process does not start, or ended other than asked to.

mod error;
mod renewals;
mod settings;
mod tls;
mod tokens;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde::de::DeserializeOwned;
use sluice_rpc::{ServerBuilder, Transport};
use sluice_runtime::{BoxError, Clock, Entropy, Shutdown, Supervisor};
use sluice_storage::{Database, Options};
use sluice_telemetry::TelemetryConfig;
use tokio::net::TcpListener;
use tokio::time::Instant;

use renewals::Renewals;

pub use error::BootError;
pub use settings::{Log, Process};
pub use tls::{InternalTls, PublicTls};
pub use tokens::{TokenKey, Tokens};
pub use upstream::Upstream;

/// Variables of `sluice`, which may run in the same environment.
const OF_THE_COMMANDS: [&str; 5] = ["DATA", "SERVER", "CA_FILE", "TOKEN", "ACCOUNT"];

/// How long the last spans have to leave, if that much is left of the drain.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// The command line of a service binary.
#[derive(Debug, Parser)]
struct Arguments {
    /// The TOML file with the settings; `SLUICE_…` variables and --set win over it.
    #[arg(long)]
    config: PathBuf,
    /// A setting as `key=value`, dotted keys; may be repeated.
    #[arg(long = "set", value_parser = pair)]
    settings: Vec<(String, String)>,
}

/// What a service stands on.
#[derive(Debug)]
pub struct Ground {
    /// Its own database, connected.
    pub database: Database,
    /// The process's time.
    pub clock: Clock,
    /// The process's randomness.
    pub entropy: Entropy,
    /// What runs its workers and drains them.
    pub supervisor: Supervisor,
    renewals: Renewals,
}

impl Ground {
    /// The way to another of Sluice's services. The section is where its settings stand, `registry`.
    ///
    /// # Errors
    /// When a rule is broken, or a file can't be read or used.
    pub fn transport(&self, section: &str, upstream: &Upstream) -> Result<Transport, BootError> {
        upstream.transport(section, &self.renewals)
    }
}

/// A wired service: what it serves, where.
pub struct Doors {
    /// For everybody, on `process.listen`.
    pub public: ServerBuilder,
    /// For Sluice's own services, on `process.internal_listen`.
    pub internal: Option<ServerBuilder>,
}

/// The settings of a service binary.
pub trait Settings: DeserializeOwned + std::fmt::Debug {
    /// The part that is the same for all.
    fn process(&self) -> &Process;

    /// Checks the other parts, also against that one, before anything is begun.
    ///
    /// # Errors
    /// The first rule that is broken, with its key.
    fn check(&self) -> Result<(), BoxError>;
}

/// Runs a service until SIGTERM or SIGINT, or until something essential fails. The settings in force are logged first, without
/// their secrets.
pub fn run<S, F>(name: &'static str, wire: F) -> ExitCode
where
    S: Settings,
    F: AsyncFnOnce(S, Ground) -> Result<Doors, BoxError>,
{
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(BootError::Io);
    match runtime.and_then(|runtime| runtime.block_on(serve(name, &arguments, wire))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(name, &error);
            ExitCode::FAILURE
        }
    }
}

async fn serve<S, F>(name: &'static str, arguments: &Arguments, wire: F) -> Result<(), BootError>
where
    S: Settings,
    F: AsyncFnOnce(S, Ground) -> Result<Doors, BoxError>,
{
    let (file, flags) = (Some(arguments.config.as_path()), arguments.settings.as_slice());
    let settings: S = sluice_runtime::config::load_beside(file, "SLUICE_", &OF_THE_COMMANDS, flags)?;
    let process = settings.process().clone();
    process.check()?;
    settings.check().map_err(BootError::Service)?;
    let telemetry = sluice_telemetry::init(&TelemetryConfig {
        service_name: name.to_owned(),
        filter: process.log.filter.clone(),
        json: process.log.json,
        otlp_endpoint: process.log.otlp_endpoint.clone(),
        trace_ratio: process.log.trace_ratio,
    })?;
    tracing::info!(?settings, "starting");
    let supervisor = Supervisor::new(Shutdown::on_signal()?);
    let clock = Clock::system();
    let renewals =
        Renewals { clock: clock.clone(), supervisor: supervisor.clone(), every: process.reload_interval };
    let verifier = renewals.keep(process.tokens.verifier()?);
    let public_tls = process.tls.as_ref().map(PublicTls::server).transpose()?;
    let internal_tls = process.internal_tls.as_ref().map(InternalTls::server).transpose()?;
    let database = Database::connect(&process.database, clock.clone(), &Options::default()).await?;
    tracing::info!(durability = database.durability().await?, "database connected");
    // Before anything is set to work: a process that can't be called would claim work and leave it.
    let public = listen(process.listen).await?;
    let internal = listen_if(process.internal_listen).await?;
    let mut probes = listen_if(process.probe_listen).await?;
    let ground = Ground {
        database,
        clock: clock.clone(),
        entropy: Entropy::system(),
        supervisor: supervisor.clone(),
        renewals: renewals.clone(),
    };
    let doors = wire(settings, ground).await.map_err(BootError::Service)?;

    let needless = "process.internal_listen: is of no use to this service, which serves nothing there";
    let needed = "process.internal_listen: is needed by this service";
    let internal = match (doors.internal, internal) {
        (Some(builder), Some(listener)) => Some((builder, listener, internal_tls)),
        (Some(_), None) => return Err(BootError::Rule(needed.to_owned())),
        (None, Some(_)) => return Err(BootError::Rule(needless.to_owned())),
        (None, None) => None,
    };
    let public = (doors.public.origins(process.origins.clone()), public, public_tls);
    for (builder, listener, tls) in [public].into_iter().chain(internal) {
        let clock = clock.clone();
        let mut server =
            builder.reflection(process.reflection).build(verifier.clone(), move || clock.now())?;
        // The public one comes first.
        let probed = probes.take().map(|listener| (server.for_probes(), listener));
        if let Some(tls) = tls {
            server = server.tls(renewals.keep(tls));
        }
        for (server, listener) in [(server, listener)].into_iter().chain(probed) {
            tracing::info!(listen = %listener.local_addr()?, ?server, "serving");
            supervisor.spawn("serve", |shutdown| async move {
                server.serve(listener, async move { shutdown.triggered().await }).await
            });
        }
    }
    supervisor.shutdown().triggered().await;
    let drain_by = Instant::now() + process.drain_within.to_duration();
    let drained = supervisor.run(process.drain_within.to_duration()).await;
    // The last spans have what is left of the time, and no more.
    telemetry.shutdown(drain_by.saturating_duration_since(Instant::now()).min(LAST_SPANS));
    Ok(drained?)
}

async fn listen_if(address: Option<SocketAddr>) -> Result<Option<TcpListener>, BootError> {
    match address {
        Some(address) => listen(address).await.map(Some),
        None => Ok(None),
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, BootError> {
    TcpListener::bind(address).await.map_err(|cause| BootError::Listen { address, cause })
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[expect(clippy::print_stderr, reason = "the log may not be set up yet when a process fails to start")]
fn complain(name: &str, error: &BootError) {
    eprintln!("{name}: {error}");
}
