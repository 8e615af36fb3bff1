//! The registry as a process of its own: settings, two listeners, drain.

mod arguments;
mod settings;

use std::io;
use std::net::SocketAddr;

use sluice_auth::AccessError;
use sluice_rpc::{Server, ServerError};
use sluice_runtime::{Clock, DrainError, Entropy, Shutdown, Supervisor};
use sluice_storage::{ConnectError, Database, Options};
use thiserror::Error;
use tokio::net::TcpListener;

use crate::service::{Deps, Registry, StartError};

pub use arguments::Arguments;
pub use settings::{Settings, SettingsError, TokenKey, Tokens};

/// Why the process does not start, or ended badly.
#[derive(Debug, Error)]
pub enum RunError {
    /// A setting can't be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The database can't be used.
    #[error("database: {0}")]
    Connect(#[from] ConnectError),
    /// The registry does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The access table and the services do not fit.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A server can't be put together.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// An address can't be listened on.
    #[error("{setting} = {address}: {cause}")]
    Listen {
        /// The setting.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        cause: io::Error,
    },
    /// Something did not end as it should.
    #[error(transparent)]
    Drain(#[from] DrainError),
}

/// Runs a registry until `shutdown` is triggered and the calls under way have ended. `listening` is told the addresses
/// of the public and the internal listener once both take calls.
///
/// # Errors
/// When it does not start, or a listener fails.
pub async fn run(
    settings: &Settings,
    shutdown: Shutdown,
    listening: impl FnOnce(SocketAddr, SocketAddr) + Send,
) -> Result<(), RunError> {
    settings.check()?;
    let verifier = settings.verifier()?;
    tracing::info!(?settings, "starting");
    let (clock, supervisor) = (Clock::system(), Supervisor::new(shutdown.clone()));
    let database = Database::connect(&settings.database, clock.clone(), &Options::default()).await?;
    let deps =
        Deps { database: database.clone(), clock: clock.clone(), entropy: Entropy::system(), shutdown };
    let registry = Registry::start(&settings.registry(), deps).await?;

    let server = |name| Server::builder(name).descriptors(proto::DESCRIPTORS).reflection(settings.reflection);
    let now = |clock: &Clock| {
        let clock = clock.clone();
        move || clock.now()
    };
    let public = registry.add_public(server("public"))?.build(verifier.clone(), now(&clock))?;
    let internal = registry.add_internal(server("internal"))?.build(verifier, now(&clock))?;

    let (public_listener, public_at) = listen("listen", settings.listen).await?;
    let (internal_listener, internal_at) = listen("internal_listen", settings.internal_listen).await?;
    supervisor.spawn("public listener", |shutdown| async move {
        public.serve(public_listener, shutdown.triggered()).await
    });
    supervisor.spawn("internal listener", |shutdown| async move {
        internal.serve(internal_listener, shutdown.triggered()).await
    });
    tracing::info!(public = %public_at, internal = %internal_at, "listening");
    listening(public_at, internal_at);

    let ended = supervisor.run(settings.drain.to_duration()).await;
    database.close().await;
    Ok(ended?)
}

async fn listen(setting: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), RunError> {
    let refused = |cause| RunError::Listen { setting, address, cause };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}
