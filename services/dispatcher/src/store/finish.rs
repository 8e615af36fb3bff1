//! The end of attempts: each is recorded under its claim's token, and its execution ends or waits again.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use sluice_domain::{AccountId, Timestamp};
use sluice_storage::{Query, StorageError, Transaction};

use super::breakers::Health;
use super::{Result, Store, accounts, endings, gates, lines, pending, whole};
use crate::attempt::{Attempt, Verdict};
use crate::change::{Change, Changes, Then, What};
use crate::claim::{Finish, Reported, Standing};
use crate::execution::Next;
use crate::gate::{Gates, Lane, Stop};
use crate::pending::Pending;
use crate::quota::AccountQuota;
use crate::transition::{Ending, Moment, Towards, Transition};

/// What ends or goes back to waiting within one transaction.
#[derive(Default)]
pub(super) struct Outgoing<'a> {
    attempts: Vec<(i64, Cow<'a, Attempt>)>,
    endings: Vec<Ending>,
    ended: Vec<i64>,
    waiting: Vec<Pending>,
    /// What that means for those who watch.
    pub(super) changes: Changes,
}

impl<'a> Outgoing<'a> {
    /// An attempt to be recorded.
    pub(super) fn record(&mut self, seq: i64, attempt: Cow<'a, Attempt>) {
        self.attempts.push((seq, attempt));
    }

    /// The execution of a row is over.
    pub(super) fn end(&mut self, ending: Ending) {
        self.ended.push(ending.seq);
        self.endings.push(ending);
    }

    /// The executions that are over.
    pub(super) fn over(&self) -> &[i64] {
        &self.ended
    }

    /// A released row waits again, and its account is told.
    pub(super) fn wait(&mut self, row: Pending, quota: &mut AccountQuota, now: Timestamp) {
        quota.take_back(row.due_at().unwrap_or(now));
        self.waiting.push(row);
    }

    /// Writes it all but the changes, which are to be committed with it.
    pub(super) async fn write(self, tx: &Transaction, now: Timestamp) -> Result<Changes> {
        endings::insert_attempts(tx, &self.attempts, now).await?;
        endings::insert(tx, &self.endings).await?;
        pending::delete(tx, &self.ended).await?;
        for row in &self.waiting {
            pending::update(tx, row).await?;
        }
        Ok(self.changes)
    }
}

impl Store {
    /// Records what became of claims; one whose lease was lost writes nothing. Everything is synced when it returns.
    ///
    /// # Errors
    /// When the database does not answer; the whole call may be repeated.
    pub async fn finish(&self, finishes: &[Finish]) -> Result<Vec<Reported>> {
        whole!(self.finish_once(finishes))
    }

    async fn finish_once(&self, finishes: &[Finish]) -> Result<Vec<Reported>> {
        if let Some(reports) = self.finish_with(finishes, Ends::Blindly).await? {
            return Ok(reports);
        }
        let reports = self.finish_with(finishes, Ends::Reading).await?;
        reports.ok_or_else(|| StorageError::decode("reports are of claims that nobody can hold"))
    }

    /// Records them, or nothing: where ends are written blindly and not every one of their claims is held.
    async fn finish_with(&self, finishes: &[Finish], ends: Ends) -> Result<Option<Vec<Reported>>> {
        let tx = self.database.write("finish").await?;
        let blind = |finish: &Finish| ends == Ends::Blindly && matches!(finish.next, Next::End(_));
        let moving = finishes.iter().filter(|finish| !finish.leaves_account());
        let mut quotas = accounts::lock(&tx, moving.map(|finish| &finish.account)).await?;
        let closed = gates::closed(&tx, quotas.keys()).await?;
        let mut held: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for Finish { claim, .. } in finishes.iter().filter(|finish| blind(finish)) {
            held.entry(claim.token).or_default().push(claim.seq);
        }
        for (token, seqs) in held {
            if !pending::delete_held(&tx, token, &seqs).await? {
                tx.rollback().await?;
                return Ok(None);
            }
        }
        let read: Vec<i64> =
            finishes.iter().filter(|finish| !blind(finish)).map(|finish| finish.claim.seq).collect();
        let mut rows: HashMap<i64, (Pending, Lane)> = pending::locked(&tx, &read)
            .await?
            .into_iter()
            .map(|(row, lane)| (row.seq, (row, lane)))
            .collect();
        let now = tx.now().await?;

        let mut out = Outgoing::default();
        let mut health = Health::of(self.breaker, &self.entropy, &closed);
        let mut numbering = self.lanes.within(&tx);
        let mut reports = Vec::with_capacity(finishes.len());
        let (mut over, mut entering) = (Vec::new(), Vec::new());
        for finish in finishes {
            let tried = finish.attempt.as_ref().map(|attempt| attempt.verdict);
            let ended = if tried.is_some() { What::Tried } else { What::Ended };
            let Standing { seq, step, attempt, ordered, .. } = finish.claim;
            let change = |what, then| Change { seq, what, step, attempt, then };
            if let (true, Next::End(end)) = (blind(finish), &finish.next) {
                let ending = Ending::of_held(finish.claim, end.clone(), now);
                out.changes.add(&finish.account, change(ended, Then::Ended(ending.number)));
                out.endings.push(ending);
                over.extend(ordered.then_some(seq));
                out.attempts.extend(finish.attempt.as_ref().map(|attempt| (seq, Cow::Borrowed(attempt))));
                health.see(finish, now);
                reports.push(Reported::Recorded);
                continue;
            }
            let Some((row, lane)) = rows.remove(&seq) else {
                reports.push(Reported::ClaimLost);
                continue;
            };
            let ahead = Lane { webhook: finish.next.towards().unwrap_or(lane.webhook), ..lane };
            let stopped = stop(&closed, &finish.account, &ahead);
            let cut_off = tried == Some(Verdict::Interrupted);
            let fraction = if cut_off { self.entropy.fraction() } else { 0.0 };
            let moment = Moment { now, stopped, schedule: &self.schedule, fraction };
            match row.report(finish.claim.token, tried, finish.next.clone(), moment) {
                Transition::ClaimLost => {
                    reports.push(Reported::ClaimLost);
                    continue;
                }
                Transition::Ends(ending) => {
                    out.changes.add(&finish.account, change(ended, Then::Ended(ending.number)));
                    out.end(ending);
                    over.extend(ordered.then_some(seq));
                }
                Transition::Waits { mut row, towards } => {
                    if let Some(Towards { webhook, ordered: next_ordered }) = towards {
                        row.lane_number = numbering.number(&finish.account, &ahead).await?;
                        over.extend(ordered.then_some(seq));
                        let (delayed, account) = (row.due_at().is_some(), &finish.account);
                        entering.extend(next_ordered.then_some((account, seq, webhook, delayed)));
                    }
                    let what = if tried.is_some() { What::Tried } else { What::HandedBack };
                    out.changes.add(&finish.account, change(what, Then::Waits(row.due_at().unwrap_or(now))));
                    let quota = quotas.get_mut(&finish.account);
                    out.wait(row, quota.ok_or_else(|| StorageError::decode("an account vanished"))?, now);
                }
            }
            if let Some(attempt) = &finish.attempt {
                out.record(seq, Cow::Borrowed(attempt));
            }
            health.see(finish, now);
            reports.push(Reported::Recorded);
        }
        let mut changes = out.write(&tx, now).await?;
        lines::leave(&tx, &over, quotas.values_mut(), now, &mut changes).await?;
        for (account, seq, webhook, delayed) in entering {
            lines::enter(&tx, account, seq, webhook, delayed, &mut changes).await?;
        }
        let disables = health.write(&tx, &mut quotas, now, &mut changes).await?;
        accounts::save(&tx, quotas.values()).await?;
        self.commit(tx, &changes, now).await?;
        if disables {
            self.disables.notify_one();
        }
        Ok(Some(reports))
    }
}

/// How the ends of executions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// Their rows go if they are held under the claims' tokens, and are not read: what such an end is like does not depend on them.
    Blindly,
    /// Row by row, since one of them was lost.
    Reading,
}

/// The gate that ends what would wait in a lane, if one does.
pub(super) fn stop(closed: &HashMap<AccountId, Gates>, account: &AccountId, lane: &Lane) -> Option<Stop> {
    closed.get(account).and_then(|gates| gates.stop(lane))
}
