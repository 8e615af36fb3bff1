//! A plain model of the tables, in memory: rows in maps, and every decision taken from the machines. Its calls are those of the
//! store, so that one schedule can drive both.

use std::collections::{BTreeMap, BTreeSet};

use sluice_dispatcher::attempt::Verdict;
use sluice_dispatcher::breaker::{Breaker, Policy};
use sluice_dispatcher::claim::Lease;
use sluice_dispatcher::execution::{EndState, Next};
use sluice_dispatcher::gate::{Closed, Gates, Lane, Stop, Subject};
use sluice_dispatcher::line::Key;
use sluice_dispatcher::pending::{Pending, Start};
use sluice_dispatcher::plan::Plan;
use sluice_dispatcher::quota::AccountQuota;
use sluice_dispatcher::retry::Schedule;
use sluice_dispatcher::schedule::Round;
use sluice_dispatcher::transition::{Ending, ended_at_once};
use sluice_dispatcher::turn::Turn;
use sluice_domain::{AccountId, AutomationId, ExecutionId, Span, Timestamp, WebhookId};

use super::mutation::Mutation;

/// What an event sets off.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) account: AccountId,
    pub(crate) id: String,
    pub(crate) record: String,
    pub(crate) digest: u8,
    pub(crate) runs: Vec<Run>,
}

/// One execution.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) id: ExecutionId,
    pub(crate) automation: Option<AutomationId>,
    pub(crate) generation: i64,
    /// What to send; without deliveries its templates were rejected.
    pub(crate) plan: Plan,
}

/// The right to try a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) account: AccountId,
    pub(crate) seq: i64,
    pub(crate) id: ExecutionId,
    pub(crate) token: i64,
    pub(crate) step: usize,
    pub(crate) attempt: i64,
    pub(crate) retries: u32,
    pub(crate) ends: i64,
    pub(crate) started_at: Timestamp,
    pub(crate) claimed_at: Timestamp,
    /// Whether the webhook had a breaker on record.
    pub(crate) troubled: bool,
}

/// What an owner says of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// How the attempt came out, with the receiver's status where it answered; none where it was not dialled.
    pub(crate) tried: Option<(Verdict, Option<u16>)>,
    pub(crate) next: Next,
    /// The webhook's version that the request went to.
    pub(crate) version: i64,
    /// The seed of what chance decides when it is taken.
    pub(crate) chance: u64,
}

/// A webhook of an account.
pub(crate) type Hook = (AccountId, WebhookId);

/// How an event was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted(Vec<ExecutionId>),
    Repeated(Vec<ExecutionId>),
    IdReused,
    BacklogFull,
}

/// An attempt on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tried {
    pub(crate) seq: i64,
    pub(crate) step: usize,
    pub(crate) number: i64,
    pub(crate) verdict: &'static str,
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Timestamp,
}

/// An accepted execution.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) account: AccountId,
    pub(crate) accepted_at: Timestamp,
    pub(crate) record: String,
    pub(crate) run: Run,
}

/// How a call about one execution was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Done,
    WhenAttemptEnds,
    NotNow,
    AlreadyEnded(EndState),
}

/// The tables.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) lease: Lease,
    pub(crate) schedule: Schedule,
    pub(crate) policy: Policy,
    pub(crate) mutation: Option<Mutation>,
    pub(crate) quotas: BTreeMap<AccountId, AccountQuota>,
    pub(crate) gates: BTreeMap<AccountId, Vec<(Closed, bool)>>,
    pub(crate) breakers: BTreeMap<Hook, Breaker>,
    /// What was granted by which request, and until when that is remembered.
    pub(crate) grants: BTreeMap<(AccountId, String), (i64, Timestamp)>,
    pub(crate) made: BTreeMap<i64, Made>,
    pub(crate) pending: BTreeMap<i64, (Pending, Lane)>,
    pub(crate) attempts: Vec<Tried>,
    pub(crate) endings: Vec<Ending>,
    /// Who stands in which line, with the place; none while a delay runs.
    pub(crate) lines: BTreeMap<i64, (AccountId, Key, Option<i64>)>,
    receipts: BTreeMap<(AccountId, String), (u8, Vec<ExecutionId>)>,
    seqs: BTreeMap<ExecutionId, i64>,
    pub(crate) next: i64,
    token: i64,
}

impl World {
    pub(crate) fn new(
        now: Timestamp,
        lease: Lease,
        (schedule, policy): (Schedule, Policy),
        mutation: Option<Mutation>,
    ) -> Self {
        Self {
            now,
            lease,
            schedule,
            policy,
            mutation,
            quotas: BTreeMap::new(),
            gates: BTreeMap::new(),
            breakers: BTreeMap::new(),
            grants: BTreeMap::new(),
            made: BTreeMap::new(),
            pending: BTreeMap::new(),
            attempts: Vec::new(),
            endings: Vec::new(),
            lines: BTreeMap::new(),
            receipts: BTreeMap::new(),
            seqs: BTreeMap::new(),
            next: 1,
            token: 0,
        }
    }

    pub(crate) fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    pub(crate) fn quota(&mut self, account: &AccountId) -> &mut AccountQuota {
        let unknown = || AccountQuota::unknown(account.clone());
        self.quotas.entry(account.clone()).or_insert_with(unknown)
    }

    pub(crate) fn closed(&self, account: &AccountId) -> Gates {
        let mut gates = Gates::default();
        for (gate, closed) in self.gates.get(account).into_iter().flatten() {
            let ignored = self.has(Mutation::GateIgnored) && matches!(gate.subject, Subject::Webhook(_));
            if *closed && !ignored {
                gates.close(*gate);
            }
        }
        for ((_, webhook), breaker) in self.breakers.iter().filter(|((of, _), _)| of == account) {
            gates.fails(*webhook, self.as_planted(*breaker));
        }
        gates
    }

    pub(crate) fn stopped(&self, account: &AccountId, lane: &Lane) -> bool {
        !self.has(Mutation::StopMarkerIgnored) && self.closed(account).stops(lane.automation, lane.generation)
    }

    pub(crate) fn stop_of(&self, account: &AccountId, lane: &Lane) -> Option<Stop> {
        let ignored = |stop: &Stop| *stop == Stop::Deactivated && self.has(Mutation::StopMarkerIgnored);
        self.closed(account).stop(lane).filter(|stop| !ignored(stop))
    }

    pub(crate) fn seq(&self, id: ExecutionId) -> Option<i64> {
        self.seqs.get(&id).copied()
    }

    /// What an execution's start costs.
    pub(crate) fn turn_of(&self, seq: i64) -> Turn {
        Start::owed(self.made[&seq].run.automation).turn()
    }

    /// The latest end of an execution.
    pub(crate) fn ending(&self, seq: i64) -> Option<&Ending> {
        self.endings.iter().rev().find(|ending| ending.seq == seq)
    }

    pub(crate) fn accept(&mut self, events: &[Event], room: usize) -> (Vec<Answer>, Vec<Held>) {
        let accounts: BTreeSet<AccountId> = events.iter().map(|event| event.account.clone()).collect();
        accounts.iter().for_each(|account| {
            self.quota(account);
        });
        let mut more: BTreeMap<AccountId, i64> = BTreeMap::new();
        let answers: Vec<Answer> = events.iter().map(|event| self.answer(event, &mut more)).collect();
        let (token, mut total, mut claims) = (self.next_token(), room, Vec::new());
        for account in &accounts {
            let (mut quota, mut gates) = (self.quota(account).clone(), self.closed(account));
            let mut round = Round::begin(&quota, self.now, total);
            claims.extend(self.pick(&mut quota, &mut gates, &mut round, token));
            let taken = events
                .iter()
                .zip(&answers)
                .filter(|(event, answer)| event.account == *account && matches!(answer, Answer::Accepted(_)));
            for (event, run) in taken.flat_map(|(event, _)| event.runs.iter().map(move |run| (event, run))) {
                claims.extend(self.place(&mut quota, &mut gates, &mut round, (&event.record, run), token));
            }
            total = round.room();
            self.settle(quota, &gates, &round);
        }
        (answers, claims)
    }

    fn answer(&mut self, event: &Event, more: &mut BTreeMap<AccountId, i64>) -> Answer {
        let key = (event.account.clone(), event.id.clone());
        match self.receipts.get(&key) {
            Some((digest, _)) if *digest != event.digest => return Answer::IdReused,
            Some((_, ids)) if !self.has(Mutation::ReceiptForgotten) => return Answer::Repeated(ids.clone()),
            Some(_) | None => {}
        }
        let counted = more.entry(event.account.clone()).or_insert(0);
        let new = event.runs.iter().filter(|run| !run.plan.deliveries.is_empty()).count();
        let count = *counted + i64::try_from(new).unwrap();
        if !self.quotas[&event.account].has_room_for(count) {
            return Answer::BacklogFull;
        }
        *counted = count;
        let ids: Vec<ExecutionId> = event.runs.iter().map(|run| run.id).collect();
        self.receipts.insert(key, (event.digest, ids.clone()));
        Answer::Accepted(ids)
    }

    /// Places a new execution: it starts now, waits, or has ended already.
    fn place(
        &mut self,
        quota: &mut AccountQuota,
        gates: &mut Gates,
        round: &mut Round,
        (record, run): (&str, &Run),
        token: i64,
    ) -> Option<Held> {
        let (seq, now, account) = (self.next, self.now, quota.account.clone());
        self.next += 1;
        self.seqs.insert(run.id, seq);
        self.made.insert(
            seq,
            Made { account: account.clone(), accepted_at: now, record: record.to_owned(), run: run.clone() },
        );
        let lane = |webhook| Lane { automation: run.automation, generation: run.generation, webhook };
        let first = run.plan.deliveries.first();
        let stopped = first.and_then(|first| self.stop_of(&account, &lane(first.webhook)));
        let rejected = first.is_none().then(|| "a dot segment".to_owned());
        if let Some(end) = ended_at_once(rejected, stopped) {
            self.endings.push(Ending { seq, number: 1, end, step: 0, started_at: None, at: now });
            return None;
        }
        let (first, start) = (first?, Start::owed(run.automation));
        let mut due_at = (first.delay > Span::ZERO).then(|| now.plus(first.delay));
        if first.ordered {
            let key = self.key(seq, first.webhook);
            let place = due_at.is_none().then_some(seq);
            due_at = due_at.or_else(|| self.until(&account, &key));
            self.lines.insert(seq, (account.clone(), key, place));
        }
        let lane = lane(first.webhook);
        let probes = gates.lets_probe(&lane, now);
        let ready = due_at.is_none() && (probes || gates.lets_through(&lane));
        let mut row = Pending::accepted(seq, account.to_string(), 0, start, due_at);
        let starts = round.admit(quota, start.turn(), first.webhook, ready);
        if starts {
            let until = now.plus(self.lease.length);
            row.claim(token, now, until);
            if probes {
                gates.take_probe(lane.webhook, token, until);
            }
        }
        let held = starts.then(|| self.held(&account, gates, (&row, &lane), token));
        self.pending.insert(seq, (row, lane));
        held
    }

    pub(crate) const fn next_token(&mut self) -> i64 {
        self.token += 1;
        self.token
    }
}
