//! Acceptance: one transaction inserts what events set off, and claims what may start at once.

use std::collections::{BTreeMap, HashMap, HashSet};

use sluice_domain::{AccountId, AutomationId, ExecutionId, Timestamp};
use sluice_storage::{Query, StorageError, Transaction};

use super::claim::{Picked, wake_at};
use super::endings::{self, Ending};
use super::pending::{self, Hold, Pending};
use super::receipts::{self, Receipt};
use super::{Result, Store, accounts, executions, gates, whole};
use crate::change::{Change, Changes, Then, What};
use crate::claim::Claim;
use crate::execution::{End, EndReason, EventSummary, Execution};
use crate::gate::{Gates, Lane};
use crate::plan::Plan;
use crate::quota::AccountQuota;
use crate::turn::Turn;

/// Everything one event set off.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The account.
    pub account: AccountId,
    /// The event.
    pub event: EventSummary,
    /// The digest of its content.
    pub digest: [u8; 32],
    /// The W3C trace context the executions belong to.
    pub traceparent: String,
    /// What to make, at least one.
    pub executions: Vec<NewExecution>,
}

/// One execution to be made.
#[derive(Debug, Clone)]
pub struct NewExecution {
    /// Its id.
    pub id: ExecutionId,
    /// The automation, or none for a notification.
    pub automation: Option<AutomationId>,
    /// The version that fired.
    pub automation_version: i64,
    /// The automation's generation.
    pub generation: i64,
    /// What to do.
    pub work: Work,
}

/// What a new execution has to do.
#[derive(Debug, Clone)]
pub enum Work {
    /// Send these requests, at least one.
    Deliver(Plan),
    /// Nothing: the templates could not be rendered safely, for this reason. It is recorded as failed.
    Rejected(String),
}

/// How one event was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptance {
    /// Its executions are on disk.
    Accepted(Vec<ExecutionId>),
    /// It was accepted before, with these.
    Repeated(Vec<ExecutionId>),
    /// Another event was accepted under its id; nothing was made.
    IdReused,
    /// As much waits as may; nothing was made.
    BacklogFull {
        /// How much waits.
        waiting: i64,
        /// How much may.
        max_waiting: i64,
    },
}

/// How much an acceptance may claim: in all, and of each account, so that one of a batch does not take what another brought.
#[derive(Debug, Clone, Default)]
pub struct Room {
    /// In all.
    pub total: usize,
    /// Of each account; one that is absent may have it all.
    pub shares: HashMap<AccountId, usize>,
}

impl Room {
    fn share(&self, account: &AccountId) -> usize {
        self.shares.get(account).copied().unwrap_or(self.total)
    }
}

impl From<usize> for Room {
    fn from(total: usize) -> Self {
        Self { total, shares: HashMap::new() }
    }
}

/// The outcome of an acceptance.
#[derive(Debug)]
pub struct Accepted {
    /// One answer an event, in order.
    pub answers: Vec<Acceptance>,
    /// What is to be sent now.
    pub claims: Vec<Claim>,
}

impl NewEvent {
    /// About how many bytes it takes in the tables.
    pub fn bytes(&self) -> usize {
        let of = |work: &Work| match work {
            Work::Deliver(plan) => plan.deliveries.iter().map(|delivery| delivery.body.len() + 512).sum(),
            Work::Rejected(message) => message.len(),
        };
        self.executions.iter().map(|execution| of(&execution.work) + 512).sum()
    }

    /// The ids of what it set off.
    pub(super) fn ids(&self) -> Vec<ExecutionId> {
        self.executions.iter().map(|execution| execution.id).collect()
    }
}

/// An execution on its way into the tables.
struct Fresh {
    seq: i64,
    execution: Execution,
    rejected: Option<String>,
}

/// The rows that an acceptance writes.
#[derive(Default)]
struct Rows {
    pending: Vec<Pending>,
    endings: Vec<Ending>,
    claims: Vec<Claim>,
    changes: Changes,
}

impl Store {
    /// Accepts events, and claims up to `room` deliveries of their accounts. Everything is synced when it returns.
    ///
    /// # Errors
    /// When the database does not answer: then nothing was accepted, or it is in doubt and a repeat finds out.
    pub async fn accept(&self, events: &[NewEvent], room: impl Into<Room> + Send) -> Result<Accepted> {
        let room = room.into();
        whole!(self.accept_once(events, &room))
    }

    async fn accept_once(&self, events: &[NewEvent], room: &Room) -> Result<Accepted> {
        let tx = self.database.write().await?;
        let mut quotas = accounts::lock(&tx, events.iter().map(|event| &event.account)).await?;
        let now = tx.now().await?;
        let receipts = receipts::settle(&tx, events, now).await?;
        let answers = answers(&tx, events, receipts, &quotas).await?;
        let fresh = number(&tx, events, &answers, now).await?;
        let rows: Vec<(i64, &Execution)> = fresh.iter().map(|fresh| (fresh.seq, &fresh.execution)).collect();
        executions::insert(&tx, &rows).await?;

        let closed = gates::closed(&tx, quotas.keys()).await?;
        let none = Gates::default();
        let mut by_account: BTreeMap<AccountId, Vec<Fresh>> = BTreeMap::new();
        for fresh in fresh {
            by_account.entry(fresh.execution.account.clone()).or_default().push(fresh);
        }
        let mut written = Rows::default();
        let (token, mut total) = (self.token(), room.total);
        for (account, quota) in &mut quotas {
            let gates = closed.get(account).unwrap_or(&none);
            let share = room.share(account).min(total);
            let mut left = share;
            let mut picked = self.pick(&tx, quota, gates, now, token, &mut left).await?;
            let older = self.load(&tx, account, &picked.seqs, token, now).await?;
            older.iter().for_each(|claim| written.changes.add(account, claim.change()));
            written.claims.extend(older);
            let fresh = by_account.remove(account).unwrap_or_default();
            let place = Place { gates, now, token, room: &mut left };
            self.place(&tx, quota, fresh, &mut picked, place, &mut written).await?;
            quota.wake_at = wake_at_with(&tx, quota, &picked, now, &written.pending).await?;
            total -= share - left;
        }
        pending::insert(&tx, &written.pending).await?;
        endings::insert(&tx, &written.endings).await?;
        accounts::save(&tx, quotas.values()).await?;
        self.commit(tx, &written.changes, now).await?;
        Ok(Accepted { answers, claims: written.claims })
    }

    /// Decides for each new execution of an account whether it starts now, waits, or has ended already.
    async fn place(
        &self,
        tx: &Transaction,
        quota: &mut AccountQuota,
        fresh: Vec<Fresh>,
        picked: &mut Picked,
        place: Place<'_>,
        written: &mut Rows,
    ) -> Result<()> {
        let Place { gates, now, token, room } = place;
        let mut numbering = self.lanes.within(tx);
        for Fresh { seq, execution, rejected } in fresh {
            let accepted = |attempt, then| Change { seq, what: What::Accepted, step: 0, attempt, then };
            if let Some(end) = ended_at_once(&execution, rejected, gates) {
                written.changes.add(&execution.account, accepted(0, Then::Ended(1)));
                written.endings.push(Ending { seq, number: 1, end, step: 0, started_at: None, at: now });
                continue;
            }
            let Some(first) = execution.plan.deliveries.first() else {
                return Err(StorageError::decode("an execution without deliveries"));
            };
            let turn = if execution.automation.is_some() { Turn::Execution } else { Turn::Notification };
            let lane = Lane {
                automation: execution.automation,
                generation: execution.generation,
                webhook: first.webhook,
            };
            let due_at = (first.delay.as_micros() > 0).then(|| now.plus(first.delay));
            let open = gates.lets_through(&lane);
            let starts = due_at.is_none()
                && open
                && picked.exhausts(turn)
                && quota.available(turn, now, 1.min(*room)) == 1;
            let hold =
                starts.then(|| Hold { token, claimed_at: now, lease_until: now.plus(self.lease.length) });
            if starts {
                quota.spend(turn, now, 1);
                *room -= 1;
            } else {
                quota.waiting += 1;
                if due_at.is_none() && open && picked.exhausts(turn) {
                    picked.more.push(turn);
                }
            }
            let waits = due_at.map_or(Then::Queues, Then::Waits);
            let change = if starts { accepted(1, Then::Runs) } else { accepted(0, waits) };
            written.changes.add(&execution.account, change);
            written.pending.push(Pending {
                seq,
                account: execution.account.as_str().to_owned(),
                lane_number: numbering.number(&execution.account, &lane).await?,
                turn: if starts { Turn::Continuing } else { turn },
                due_at,
                step: 0,
                attempt: 1,
                retries: 0,
                interruptions: 0,
                started_at: starts.then_some(now),
                cancel: false,
                ends: 0,
                hold,
            });
            if starts {
                written.claims.push(first_claim(seq, execution, token, now));
            }
        }
        Ok(())
    }
}

/// What placing new executions needs to know of the transaction.
struct Place<'a> {
    gates: &'a Gates,
    now: Timestamp,
    token: i64,
    room: &'a mut usize,
}

/// The answers, with events that would exceed what may wait refused whole and their receipts taken back.
async fn answers(
    tx: &Transaction,
    events: &[NewEvent],
    receipts: Vec<Receipt>,
    quotas: &BTreeMap<AccountId, AccountQuota>,
) -> Result<Vec<Acceptance>> {
    let mut more: HashMap<&AccountId, i64> = HashMap::new();
    let mut refused: HashSet<ExecutionId> = HashSet::new();
    let mut withdrawn: BTreeMap<&AccountId, Vec<&str>> = BTreeMap::new();
    let mut answers = Vec::with_capacity(events.len());
    for (event, receipt) in events.iter().zip(receipts) {
        let quota = quotas.get(&event.account);
        let full = || Acceptance::BacklogFull {
            waiting: quota.map_or(0, |quota| quota.waiting),
            max_waiting: quota.map_or(0, AccountQuota::max_waiting),
        };
        answers.push(match receipt {
            Receipt::Reused => Acceptance::IdReused,
            Receipt::Repeated(ids) if ids.iter().any(|id| refused.contains(id)) => full(),
            Receipt::Repeated(ids) => Acceptance::Repeated(ids),
            Receipt::Fresh => {
                let counted = more.entry(&event.account).or_insert(0);
                let new = event.executions.iter().filter(|new| matches!(new.work, Work::Deliver(_))).count();
                let count = *counted + i64::try_from(new).unwrap_or(i64::MAX);
                if quota.is_none_or(|quota| quota.has_room_for(count)) {
                    *counted = count;
                    Acceptance::Accepted(event.ids())
                } else {
                    refused.extend(event.ids());
                    withdrawn.entry(&event.account).or_default().push(&event.event.id);
                    full()
                }
            }
        });
    }
    for (account, ids) in withdrawn {
        receipts::withdraw(tx, account, &ids).await?;
    }
    Ok(answers)
}

/// The executions of accepted events with their places.
async fn number(
    tx: &Transaction,
    events: &[NewEvent],
    answers: &[Acceptance],
    now: Timestamp,
) -> Result<Vec<Fresh>> {
    let accepted = || {
        let taken =
            events.iter().zip(answers).filter(|(_, answer)| matches!(answer, Acceptance::Accepted(_)));
        taken.flat_map(|(event, _)| event.executions.iter().map(move |execution| (event, execution)))
    };
    let count = accepted().count();
    if count == 0 {
        return Ok(Vec::new());
    }
    let places = executions::places(tx, count).await?;
    let fresh = |((event, new), seq): ((&NewEvent, &NewExecution), i64)| {
        let (plan, rejected) = match &new.work {
            Work::Deliver(plan) => (plan.clone(), None),
            Work::Rejected(message) => (Plan::default(), Some(message.clone())),
        };
        let execution = Execution {
            account: event.account.clone(),
            id: new.id,
            automation: new.automation,
            automation_version: new.automation_version,
            generation: new.generation,
            event: event.event.clone(),
            traceparent: event.traceparent.clone(),
            accepted_at: now,
            plan,
        };
        Fresh { seq, execution, rejected }
    };
    Ok(accepted().zip(places).map(fresh).collect())
}

/// How an execution that never gets to wait ends.
fn ended_at_once(execution: &Execution, rejected: Option<String>, gates: &Gates) -> Option<End> {
    if let Some(message) = rejected {
        return Some(End::failed(EndReason::TemplateRejected, message));
    }
    gates.stops(execution.automation, execution.generation).then(End::deactivated)
}

fn first_claim(seq: i64, execution: Execution, token: i64, now: Timestamp) -> Claim {
    Claim {
        account: execution.account,
        seq,
        execution: execution.id,
        cause: execution.event.cause,
        traceparent: execution.traceparent,
        plan: execution.plan,
        step: 0,
        attempt: 1,
        retries: 0,
        token,
        claimed_at: now,
    }
}

/// When the account has next something to do, with what is about to be inserted.
async fn wake_at_with(
    tx: &Transaction,
    quota: &AccountQuota,
    picked: &Picked,
    now: Timestamp,
    rows: &[Pending],
) -> Result<Option<Timestamp>> {
    let of_account = rows.iter().filter(|row| row.account == quota.account.as_str());
    let due = of_account.filter(|row| row.hold.is_none()).filter_map(|row| row.due_at).min();
    let stored = wake_at(tx, quota, picked, now).await?;
    Ok(stored.into_iter().chain(due).min())
}
