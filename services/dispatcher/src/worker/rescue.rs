//! The rescuer: looks for claims whose owner did not report before the lease ended.

use std::time::Duration;

use sluice_runtime::Shutdown;

use super::Alarm;
use crate::store::Store;

/// How often it looks: the most that something stays stuck beyond its lease.
const POLL: Duration = Duration::from_secs(2);

/// Runs until shutdown.
pub async fn rescuing(store: Store, alarm: Alarm, shutdown: Shutdown) {
    loop {
        match store.rescue().await {
            Ok(0) => {}
            Ok(rescued) => {
                tracing::info!(rescued, "took work back from owners whose lease was over");
                alarm.ring();
                continue;
            }
            Err(error) => {
                tracing::warn!(error = %error, cause = ?error, "rescue rests: the database does not answer")
            }
        }
        if shutdown.or(tokio::time::sleep(POLL)).await.is_none() {
            return;
        }
    }
}
