//! What must hold, kept and judged apart from the world: what was acknowledged, what hit the receivers, who holds what until when,
//! what may start. It looks at the world's rows, never at how they came about.

use std::collections::{BTreeMap, BTreeSet};

use sluice_dispatcher::claim::Reported;
use sluice_dispatcher::execution::{EndReason, EndState, Next};
use sluice_dispatcher::pending::Pending;
use sluice_dispatcher::transition::Ending;
use sluice_domain::{AccountId, AutomationId, ExecutionId, Span, Timestamp, WebhookId};

use super::bucket::Budget;
use super::health::Health;
use super::world::{Answer, Event, Held, Hook, Report, World};

/// What is broken: which promise, and where.
pub(crate) type Broken = String;

/// One delivery of one execution.
type Delivery = (i64, usize);

/// Who holds an execution.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder {
    token: i64,
    until: Timestamp,
    /// Whether anything was held against the receiver when it was claimed.
    pub(super) troubled: bool,
}

/// The books.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    answers: BTreeMap<(AccountId, String), Vec<ExecutionId>>,
    pub(crate) acknowledged: BTreeSet<i64>,
    pub(crate) hits: BTreeSet<(i64, usize, i64)>,
    holders: BTreeMap<i64, Holder>,
    not_before: BTreeMap<i64, Timestamp>,
    started: BTreeSet<i64>,
    pub(crate) budgets: BTreeMap<AccountId, Budget>,
    pub(super) health: BTreeMap<Hook, Health>,
    pub(crate) paused: BTreeSet<AccountId>,
    pub(super) grants: BTreeMap<(AccountId, String), (i64, Timestamp)>,
    pub(crate) markers: BTreeMap<(AccountId, AutomationId), i64>,
    pub(crate) cancelled: BTreeSet<i64>,
    tried: BTreeMap<Delivery, i64>,
    retried: BTreeMap<Delivery, u32>,
    failed: BTreeSet<Delivery>,
    ends: BTreeMap<i64, i64>,
    over: BTreeSet<i64>,
    seen: (usize, usize),
}

/// Breaks the promise with this line unless it holds.
macro_rules! hold {
    ($holds:expr, $($line:tt)+) => {
        if !$holds {
            return Err(format!($($line)+));
        }
    };
}
pub(super) use hold;

impl Ledger {
    /// An acceptance was answered.
    pub(crate) fn answered(&mut self, world: &World, event: &Event, answer: &Answer) -> Result<(), Broken> {
        let key = (event.account.clone(), event.id.clone());
        let ids = match (answer, self.answers.get(&key)) {
            (Answer::IdReused | Answer::BacklogFull, _) => return Ok(()),
            (Answer::Repeated(ids) | Answer::Accepted(ids), Some(known)) => {
                hold!(known == ids, "I3: {key:?} got {known:?} and now {ids:?}");
                return Ok(());
            }
            (Answer::Repeated(ids) | Answer::Accepted(ids), None) => ids.clone(),
        };
        self.acknowledged.extend(ids.iter().filter_map(|id| world.seq(*id)));
        for run in &event.runs {
            let (Some(seq), Some(first)) = (world.seq(run.id), run.plan.deliveries.first()) else { continue };
            if ids.contains(&run.id) && first.delay > Span::ZERO && !self.not_before.contains_key(&seq) {
                self.not_before.insert(seq, world.made[&seq].accepted_at.plus(first.delay));
            }
        }
        self.answers.insert(key, ids);
        Ok(())
    }

    /// These were claimed, with so much room.
    pub(crate) fn claimed(&mut self, world: &World, claims: &[Held], room: usize) -> Result<(), Broken> {
        self.read(world)?;
        hold!(claims.len() <= room, "room: {} claimed with room for {room}", claims.len());
        for held in claims {
            let (seq, now) = (held.seq, world.now);
            let Some((row, lane)) = world.pending.get(&seq) else {
                return Err(format!("I1: {seq} vanished"));
            };
            hold!(!self.holders.contains_key(&seq), "I4: {seq} is claimed twice");
            let due = self.not_before.get(&seq).copied().unwrap_or(now);
            hold!(due <= now, "I6: {seq} is claimed at {now}, due at {due}");
            hold!(!self.over.contains(&seq), "I6: {seq} is claimed after its end");
            hold!(!self.paused.contains(&held.account), "I7: {seq} is claimed while its account is paused");
            hold!(!self.stops(world, seq), "stop: {seq} is claimed although its automation was stopped");
            self.takes_turn(world, held)?;
            let turn = world.turn_of(seq);
            if self.started.insert(seq) {
                let budget = self.budgets.entry(held.account.clone()).or_default();
                hold!(budget.admits(turn, now), "I8: {seq} starts beyond the quota at {now}");
                budget.charge(turn, now);
                let older = self.overtaken(world, row);
                hold!(older.is_none(), "order: {seq} starts before {older:?}");
            }
            let number = self.tried.get(&(seq, held.step)).copied().unwrap_or(0) + 1;
            hold!(held.attempt == number, "I6: {seq} has attempt {} after {}", held.attempt, number - 1);
            let until = now.plus(world.lease.length);
            let health = self.health.entry((held.account.clone(), lane.webhook)).or_default();
            let troubled = health.is_troubled();
            health.starts(held, now, until)?;
            self.holders.insert(seq, Holder { token: held.token, until, troubled });
        }
        Ok(())
    }

    /// Where the webhook is ordered, nothing else about the record is under way or to be tried again, and of what waits undelayed for its
    /// first delivery nothing is older.
    fn takes_turn(&self, world: &World, held: &Held) -> Result<(), Broken> {
        let delivery = |seq: &i64, step: usize| &world.made[seq].run.plan.deliveries[step];
        let (made, mine) = (&world.made[&held.seq], delivery(&held.seq, held.step));
        if !mine.ordered {
            return Ok(());
        }
        for (seq, (row, _)) in world.pending.iter().filter(|(seq, _)| **seq != held.seq) {
            let (other, its) = (&world.made[seq], delivery(seq, row.step));
            let same =
                other.account == made.account && other.record == made.record && its.webhook == mine.webhook;
            let tried = self.tried.contains_key(&(*seq, row.step)) && !self.ends.contains_key(seq);
            hold!(!same || !(row.hold().is_some() || tried), "ordering: {} starts during {seq}", held.seq);
            let waits = row.step == 0 && its.delay == Span::ZERO && !self.ends.contains_key(seq);
            let first = held.step == 0 && mine.delay == Span::ZERO && !self.ends.contains_key(&held.seq);
            hold!(!(same && waits && first && *seq < held.seq), "ordering: {} starts before {seq}", held.seq);
        }
        Ok(())
    }

    /// An older one of the same queue that could have started instead.
    fn overtaken(&self, world: &World, started: &Pending) -> Option<i64> {
        let turn = world.turn_of(started.seq);
        let older = world.pending.range(..started.seq).map(|(seq, row)| (*seq, row));
        let mut older = older.filter(|(seq, (row, _))| {
            row.account == started.account && world.turn_of(*seq) == turn && !self.started.contains(seq)
        });
        let starts = |(seq, (row, lane)): &(i64, &(Pending, sluice_dispatcher::gate::Lane))| {
            let account = &world.made[seq].account;
            row.due_at().is_none_or(|due| due <= world.now)
                && !world.lines.contains_key(seq)
                && self.lets_through(account, lane.webhook)
                && !self.stops(world, *seq)
        };
        older.find(starts).map(|(seq, _)| seq)
    }

    fn stops(&self, world: &World, seq: i64) -> bool {
        let made = &world.made[&seq];
        made.run.automation.is_some_and(|automation| {
            let marker = self.markers.get(&(made.account.clone(), automation));
            marker.is_some_and(|marker| *marker >= made.run.generation)
        })
    }

    /// A request is on the wire.
    pub(crate) fn hit(&mut self, world: &World, held: &Held) -> Result<(), Broken> {
        let send_by = held.claimed_at.plus(world.lease.send_within);
        hold!(world.now <= send_by, "I10: {} is dialled at {}, too late", held.seq, world.now);
        let key = (held.seq, held.step, held.attempt);
        hold!(self.hits.insert(key), "I4: {key:?} hits twice");
        let row = world.pending.get(&held.seq).map(|(row, _)| row);
        let on_record = row.is_some_and(|row| row.attempt == held.attempt && row.step == held.step);
        hold!(on_record, "I5: {key:?} is dialled and not on record");
        Ok(())
    }

    /// An owner reported, and was taken so.
    pub(crate) fn reported(
        &mut self,
        world: &World,
        held: &Held,
        report: &Report,
        reported: Reported,
    ) -> Result<(), Broken> {
        let seq = held.seq;
        let holder = self.holders.get(&seq).filter(|holder| holder.token == held.token).copied();
        let holds = holder.is_some();
        let meant = if holds { Reported::Recorded } else { Reported::ClaimLost };
        hold!(reported == meant, "I10: the report of {seq} under {} is {reported:?}", held.token);
        let Some(holder) = holder else { return Ok(()) };
        self.holders.remove(&seq);
        self.hears(world, (held, report), holder)?;
        let after = match &report.next {
            Next::End(_) => return Ok(()),
            Next::Retry(after) => {
                *self.retried.entry((seq, held.step)).or_insert(0) += 1;
                *after
            }
            Next::Advance { after, .. } => *after,
            Next::HandBack(_) if report.tried.is_some() => Span::ZERO,
            Next::HandBack(after) => *after,
        };
        let asked = self.cancelled.contains(&seq) || self.stops(world, seq);
        hold!(!asked || !world.pending.contains_key(&seq), "cancel: {seq} goes on although it is to end");
        self.not_before.insert(seq, world.now.plus(after));
        Ok(())
    }

    /// These were taken back from their owners.
    pub(crate) fn rescued(&mut self, world: &World, seqs: &[i64]) -> Result<(), Broken> {
        for seq in seqs {
            let Some(Holder { until, .. }) = self.holders.remove(seq) else {
                return Err(format!("I10: {seq} is rescued and was not held"));
            };
            hold!(until <= world.now, "I10: {seq} is rescued at {}, its lease ends at {until}", world.now);
            self.not_before.insert(*seq, world.now);
        }
        let late = self.holders.iter().find(|(_, holder)| holder.until <= world.now);
        hold!(late.is_none(), "I11: the lease of {late:?} is over");
        Ok(())
    }

    /// It was opened again.
    pub(crate) fn reopened(&mut self, seq: i64) {
        self.over.remove(&seq);
        self.cancelled.remove(&seq);
        self.retried.retain(|(of, _), _| *of != seq);
        self.not_before.remove(&seq);
    }

    /// Reads what was appended since it was last read.
    fn read(&mut self, world: &World) -> Result<(), Broken> {
        for tried in &world.attempts[self.seen.0..] {
            let (seq, number) = (tried.seq, self.tried.entry((tried.seq, tried.step)).or_insert(0));
            *number += 1;
            hold!(tried.number == *number, "I6: {seq} has attempt {} as its {number}th", tried.number);
            hold!(!self.over.contains(&seq), "I6: {seq} has an attempt after its end");
            if !matches!(tried.verdict, "SUCCEEDED" | "INTERRUPTED") {
                self.failed.insert((seq, tried.step));
            }
        }
        for ending in &world.endings[self.seen.1..] {
            let (seq, number) = (ending.seq, self.ends.entry(ending.seq).or_insert(0));
            *number += 1;
            hold!(ending.number == *number, "{seq} has end {} as its {number}th", ending.number);
            hold!(self.over.insert(seq), "{seq} ends twice");
            let brought_about = self.brings_about(world, ending);
            hold!(brought_about, "I1, I7: {seq} ends for nothing that happened: {:?}", ending.end);
        }
        self.seen = (world.attempts.len(), world.endings.len());
        Ok(())
    }

    /// Whether something happened that such an end comes of.
    fn brings_about(&self, world: &World, ending: &Ending) -> bool {
        let (seq, made) = (ending.seq, &world.made[&ending.seq]);
        let disabled = |webhook| self.of(&made.account, webhook).is_some_and(Health::is_disabled);
        match (ending.end.state, ending.end.reason, made.run.plan.deliveries.get(ending.step)) {
            (EndState::Succeeded, _, delivery) => delivery.is_some(),
            (EndState::Stopped, ..) => self.stops(world, seq),
            (EndState::Cancelled, ..) => self.cancelled.contains(&seq),
            (EndState::Failed, Some(EndReason::WebhookDisabled), Some(delivery)) => {
                disabled(delivery.webhook)
            }
            (EndState::Failed, Some(EndReason::TemplateRejected), delivery) => delivery.is_none(),
            (EndState::Failed, _, _) => self.failed.contains(&(seq, ending.step)),
        }
    }

    /// Looks at everything there is.
    pub(crate) fn look(&mut self, world: &World) -> Result<(), Broken> {
        self.read(world)?;
        for seq in &self.acknowledged {
            let stands = (world.pending.contains_key(seq), self.over.contains(seq));
            hold!(stands.0 != stands.1, "I1: {seq} waits, is over: {stands:?}");
        }
        let mut waiting: BTreeMap<&AccountId, i64> = BTreeMap::new();
        for (seq, (row, lane)) in &world.pending {
            let account = &world.made[seq].account;
            let of = (*seq, row.step);
            let next = self.tried.get(&of).copied().unwrap_or(0) + 1;
            hold!(row.attempt == next, "I6, I7: {seq} comes to attempt {} after {}", row.attempt, next - 1);
            let retried = self.retried.get(&of).copied().unwrap_or(0);
            hold!(row.retries == retried, "I5: {seq} has used {} retries of {retried}", row.retries);
            if row.hold().is_some() {
                hold!(self.holders.contains_key(seq), "I11: nobody knows who holds {seq}");
                continue;
            }
            hold!(!self.stops(world, *seq), "stop: {seq} waits although its automation was stopped");
            *waiting.entry(account).or_insert(0) += 1;
            self.wakes(world, account, row, lane.webhook)?;
        }
        for (account, quota) in &world.quotas {
            let meant = waiting.get(account).copied().unwrap_or(0);
            hold!(quota.waiting == meant, "{account} counts {} of {meant} that wait", quota.waiting);
            self.charges(world, account)?;
        }
        Ok(())
    }

    /// Nobody sleeps while something of theirs could go on.
    fn wakes(
        &self,
        world: &World,
        account: &AccountId,
        row: &Pending,
        webhook: WebhookId,
    ) -> Result<(), Broken> {
        let budget = self.budgets.get(account).cloned();
        let admits = budget.is_some_and(|mut budget| budget.admits(row.turn(), world.now));
        let open_at = self.of(account, webhook).map_or(Some(world.now), |health| health.open_at(world.now));
        let Some(open_at) = open_at.filter(|_| !self.paused.contains(account)) else { return Ok(()) };
        if self.stops(world, row.seq) || !(admits || row.turn() == sluice_dispatcher::turn::Turn::Continuing)
        {
            return Ok(());
        }
        if row.is_in_line() {
            let first = world.is_first(row.seq);
            hold!(!first, "I11: {} is not called and nobody is before it", row.seq);
            return Ok(());
        }
        let due = row.due_at().unwrap_or(world.now).max(open_at);
        let wake_at = world.quotas[account].wake_at;
        let wakes = wake_at.is_some_and(|wake_at| wake_at <= due);
        hold!(wakes, "I11: {account} sleeps until {wake_at:?}, {} is due at {due}", row.seq);
        Ok(())
    }

    /// The account is charged for what started, and for nothing else.
    fn charges(&self, world: &World, account: &AccountId) -> Result<(), Broken> {
        let (Some(budget), Some(limits)) = (self.budgets.get(account), &world.quotas[account].limits) else {
            return Ok(());
        };
        let beyond = |tat: i64| (i128::from(tat) - i128::from(world.now.as_micros()) * 1_000).max(0);
        let spent = [limits.executions, limits.notifications].map(|limit| beyond(limit.tat()));
        let meant = budget.spent(world.now);
        hold!(spent == meant, "I8: {account} is charged {spent:?} ns beyond {}, not {meant:?}", world.now);
        let (mut period, meant) = (limits.allowance, budget.clone().period(world.now));
        period.roll(world.now);
        let found = (period.granted, period.used);
        hold!(found == meant, "I8: {account} is granted and has used {found:?} this period, not {meant:?}");
        Ok(())
    }

    /// Everything has come to its end: the three ledgers say the same.
    pub(crate) fn close(&self, world: &World) -> Result<(), Broken> {
        hold!(world.pending.is_empty(), "I1: {} never end", world.pending.len());
        let tried: BTreeSet<_> =
            world.attempts.iter().map(|tried| (tried.seq, tried.step, tried.number)).collect();
        let unknown = self.hits.difference(&tried).next();
        hold!(unknown.is_none(), "I5: a hit without its attempt: {unknown:?}");
        let answered = world.attempts.iter().filter(|tried| tried.verdict != "INTERRUPTED");
        for tried in answered.clone() {
            let key = (tried.seq, tried.step, tried.number);
            hold!(self.hits.contains(&key), "I5: an attempt that nobody got: {key:?}");
        }
        let mut delivered: BTreeMap<Delivery, usize> = BTreeMap::new();
        for tried in answered.filter(|tried| tried.verdict == "SUCCEEDED") {
            *delivered.entry((tried.seq, tried.step)).or_insert(0) += 1;
        }
        let twice = delivered.iter().find(|(_, times)| **times > 1);
        hold!(twice.is_none(), "I4: a delivery succeeded twice: {twice:?}");
        for ending in world.endings.iter().filter(|ending| ending.end.state == EndState::Succeeded) {
            let steps = world.made[&ending.seq].run.plan.deliveries.len();
            let all = (0..steps).all(|step| delivered.contains_key(&(ending.seq, step)));
            hold!(all, "I1: {} succeeded without all of its deliveries", ending.seq);
        }
        Ok(())
    }
}
