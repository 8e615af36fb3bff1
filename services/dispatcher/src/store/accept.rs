//! Acceptance: one transaction inserts what events set off, and claims what may start at once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use sluice_domain::{AccountId, AutomationId, ExecutionId, Span, Timestamp};
use sluice_storage::{Query, StorageError, Transaction};

use super::claim::wake_at;
use super::executions::Requests;
use super::lines::Comer;
use super::receipts::{self, Receipt};
use super::{Result, Store, accounts, breakers, endings, executions, gates, lines, pending, whole};
use crate::change::{Change, Changes, Then, What};
use crate::claim::Claim;
use crate::execution::{EventSummary, Execution};
use crate::gate::{Gates, Lane};
use crate::line::Key;
use crate::pending::{Pending, Start};
use crate::plan::Plan;
use crate::quota::AccountQuota;
use crate::receiver::{Held, Share};
use crate::schedule::Round;
use crate::transition::{Ending, ended_at_once};

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
    Deliver(Arc<Plan>),
    /// Nothing: the templates could not be rendered safely, for this reason. It is recorded as failed.
    Rejected(String),
}

impl Work {
    /// What it sends: nothing, if it was rejected.
    fn plan(&self) -> Arc<Plan> {
        match self {
            Self::Deliver(plan) => Arc::clone(plan),
            Self::Rejected(_) => Arc::default(),
        }
    }
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
    pub shares: HashMap<AccountId, Share>,
}

impl Room {
    /// An account's share, once others of the batch have left so many seats.
    fn share(&self, account: &AccountId, left: usize) -> Share {
        let share = self.shares.get(account).cloned().unwrap_or_else(|| self.total.into());
        Share { seats: share.seats.min(left), ..share }
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
    /// Accounts of which work was left for receivers that are full.
    pub held: Vec<(AccountId, Held)>,
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

    /// What is stored of the requests of each of its executions.
    fn requests(&self) -> Result<Vec<Requests>> {
        self.executions.iter().map(|execution| Requests::of(&execution.work.plan())).collect()
    }

    /// The ids of what it set off.
    pub(super) fn ids(&self) -> Vec<ExecutionId> {
        self.executions.iter().map(|execution| execution.id).collect()
    }
}

/// An execution on its way into the tables.
struct Fresh<'a> {
    seq: i64,
    execution: Execution,
    requests: &'a Requests,
    rejected: Option<String>,
}

/// The rows that an acceptance writes; what it claims, under one token.
struct Rows {
    token: i64,
    pending: Vec<Pending>,
    endings: Vec<Ending>,
    claims: Vec<Claim>,
    held: Vec<(AccountId, Held)>,
    /// What waits for nothing but a seat.
    queued: Vec<(i64, Execution)>,
    changes: Changes,
}

impl Rows {
    fn under(token: i64) -> Self {
        let (changes, held, queued) = (Changes::default(), Vec::new(), Vec::new());
        Self { token, pending: Vec::new(), endings: Vec::new(), claims: Vec::new(), held, queued, changes }
    }
}

impl Store {
    /// Accepts events, and claims up to `room` deliveries of their accounts. Everything is synced when it returns.
    ///
    /// # Errors
    /// When the database does not answer: then nothing was accepted, or it is in doubt and a repeat finds out.
    pub async fn accept(&self, events: &[NewEvent], room: impl Into<Room> + Send) -> Result<Accepted> {
        let room = room.into();
        // Before the transaction, so that nobody waits for it.
        let requests: Vec<Vec<Requests>> = events.iter().map(NewEvent::requests).collect::<Result<_>>()?;
        whole!(self.accept_once(events, &requests, &room))
    }

    async fn accept_once(
        &self,
        events: &[NewEvent],
        requests: &[Vec<Requests>],
        room: &Room,
    ) -> Result<Accepted> {
        let tx = self.database.write("accept").await?;
        let mut quotas = accounts::lock(&tx, events.iter().map(|event| &event.account)).await?;
        let now = tx.now().await?;
        let receipts = receipts::settle(&tx, events, now).await?;
        let answers = answers(&tx, events, receipts, &quotas).await?;
        let fresh = number(&tx, events, requests, &answers, now).await?;
        executions::insert(&tx, fresh.iter().map(|fresh| (fresh.seq, &fresh.execution, fresh.requests)))
            .await?;

        let mut closed = gates::closed(&tx, quotas.keys()).await?;
        let mut by_account: BTreeMap<AccountId, Vec<Fresh<'_>>> = BTreeMap::new();
        for fresh in fresh {
            by_account.entry(fresh.execution.account.clone()).or_default().push(fresh);
        }
        let (token, mut total) = (self.token(), room.total);
        let mut written = Rows::under(token);
        for (account, quota) in &mut quotas {
            let gates = &mut closed.remove(account).unwrap_or_default();
            let mut share = room.share(account, total);
            let seats = share.seats;
            let paces = self.paces(&tx, account, &mut share, now).await?;
            let mut round = Round::begin(quota, now, share);
            let seqs = self.pick(&tx, quota, gates, &mut round, token, &mut written.changes).await?;
            let older = self.load(&tx, account, gates, &seqs, token, now).await?;
            older.iter().for_each(|claim| written.changes.add(account, claim.change()));
            written.claims.extend(older);
            let fresh = by_account.remove(account).unwrap_or_default();
            let placed_before = written.pending.len();
            self.place(&tx, quota, fresh, gates, &mut round, &mut written).await?;
            paces.spend(&tx, account, &round).await?;
            breakers::save(&tx, account, gates.probed()).await?;
            let placed = &written.pending[placed_before..];
            quota.wake_at = wake_at_with(&tx, quota, gates, &round, placed).await?;
            written.changes.tell(account, quota.news());
            total -= seats - round.room();
            let held = round.held();
            if !held.receivers.is_empty() {
                written.held.push((account.clone(), Held { all: false, ..held }));
            }
        }
        pending::insert(&tx, &written.pending).await?;
        endings::insert(&tx, &written.endings).await?;
        accounts::save(&tx, quotas.values()).await?;
        self.commit(tx, &written.changes, now).await?;
        for (seq, execution) in written.queued {
            self.recent.remember(seq, execution);
        }
        Ok(Accepted { answers, claims: written.claims, held: written.held })
    }

    /// Places each new execution of an account: it starts now, waits, or has ended already.
    async fn place(
        &self,
        tx: &Transaction,
        quota: &mut AccountQuota,
        fresh: Vec<Fresh<'_>>,
        gates: &mut Gates,
        round: &mut Round,
        written: &mut Rows,
    ) -> Result<()> {
        let (now, token) = (round.now(), written.token);
        let new = fresh.iter().map(|fresh| &fresh.execution);
        let mut lines = lines::before(tx, &quota.account, new).await?;
        let mut standing = Vec::new();
        let mut numbering = self.lanes.within(tx);
        for Fresh { seq, execution, rejected, .. } in fresh {
            let accepted = |attempt, then| Change { seq, what: What::Accepted, step: 0, attempt, then };
            let (automation, generation) = (execution.automation, execution.generation);
            let first = execution.plan.deliveries.first();
            let lane = first.map(|first| Lane { automation, generation, webhook: first.webhook });
            if let Some(end) = ended_at_once(rejected, lane.as_ref().and_then(|lane| gates.stop(lane))) {
                written.changes.add(&execution.account, accepted(0, Then::Ended(1)));
                written.endings.push(Ending { seq, number: 1, end, step: 0, started_at: None, at: now });
                continue;
            }
            let (Some(first), Some(lane)) = (first, lane) else {
                return Err(StorageError::decode("an execution without deliveries"));
            };
            let mut due_at = (first.delay > Span::ZERO).then(|| now.plus(first.delay));
            if first.ordered {
                let (key, delayed) = (Key::of(first.webhook, &execution.event), due_at.is_some());
                due_at = due_at.or_else(|| lines.join(key.clone()));
                standing.push(Comer { seq, key, delayed });
            }
            let start = Start::owed(execution.automation);
            let lane_number = numbering.number(&execution.account, &lane).await?;
            let name = execution.account.as_str().to_owned();
            let mut row = Pending::accepted(seq, name, lane_number, start, due_at);
            let probes = gates.lets_probe(&lane, now);
            let ready = due_at.is_none() && (probes || gates.lets_through(&lane));
            let starts = round.admit(quota, start.turn(), lane.webhook, ready);
            let change = match due_at {
                _ if starts => accepted(1, Then::Runs),
                Some(due_at) => accepted(0, Then::Waits(due_at)),
                None => accepted(0, Then::Queues),
            };
            written.changes.add(&execution.account, change);
            if starts {
                let until = now.plus(self.lease.length);
                row.claim(token, now, until);
                if probes {
                    gates.take_probe(lane.webhook, token, until);
                }
                let troubled = gates.breaker(lane.webhook).is_some();
                written.claims.push(first_claim(seq, execution, token, now, troubled));
            } else if ready && quota.startable(start.turn(), now) > 0 {
                written.queued.push((seq, execution));
            }
            written.pending.push(row);
        }
        lines::insert(tx, &quota.account, &standing).await
    }
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
async fn number<'a>(
    tx: &Transaction,
    events: &[NewEvent],
    requests: &'a [Vec<Requests>],
    answers: &[Acceptance],
    now: Timestamp,
) -> Result<Vec<Fresh<'a>>> {
    let accepted = || {
        let all = events.iter().zip(requests).zip(answers);
        let taken = all.filter(|(_, answer)| matches!(answer, Acceptance::Accepted(_)));
        taken.flat_map(|((event, requests), _)| {
            event
                .executions
                .iter()
                .zip(requests)
                .map(move |(execution, requests)| (event, execution, requests))
        })
    };
    let count = accepted().count();
    if count == 0 {
        return Ok(Vec::new());
    }
    let places = executions::places(tx, count).await?;
    let fresh = |((event, new, requests), seq): ((&NewEvent, &NewExecution, &'a Requests), i64)| {
        let rejected = match &new.work {
            Work::Deliver(_) => None,
            Work::Rejected(message) => Some(message.clone()),
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
            plan: new.work.plan(),
        };
        Fresh { seq, execution, requests, rejected }
    };
    Ok(accepted().zip(places).map(fresh).collect())
}

fn first_claim(seq: i64, execution: Execution, token: i64, now: Timestamp, troubled: bool) -> Claim {
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
        ends: 0,
        started_at: now,
        token,
        claimed_at: now,
        troubled,
    }
}

/// When the account has next something to do, with these rows that are about to be inserted.
async fn wake_at_with(
    tx: &Transaction,
    quota: &AccountQuota,
    gates: &Gates,
    round: &Round,
    rows: &[Pending],
) -> Result<Option<Timestamp>> {
    let due = rows.iter().filter(|row| !row.is_in_line()).filter_map(Pending::due_at).min();
    let stored = wake_at(tx, quota, gates, round).await?;
    Ok(stored.into_iter().chain(due).min())
}
