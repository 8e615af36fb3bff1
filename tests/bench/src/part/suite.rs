//! The suite: what `sluice up` runs, on the databases it is told.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sluice::suite::{DatabaseUrls, Databases, Suite};
use sluice_auth::{Key, Verifier};
use sluice_registry::seal::MasterKeys;
use sluice_runtime::{Clock, Entropy, Shutdown};
use sluice_telemetry::TelemetryConfig;

use super::child;

/// What to run on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The databases of registry, evaluator and dispatcher.
    pub(crate) databases: [String; 3],
    /// Whose tokens are taken: issuer, key id, public key.
    pub(crate) tokens: [String; 3],
    /// The catalogue of plans.
    pub(crate) plans: PathBuf,
}

/// It serves.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    pub(crate) address: SocketAddr,
    /// What the dispatcher's live connection says of how a commit is kept.
    pub(crate) durability: String,
}

/// Serves until standard input closes, then drains.
pub(crate) async fn run() -> anyhow::Result<()> {
    let (order, stdin): (Order, _) = child::told().await?;
    // As `up` has it by default.
    let _telemetry = sluice_telemetry::init(&TelemetryConfig {
        service_name: "sluice".to_owned(),
        filter: "info".to_owned(),
        json: false,
        otlp_endpoint: None,
        trace_ratio: 1.0,
    })?;
    let clock = Clock::system();
    let [registry, evaluator, dispatcher] = &order.databases;
    let urls = DatabaseUrls {
        registry: registry.parse()?,
        evaluator: evaluator.parse()?,
        dispatcher: dispatcher.parse()?,
    };
    let databases = Databases::connect(&urls, &clock).await?;
    let durability = databases.dispatcher.durability().await?;
    let [issuer, kid, public_key] = &order.tokens;
    let mut registry = sluice_registry::config::Config::default();
    registry.sealing.keys = Some(MasterKeys::encode(1, &Entropy::system().bytes()));
    registry.plans_file = Some(order.plans);
    let mut dispatcher = sluice_dispatcher::config::Config::default();
    for egress in [&mut registry.egress, &mut dispatcher.egress] {
        egress.allow = vec!["127.0.0.0/8".to_owned()];
        egress.allow_http = true;
    }
    let suite = Suite {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        databases,
        clock,
        entropy: Entropy::system(),
        verifier: Verifier::new(issuer.as_str(), vec![Key::ed25519(kid, public_key)?])?,
        reflection: false,
        origins: Vec::new(),
        registry,
        evaluator: sluice_evaluator::Config::default(),
        dispatcher,
    };
    let running = Box::pin(suite.start(Shutdown::new())).await?;
    child::answer(&Ready { address: running.address(), durability })?;
    child::closed(stdin).await;
    Ok(running.stop().await?)
}
