//! What people ask of executions: to cancel them, to try them again.

use std::collections::HashMap;

use sluice_domain::{AccountId, ExecutionId};
use sluice_storage::{Query, StorageError, Transaction};

use super::{Result, Store, accounts, endings, executions, gates, lines, pending, whole};
use crate::change::{Change, Changes, Then, What};
use crate::execution::{EndState, Execution};
use crate::gate::Lane;
use crate::pending::Pending;
use crate::quota::AccountQuota;
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
        let Some(seq) = executions::seq_of(&tx, account, id).await? else { return Ok(Cancelled::NotFound) };
        let mut quotas = accounts::lock(&tx, [account]).await?;
        let quota = quotas.get_mut(account).ok_or_else(|| StorageError::decode("an account vanished"))?;
        let mut changes = Changes::default();
        let taken = cancel_within(&tx, quota, &[seq], &mut changes).await?.remove(&seq);
        let now = tx.now().await?;
        // Also where nothing was changed: whoever has the answer finds the account free.
        self.commit(tx, &changes, now).await?;
        Ok(taken.unwrap_or(Cancelled::NotFound))
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
        let Some(seq) = executions::seq_of(&tx, account, id).await? else { return Ok(Retried::NotFound) };
        let mut quotas = accounts::lock(&tx, [account]).await?;
        let quota = quotas.get_mut(account).ok_or_else(|| StorageError::decode("an account vanished"))?;
        let mut changes = Changes::default();
        let taken = self.reopen_within(&tx, quota, &[seq], &mut changes).await?.remove(&seq);
        let now = tx.now().await?;
        self.commit(tx, &changes, now).await?;
        Ok(taken.unwrap_or(Retried::NotFound))
    }

    /// Opens executions of a locked account again, those that can be; says how each was taken.
    pub(super) async fn reopen_within(
        &self,
        tx: &Transaction,
        quota: &mut AccountQuota,
        seqs: &[i64],
        changes: &mut Changes,
    ) -> Result<HashMap<i64, Retried>> {
        let account = &quota.account.clone();
        let mut taken: HashMap<i64, Retried> = HashMap::new();
        let waiting = pending::locked(tx, seqs).await?;
        taken.extend(waiting.iter().map(|(row, _)| (row.seq, Retried::NotEnded)));
        let ended: Vec<i64> = seqs.iter().copied().filter(|seq| !taken.contains_key(seq)).collect();
        let endings = endings::latest_held(tx, &ended).await?;
        let mut executions: HashMap<i64, Execution> =
            executions::at(tx, account, &ended).await?.into_iter().collect();
        let attempts = endings::last_attempts(tx, &ended).await?;
        let closed = gates::closed(tx, [account]).await?;
        let now = tx.now().await?;
        let mut numbering = self.lanes.within(tx);
        let mut rows: Vec<Pending> = Vec::new();
        let mut entering = Vec::new();
        for ending in &endings {
            let seq = ending.seq;
            let Some(execution) = executions.remove(&seq) else { continue };
            let Some(delivery) = execution.plan.deliveries.get(ending.step) else {
                taken.insert(seq, Retried::NothingToSend);
                continue;
            };
            let (automation, generation) = (execution.automation, execution.generation);
            let lane = Lane { automation, generation, webhook: delivery.webhook };
            let attempt = attempts.get(&(seq, ending.step)).copied().unwrap_or(0) + 1;
            let stopped = super::finish::stop(&closed, account, &lane);
            let name = account.as_str().to_owned();
            let how = match Pending::reopened(ending, name, automation, attempt, stopped) {
                Ok(row) => {
                    let row = Pending { lane_number: numbering.number(account, &lane).await?, ..row };
                    let waits = row.turn() == Turn::Continuing;
                    let then = if waits { Then::Waits(now) } else { Then::Queues };
                    changes
                        .add(account, Change { seq, what: What::Reopened, step: row.step, attempt: 0, then });
                    rows.push(row);
                    entering.extend(delivery.ordered.then_some((seq, delivery.webhook)));
                    Retried::Reopened
                }
                Err(NotReopened::Final(state)) => Retried::Final(state),
                Err(NotReopened::AutomationDeactivated) => Retried::AutomationDeactivated,
                Err(NotReopened::WebhookDisabled) => Retried::WebhookDisabled,
            };
            taken.insert(seq, how);
        }
        if rows.is_empty() {
            return Ok(taken);
        }
        pending::insert(tx, &rows).await?;
        let opened: Vec<i64> = rows.iter().map(|row| row.seq).collect();
        endings::overtake(tx, &opened).await?;
        // Whoever was accepted first comes to the line first, in whatever order they were named.
        entering.sort_unstable_by_key(|(seq, _)| *seq);
        for (seq, webhook) in entering {
            lines::enter(tx, account, seq, webhook, false, changes).await?;
        }
        quota.waiting += i64::try_from(rows.len()).unwrap_or(0);
        quota.wake_at = Some(now);
        accounts::save(tx, [&*quota]).await?;
        Ok(taken)
    }
}

/// Ends executions of a locked account, those that are not over; says how each was taken.
pub(super) async fn cancel_within(
    tx: &Transaction,
    quota: &mut AccountQuota,
    seqs: &[i64],
    changes: &mut Changes,
) -> Result<HashMap<i64, Cancelled>> {
    let mut taken: HashMap<i64, Cancelled> = HashMap::new();
    let unfinished = pending::locked(tx, seqs).await?;
    let now = tx.now().await?;
    let mut ends = Vec::new();
    for (row, _) in unfinished {
        let (seq, change) = (row.seq, row.ended());
        match row.cancel(now) {
            Cancelling::Ends(ending) => {
                changes.add(&quota.account, change);
                ends.push(ending);
                taken.insert(seq, Cancelled::Ended);
            }
            Cancelling::WhenAttemptEnds(row) => {
                pending::update(tx, &row).await?;
                taken.insert(seq, Cancelled::WhenAttemptEnds);
            }
        }
    }
    let over: Vec<i64> = seqs.iter().copied().filter(|seq| !taken.contains_key(seq)).collect();
    for ending in endings::latest(tx, &over).await? {
        taken.insert(ending.seq, Cancelled::AlreadyEnded(ending.end.state));
    }
    pending::end_waiting(tx, quota, &ends, now, changes).await?;
    Ok(taken)
}
