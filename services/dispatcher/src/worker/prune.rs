//! The pruner: looks now and then for what is no longer kept, and removes it in small steps with rests between.

use std::time::Duration;

use sluice_domain::Span;
use sluice_runtime::Shutdown;
use sluice_storage::StorageError;
use tokio::time::Instant;

use crate::store::Store;

/// How long after one round the next begins.
const BETWEEN_ROUNDS: Duration = Duration::from_secs(600);
/// How many times as long as a step took it rests after it, so that the hot path has the database to itself most of the time.
const RESTS: u32 = 4;
/// How long notices are kept that became events.
const NOTICES: Span = Span::from_secs(30 * 86_400);
/// How many steps through the lanes one round takes.
const LANE_STEPS: usize = 20;

/// How long what is kept for all accounts alike is kept.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// Receipts.
    pub receipts: Span,
    /// What happened, for those who watch.
    pub changes: Span,
}

/// What one round removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Executions.
    pub executions: usize,
    /// Receipts.
    pub receipts: usize,
    /// Grants of periods that are over.
    pub grants: usize,
    /// Notices.
    pub notices: usize,
    /// Lanes of automations that were stopped.
    pub lanes: usize,
}

/// What prunes; it remembers how far it came with the lanes.
pub struct Pruning {
    store: Store,
    keeping: Keeping,
    lane: i64,
}

/// Runs until shutdown.
pub async fn pruning(store: Store, keeping: Keeping, shutdown: Shutdown) {
    let mut pruning = Pruning::new(store, keeping);
    while shutdown.or(tokio::time::sleep(BETWEEN_ROUNDS)).await.is_some() {
        match shutdown.or(Box::pin(pruning.round())).await {
            None => return,
            Some(Ok(pruned)) if pruned == Pruned::default() => {}
            Some(Ok(Pruned { executions, receipts, grants, notices, lanes })) => {
                tracing::info!(executions, receipts, grants, notices, lanes, "pruned what is no longer kept");
            }
            Some(Err(error)) => {
                tracing::warn!(error = %error, cause = ?error, "pruning rests: the database does not answer");
            }
        }
    }
}

impl Pruning {
    /// Nothing is pruned before [`Self::round`].
    pub const fn new(store: Store, keeping: Keeping) -> Self {
        Self { store, keeping, lane: 0 }
    }

    /// Removes everything that is no longer kept.
    ///
    /// # Errors
    /// When the database does not answer; what is gone stays gone.
    pub async fn round(&mut self) -> Result<Pruned, StorageError> {
        let executions = self.executions().await?;
        while rested(self.store.prune_changes(self.keeping.changes)).await? {}
        let receipts = all(|| self.store.prune_receipts(self.keeping.receipts)).await?;
        let grants = all(|| self.store.prune_grants()).await?;
        let notices = all(|| self.store.prune_notices(NOTICES)).await?;
        Ok(Pruned { executions, receipts, grants, notices, lanes: self.lanes().await? })
    }

    async fn executions(&self) -> Result<usize, StorageError> {
        let Some(shortest) = self.store.shortest_history().await? else { return Ok(0) };
        let mut total = 0;
        while let Some(mut look) = self.store.shelf_due(shortest).await? {
            while let Some(removed) = rested(self.store.prune(&mut look)).await? {
                total += removed;
            }
        }
        Ok(total)
    }

    /// Goes on with the lanes, and begins anew once it came to the last.
    async fn lanes(&mut self) -> Result<usize, StorageError> {
        let mut total = 0;
        for _ in 0..LANE_STEPS {
            let (removed, next) = rested(self.store.prune_lanes(self.lane)).await?;
            total += removed;
            self.lane = next.unwrap_or(0);
            if next.is_none() {
                break;
            }
        }
        Ok(total)
    }
}

/// Takes steps until one removes nothing; how much they removed.
async fn all<F>(step: impl Fn() -> F) -> Result<usize, StorageError>
where
    F: Future<Output = Result<usize, StorageError>>,
{
    let mut total = 0;
    loop {
        match rested(step()).await? {
            0 => return Ok(total),
            removed => total += removed,
        }
    }
}

/// Takes a step, and rests as its length asks for.
async fn rested<T>(step: impl Future<Output = Result<T, StorageError>>) -> Result<T, StorageError> {
    let began = Instant::now();
    let done = step.await?;
    tokio::time::sleep(began.elapsed() * RESTS).await;
    Ok(done)
}
