//! The pruner: walks the accounts now and then, and removes what their plans no longer keep, in small steps with rests between.

use std::time::Duration;

use sluice_domain::{AccountId, Span};
use sluice_runtime::Shutdown;
use sluice_storage::StorageError;

use crate::store::Store;

/// How long after one walk the next begins.
const BETWEEN_WALKS: Duration = Duration::from_secs(600);
/// How long it rests after a step that removed something, so that the hot path has the database to itself most of the time.
const REST: Duration = Duration::from_millis(100);

/// How long what is kept for all accounts alike is kept.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// Receipts.
    pub receipts: Span,
    /// What happened, for those who watch.
    pub changes: Span,
}

/// Runs until shutdown.
pub async fn pruning(store: Store, keeping: Keeping, shutdown: Shutdown) {
    while shutdown.or(tokio::time::sleep(BETWEEN_WALKS)).await.is_some() {
        match shutdown.or(walk(&store, keeping)).await {
            None => return,
            Some(Ok(0)) => {}
            Some(Ok(removed)) => {
                tracing::info!(removed, "pruned executions and receipts that are no longer kept")
            }
            Some(Err(error)) => {
                tracing::warn!(error = %error, cause = ?error, "pruning rests: the database does not answer");
            }
        }
    }
}

async fn walk(store: &Store, keeping: Keeping) -> Result<usize, StorageError> {
    let mut total = 0;
    let mut after: Option<AccountId> = None;
    loop {
        let accounts = store.histories(after.as_ref()).await?;
        for (account, keep) in &accounts {
            let mut key = None;
            loop {
                let step = store.prune(account, *keep, key).await?;
                total += step.removed;
                if step.removed > 0 {
                    tokio::time::sleep(REST).await;
                }
                match step.next {
                    Some(next) => key = Some(next),
                    None => break,
                }
            }
        }
        match accounts.into_iter().next_back() {
            Some((account, _)) => after = Some(account),
            None => break,
        }
    }
    while store.prune_changes(keeping.changes).await? {
        tokio::time::sleep(REST).await;
    }
    while store.prune_grants().await? > 0 {
        tokio::time::sleep(REST).await;
    }
    loop {
        match store.prune_receipts(keeping.receipts).await? {
            0 => return Ok(total),
            removed => total += removed,
        }
        tokio::time::sleep(REST).await;
    }
}
