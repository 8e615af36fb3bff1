//! The sweeper: ends the executions that a stop marker reaches, and those that wait for a webhook that the system disabled, a bounded
//! number at a time, also after a restart.

use std::sync::Arc;
use std::time::Duration;

use sluice_runtime::Shutdown;
use tokio::sync::Notify;

use crate::store::Store;

/// How often it looks for markers that another replica left.
const POLL: Duration = Duration::from_secs(5);

/// Tells the sweeper that a marker was put.
#[derive(Debug, Clone, Default)]
pub struct Sweeping(Arc<Notify>);

impl Sweeping {
    /// There is something to sweep.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// Runs until shutdown.
pub async fn sweeping(store: Store, wake: Sweeping, shutdown: Shutdown) {
    while !shutdown.is_triggered() {
        if let Err(error) = pass(&store, &shutdown).await {
            tracing::warn!(error = %error, cause = ?error, "sweeping rests: the database does not answer");
        }
        tokio::select! {
            () = wake.0.notified() => {}
            () = tokio::time::sleep(POLL) => {}
            () = shutdown.triggered() => {}
        }
    }
}

async fn pass(store: &Store, shutdown: &Shutdown) -> Result<(), sluice_storage::StorageError> {
    for (account, automation) in store.unswept().await? {
        while !shutdown.is_triggered() && store.sweep(&account, automation).await?.more {}
    }
    for (account, webhook) in store.unswept_webhooks().await? {
        while !shutdown.is_triggered() && store.sweep_webhook(&account, webhook).await? {}
    }
    Ok(())
}
