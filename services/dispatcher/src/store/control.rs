//! What people ask of one execution: to cancel it, to try it again.

use sluice_domain::{AccountId, ExecutionId};
use sluice_storage::{Query, StorageError, Transaction};

use super::{Result, Store, accounts, endings, executions, gates, pending, whole};
use crate::change::{Change, Changes, Then, What};
use crate::execution::EndState;
use crate::gate::Lane;
use crate::pending::Pending;
use crate::transition::{Cancelling, NotReopened};
use crate::turn::Turn;

/// How a request to cancel was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It is over.
    Ended,
    /// An attempt is under way; it is over when that ends, unless that is the last one and goes well.
    WhenAttemptEnds,
    /// It was over before.
    AlreadyEnded(EndState),
    /// The account has no such execution.
    NotFound,
}

/// How a request to try again was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// It waits for its turn.
    Reopened,
    /// It is not over.
    NotEnded,
    /// It ended in a state that can't be tried again.
    Final(EndState),
    /// There is nothing to send: its templates were rejected.
    NothingToSend,
    /// Its automation was deactivated since.
    AutomationDeactivated,
    /// The system disabled its webhook, and nobody has enabled it since.
    WebhookDisabled,
    /// The account has no such execution.
    NotFound,
}

impl Store {
    /// Ends an execution on request; one with an attempt under way ends with that.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cancel(&self, account: &AccountId, id: ExecutionId) -> Result<Cancelled> {
        whole!(self.cancel_once(account, id))
    }

    async fn cancel_once(&self, account: &AccountId, id: ExecutionId) -> Result<Cancelled> {
        let tx = self.database.write("cancel").await?;
        let mut changes = Changes::default();
        let cancelled = cancel_within(&tx, account, id, &mut changes).await?;
        let now = tx.now().await?;
        // Also where nothing was changed: whoever has the answer finds the account free.
        self.commit(tx, &changes, now).await?;
        Ok(cancelled)
    }

    /// Opens a failed or cancelled execution again at the delivery it ended at, without a second charge.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn retry(&self, account: &AccountId, id: ExecutionId) -> Result<Retried> {
        whole!(self.retry_once(account, id))
    }

    async fn retry_once(&self, account: &AccountId, id: ExecutionId) -> Result<Retried> {
        let tx = self.database.write("retry").await?;
        let mut changes = Changes::default();
        let retried = self.retry_within(&tx, account, id, &mut changes).await?;
        let now = tx.now().await?;
        self.commit(tx, &changes, now).await?;
        Ok(retried)
    }

    async fn retry_within(
        &self,
        tx: &Transaction,
        account: &AccountId,
        id: ExecutionId,
        changes: &mut Changes,
    ) -> Result<Retried> {
        let Some((seq, execution)) = executions::get(tx, account, id).await? else {
            return Ok(Retried::NotFound);
        };
        let mut quotas = accounts::lock(tx, [account]).await?;
        if !pending::locked(tx, &[seq]).await?.is_empty() {
            return Ok(Retried::NotEnded);
        }
        let ending = endings::latest(tx, &[seq]).await?.pop();
        let ending = ending.ok_or_else(|| StorageError::decode("an execution neither waits nor ended"))?;
        let Some(delivery) = execution.plan.deliveries.get(ending.step) else {
            return Ok(Retried::NothingToSend);
        };
        let lane = Lane {
            automation: execution.automation,
            generation: execution.generation,
            webhook: delivery.webhook,
        };
        let closed = gates::closed(tx, [account]).await?;
        let attempt = endings::next_attempt(tx, seq, ending.step).await?;
        let stopped = super::finish::stop(&closed, account, &lane);
        let name = account.as_str().to_owned();
        let row = match Pending::reopened(&ending, name, lane.automation, attempt, stopped) {
            Ok(row) => Pending { lane_number: self.lanes.within(tx).number(account, &lane).await?, ..row },
            Err(NotReopened::Final(state)) => return Ok(Retried::Final(state)),
            Err(NotReopened::AutomationDeactivated) => return Ok(Retried::AutomationDeactivated),
            Err(NotReopened::WebhookDisabled) => return Ok(Retried::WebhookDisabled),
        };
        let (turn, now) = (row.turn(), tx.now().await?);
        let then = if turn == Turn::Continuing { Then::Waits(now) } else { Then::Queues };
        changes.add(account, Change { seq, what: What::Reopened, step: row.step, attempt: 0, then });
        pending::insert(tx, &[row]).await?;
        endings::overtake(tx, &[seq]).await?;
        if let Some(quota) = quotas.get_mut(account) {
            quota.waiting += 1;
            quota.wake_at = Some(now);
            accounts::save(tx, [&*quota]).await?;
        }
        Ok(Retried::Reopened)
    }
}

/// Ends an execution within a transaction.
async fn cancel_within(
    tx: &Transaction,
    account: &AccountId,
    id: ExecutionId,
    changes: &mut Changes,
) -> Result<Cancelled> {
    let Some(seq) = executions::seq_of(tx, account, id).await? else { return Ok(Cancelled::NotFound) };
    let mut quotas = accounts::lock(tx, [account]).await?;
    let Some((row, _)) = pending::locked(tx, &[seq]).await?.pop() else {
        let ending = endings::latest(tx, &[seq]).await?.pop();
        let ending = ending.ok_or_else(|| StorageError::decode("an execution neither waits nor ended"))?;
        return Ok(Cancelled::AlreadyEnded(ending.end.state));
    };
    let now = tx.now().await?;
    let ended = row.ended();
    let ending = match row.cancel(now) {
        Cancelling::Ends(ending) => ending,
        Cancelling::WhenAttemptEnds(row) => {
            pending::update(tx, &row).await?;
            return Ok(Cancelled::WhenAttemptEnds);
        }
    };
    changes.add(account, ended);
    endings::insert(tx, &[ending]).await?;
    pending::delete(tx, &[seq]).await?;
    if let Some(quota) = quotas.get_mut(account) {
        quota.waiting -= 1;
        accounts::save(tx, [&*quota]).await?;
    }
    Ok(Cancelled::Ended)
}
