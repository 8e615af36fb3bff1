//! The evaluator as a process of its own: settings, one public listener, drain.

mod settings;

use std::io;
use std::net::SocketAddr;

use sluice_auth::AccessError;
use sluice_rpc::{Server, ServerError, Transport, TransportError};
use sluice_runtime::{Clock, DrainError, Entropy, Shutdown, Supervisor};
use sluice_storage::{ConnectError, Database, Options};
use thiserror::Error;
use tokio::net::TcpListener;

use crate::service::{Deps, Evaluator, StartError};

pub use settings::{Log, Settings, SettingsError, TokenKey, Tokens};

/// Why the process does not start, or ended badly.
#[derive(Debug, Error)]
pub enum RunError {
    /// A setting can't be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The database can't be used.
    #[error("database: {0}")]
    Connect(#[from] ConnectError),
    /// The way to the registry or the dispatcher can't be used.
    #[error("registry, dispatcher: {0}")]
    Transport(#[from] TransportError),
    /// The evaluator does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The access table and the services do not fit.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The server can't be put together.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The address can't be listened on.
    #[error("listen = {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        cause: io::Error,
    },
    /// Something did not end as it should.
    #[error(transparent)]
    Drain(#[from] DrainError),
}

/// Runs an evaluator until `shutdown` is triggered and the calls under way have ended. `listening` is told the address once
/// it takes calls; those that need the registry's state are answered `UNAVAILABLE` until it was read.
///
/// # Errors
/// When it does not start, or the listener fails.
pub async fn run(
    settings: &Settings,
    shutdown: Shutdown,
    listening: impl FnOnce(SocketAddr) + Send,
) -> Result<(), RunError> {
    tracing::info!(?settings, "starting");
    let (clock, supervisor) = (Clock::system(), Supervisor::new(shutdown));
    let token = settings.service_token()?;
    let database = Database::connect(&settings.database, clock.clone(), &Options::default()).await?;
    let deps = Deps {
        database: database.clone(),
        clock: clock.clone(),
        entropy: Entropy::system(),
        supervisor: supervisor.clone(),
        registry: Transport::connect(&settings.registry, Some(&token))?,
        dispatcher: Transport::connect(&settings.dispatcher, Some(&token))?,
    };
    let evaluator = Evaluator::start(&settings.evaluator, deps).await?;
    let builder = Server::builder("public").descriptors(proto::DESCRIPTORS).reflection(settings.reflection);
    let public = evaluator.add_public(builder)?.build(settings.verifier()?, move || clock.now())?;

    let address = settings.listen;
    let refused = |cause| RunError::Listen { address, cause };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    supervisor.spawn("public listener", |shutdown| async move {
        public.serve(listener, shutdown.triggered()).await
    });
    tracing::info!(public = %bound, "listening");
    listening(bound);

    let ended = supervisor.run(settings.drain.to_duration()).await;
    database.close().await;
    Ok(ended?)
}
