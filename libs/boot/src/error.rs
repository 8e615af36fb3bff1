//! Why a process does not start, or ended other than asked to.

use std::io;
use std::net::SocketAddr;

use sluice_rpc::{ServerError, TransportError};
use sluice_runtime::config::ConfigError;
use sluice_runtime::{BoxError, DrainError, RenewalError};
use sluice_storage::{ConnectError, StorageError};
use sluice_telemetry::TelemetryError;
use thiserror::Error;

/// Names the setting, and what is wrong with it. Never a secret.
#[derive(Debug, Error)]
pub enum BootError {
    /// The settings can't be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A setting breaks a rule.
    #[error("{0}")]
    Rule(String),
    /// Files that settings name can't be used.
    #[error(transparent)]
    Files(#[from] RenewalError),
    /// Telemetry can't be set up.
    #[error("process.log: {0}")]
    Telemetry(#[from] TelemetryError),
    /// The database can't be connected.
    #[error("process.database: {0}")]
    Database(#[from] ConnectError),
    /// The database does not answer.
    #[error("process.database: {0}")]
    Storage(#[from] StorageError),
    /// Another service's address can't be used.
    #[error("{setting}: {cause}")]
    Transport {
        /// The setting.
        setting: String,
        /// What is wrong with it.
        cause: TransportError,
    },
    /// The service itself can't start.
    #[error("{0}")]
    Service(BoxError),
    /// A server can't be put together, or failed.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// An address can't be listened on.
    #[error("can't listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The operating system refused something else.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A worker failed, or did not end in time.
    #[error(transparent)]
    Drain(#[from] DrainError),
}
