//! Telling the registry which webhooks the system gives up: each until it has answered, also after a restart. Until then what waits is
//! paused; by the answer it fails, or goes on where somebody has changed the webhook since.

use std::time::Duration;

use sluice_runtime::Shutdown;
use sluice_storage::StorageError;

use super::targets::Targets;
use super::{Alarm, Sweeping};
use crate::clients::registry::RegistryClient;
use crate::store::{Disabling, Store};

/// How often it looks for what another replica left, and for what the registry did not answer to.
const POLL: Duration = Duration::from_secs(5);

/// What giving webhooks up needs.
pub struct GivingUp {
    /// Where they are on record.
    pub store: Store,
    /// Who is told.
    pub registry: RegistryClient,
    /// What is to be asked anew.
    pub targets: Targets,
    /// Who ends what waits.
    pub sweeping: Sweeping,
    /// Who claims what goes on.
    pub alarm: Alarm,
}

impl GivingUp {
    /// Runs until shutdown.
    pub async fn run(self, shutdown: Shutdown) {
        loop {
            match shutdown.or(self.pass()).await {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::warn!(error = %error, cause = ?error, "giving webhooks up rests: the database does not answer");
                }
            }
            tokio::select! {
                () = self.store.disables() => {}
                () = tokio::time::sleep(POLL) => {}
                () = shutdown.triggered() => return,
            }
        }
    }

    async fn pass(&self) -> Result<(), StorageError> {
        for Disabling { account, webhook, version, why } in self.store.disabling().await? {
            let (standing, revision) = match self.registry.disable(&account, webhook, version, why).await {
                Ok(answer) => answer,
                Err(error) => {
                    tracing::warn!(
                        account.id = %account, webhook.id = %webhook, reason = why.as_str(), error = %error,
                        "a webhook is to be disabled, and the registry does not take it up"
                    );
                    return Ok(());
                }
            };
            self.targets.forget(&account, webhook).await;
            self.store.settle_disabling(&account, webhook, revision, standing).await?;
            tracing::info!(
                account.id = %account, webhook.id = %webhook, reason = why.as_str(), standing = ?standing,
                "webhook.disabled"
            );
            self.sweeping.wake();
            self.alarm.ring();
        }
        Ok(())
    }
}
