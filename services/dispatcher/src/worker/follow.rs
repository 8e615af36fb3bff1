//! Following the registry: entitlements go into the account's row, disabled webhooks close their gate, changed ones are asked anew.

use std::collections::HashSet;
use std::time::Duration;

use sluice_domain::{AccountId, WebhookId};
use sluice_runtime::{Entropy, Shutdown};
use sluice_storage::StorageError;
use thiserror::Error;

use super::Alarm;
use super::targets::Targets;
use crate::clients::registry::RegistryClient;
use crate::feed::{Change, Feed, FeedError};
use crate::store::Store;

/// The shortest rest before the feed is opened again.
const REST: Duration = Duration::from_millis(200);
/// The longest.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// Why following stopped.
#[derive(Debug, Error)]
enum Broken {
    /// The feed ended.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// A change could not be stored.
    #[error("a change could not be stored")]
    Storage(#[from] StorageError),
}

/// Runs until shutdown.
pub async fn following(
    registry: RegistryClient,
    store: Store,
    targets: Targets,
    alarm: Alarm,
    entropy: Entropy,
    shutdown: Shutdown,
) {
    let mut cursor = 0;
    let mut rest = REST;
    while !shutdown.is_triggered() {
        let before = cursor;
        let followed = follow(&registry, &store, &targets, &alarm, &mut cursor);
        match shutdown.or(followed).await {
            None => return,
            Some(Ok(())) => {}
            Some(Err(Broken::Feed(FeedError::CursorTooOld))) => cursor = 0,
            Some(Err(error)) => {
                tracing::warn!(error = %error, cause = ?error, "the registry's feed broke off")
            }
        }
        rest = if cursor == before { (rest * 2).min(LONGEST_REST) } else { REST };
        let jittered = rest.mul_f64(0.5 + entropy.fraction());
        if shutdown.or(tokio::time::sleep(jittered)).await.is_none() {
            return;
        }
    }
}

async fn follow(
    registry: &RegistryClient,
    store: &Store,
    targets: &Targets,
    alarm: &Alarm,
    cursor: &mut i64,
) -> Result<(), Broken> {
    let afresh = *cursor == 0;
    if afresh {
        targets.forget_all();
    }
    let mut gated: HashSet<(AccountId, WebhookId)> = store.gated_webhooks().await?;
    let mut changes = registry.watch(*cursor).await?;
    // Of the present state, the cursor counts only once all of it is in.
    let mut complete = !afresh;
    while let Some(Feed { revision, change }) = changes.next().await? {
        match change {
            Change::Entitlements(account, entitlements) => {
                if store.apply_entitlements(&account, &entitlements).await? {
                    alarm.ring();
                }
            }
            Change::Webhook { account, webhook, disabled } => {
                targets.forget(&account, webhook).await;
                let key = (account, webhook);
                if disabled || gated.contains(&key) {
                    store.put_webhook_gate(&key.0, webhook, revision, disabled).await?;
                    gated.insert(key);
                    alarm.ring();
                }
            }
            Change::WebhookDeleted(account, webhook) => {
                targets.forget(&account, webhook).await;
                // What waits for it must not wait for ever: the gate opens, and each fails when its turn comes.
                if gated.contains(&(account.clone(), webhook)) {
                    store.put_webhook_gate(&account, webhook, revision, false).await?;
                    alarm.ring();
                }
            }
            Change::Synced => complete = true,
        }
        if complete {
            *cursor = revision;
        }
    }
    Ok(())
}
