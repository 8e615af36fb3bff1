//! What moves the rows of the world on or ends them, each as the machines decide it.

use std::collections::BTreeMap;

use sluice_dispatcher::attempt::Verdict;
use sluice_dispatcher::claim::Reported;
use sluice_dispatcher::execution::End;
use sluice_dispatcher::gate::{Closed, Lane, Subject};
use sluice_dispatcher::limits::Limits;
use sluice_dispatcher::pending::{Hold, Pending, Stage, Start};
use sluice_dispatcher::rate::RateLimit;
use sluice_dispatcher::retry::Schedule;
use sluice_dispatcher::transition::{Cancelling, Moment, NotReopened, Transition};
use sluice_domain::{AccountId, AutomationId, Entitlements, Span};

use super::mutation::Mutation;
use super::world::{Asked, Held, Report, Tried, World};

impl World {
    pub(crate) fn finish(&mut self, held: &Held, report: &Report) -> Reported {
        let Some((mut row, lane)) = self.pending.get(&held.seq).cloned() else { return Reported::ClaimLost };
        let token = match row.hold() {
            Some(hold) if self.has(Mutation::FinishWithoutToken) => hold.token,
            Some(_) | None => held.token,
        };
        let Some(hold) = row.hold() else { return Reported::ClaimLost };
        if self.has(Mutation::CancelForgotten) {
            row.stage = Stage::Held(Hold { cancel: false, ..hold });
        }
        let (step, number, schedule) = (row.step, row.attempt, self.schedule);
        let tried = report.tried.map(|(verdict, _)| verdict);
        let ahead = Lane { webhook: report.next.towards().unwrap_or(lane.webhook), ..lane.clone() };
        let moment = self.moment(&held.account, &ahead, &schedule, 0.5);
        let transition = row.report(token, tried, report.next.clone(), moment);
        if transition == Transition::ClaimLost {
            return Reported::ClaimLost;
        }
        if let Some(verdict) = tried {
            self.record(held.seq, step, number, verdict, hold);
        }
        self.carry_out(&held.account, lane, transition, tried.is_none());
        self.see(held, report);
        Reported::Recorded
    }

    /// Takes back every claim whose lease is over; says of which executions.
    pub(crate) fn rescue(&mut self, fraction: f64) -> Vec<i64> {
        let mut rescued = Vec::new();
        let schedule = self.schedule;
        for (mut row, lane) in self.pending.values().cloned().collect::<Vec<_>>() {
            let Some(mut hold) = row.hold() else { continue };
            let (seq, step, number) = (row.seq, row.step, row.attempt);
            let account = self.made[&seq].account.clone();
            if self.has(Mutation::RescueBeforeLeaseEnd) {
                hold.lease_until = hold.claimed_at;
                row.stage = Stage::Held(hold);
            }
            let transition = row.rescue(self.moment(&account, &lane, &schedule, fraction));
            if transition != Transition::ClaimLost {
                self.record(seq, step, number, Verdict::Interrupted, hold);
                rescued.push(seq);
                self.carry_out(&account, lane, transition, false);
            }
        }
        rescued
    }

    fn moment<'a>(
        &self,
        account: &AccountId,
        lane: &Lane,
        schedule: &'a Schedule,
        fraction: f64,
    ) -> Moment<'a> {
        Moment { now: self.now, stopped: self.stop_of(account, lane), schedule, fraction }
    }

    fn record(&mut self, seq: i64, step: usize, number: i64, verdict: Verdict, hold: Hold) {
        let (verdict, started_at, ended_at) = (verdict.as_str(), hold.claimed_at, self.now);
        self.attempts.push(Tried { seq, step, number, verdict, started_at, ended_at });
    }

    fn carry_out(&mut self, account: &AccountId, lane: Lane, transition: Transition, undialled: bool) {
        match transition {
            Transition::ClaimLost => {}
            Transition::Ends(ending) => {
                self.pending.remove(&ending.seq);
                self.leave(ending.seq);
                self.endings.push(ending);
            }
            Transition::Waits { mut row, towards } => {
                let lane = towards.map_or(lane.clone(), |to| Lane { webhook: to.webhook, ..lane });
                let (seq, delayed) = (row.seq, row.due_at().is_some());
                row.attempt += i64::from(undialled && self.has(Mutation::GapInNumbers));
                let cut_off = row.interruptions > 0 && self.has(Mutation::InterruptedUsesARetry);
                row.retries += u32::from(cut_off);
                if self.has(Mutation::ChargedAgain) {
                    let start = Start::owed(lane.automation);
                    row.stage = Stage::Waiting { start, due_at: row.due_at() };
                }
                let due = row.due_at().unwrap_or(self.now);
                self.pending.insert(row.seq, (row, lane));
                let sleeps = self.has(Mutation::NobodyWakes) && due > self.now;
                let quota = self.quota(account);
                if sleeps {
                    quota.waiting += 1
                } else {
                    quota.take_back(due)
                }
                if let Some(to) = towards {
                    self.leave(seq);
                    if to.ordered {
                        self.enter(account, seq, to.webhook, delayed);
                    }
                }
            }
        }
    }

    fn leave_unless_nobody_calls(&mut self, seqs: &[i64]) {
        if self.has(Mutation::NobodyCalls) {
            self.lines.retain(|seq, _| !seqs.contains(seq));
        } else {
            self.leave_all(seqs);
        }
    }

    /// Ends what waits of an account.
    pub(crate) fn end_waiting(&mut self, account: &AccountId, rows: &[Pending], end: fn() -> End) {
        for row in rows {
            self.endings.push(row.ending(end(), self.now));
            self.pending.remove(&row.seq);
            self.quota(account).waiting -= 1;
        }
    }

    pub(crate) fn cancel(&mut self, seq: i64) -> Asked {
        let Some((row, lane)) = self.pending.get(&seq).cloned() else {
            return Asked::AlreadyEnded(self.ending(seq).unwrap().end.state);
        };
        match row.cancel(self.now) {
            Cancelling::WhenAttemptEnds(row) => {
                self.pending.insert(seq, (row, lane));
                Asked::WhenAttemptEnds
            }
            Cancelling::Ends(ending) => {
                let account = self.made[&seq].account.clone();
                self.quota(&account).waiting -= 1;
                self.pending.remove(&seq);
                self.leave_unless_nobody_calls(&[seq]);
                self.endings.push(ending);
                Asked::Done
            }
        }
    }

    pub(crate) fn retry(&mut self, seq: i64) -> Asked {
        if self.pending.contains_key(&seq) {
            return Asked::NotNow;
        }
        let (ending, made) = (self.ending(seq).unwrap().clone(), self.made[&seq].clone());
        let Some(delivery) = made.run.plan.deliveries.get(ending.step) else { return Asked::NotNow };
        let lane = Lane {
            automation: made.run.automation,
            generation: made.run.generation,
            webhook: delivery.webhook,
        };
        let tried = self.attempts.iter().filter(|tried| (tried.seq, tried.step) == (seq, ending.step));
        let attempt = i64::try_from(tried.count()).unwrap() + 1;
        let stopped = self.stop_of(&made.account, &lane);
        let name = made.account.to_string();
        match Pending::reopened(&ending, name, lane.automation, attempt, stopped) {
            Ok(row) => {
                self.pending.insert(seq, (row, lane));
                let now = self.now;
                let quota = self.quota(&made.account);
                quota.waiting += 1;
                quota.wake_at = Some(now);
                if delivery.ordered {
                    self.enter(&made.account, seq, delivery.webhook, false);
                }
                Asked::Done
            }
            Err(NotReopened::Final(state)) => Asked::AlreadyEnded(state),
            Err(NotReopened::AutomationDeactivated | NotReopened::WebhookDisabled) => Asked::NotNow,
        }
    }

    /// Puts a gate, unless one of a later generation stands. Says whether it changed.
    pub(crate) fn put(
        &mut self,
        account: &AccountId,
        subject: Subject,
        generation: i64,
        closed: bool,
    ) -> bool {
        let gates = self.gates.entry(account.clone()).or_default();
        let gate = Closed { subject, generation, swept: true };
        match gates.iter_mut().find(|(gate, _)| gate.subject == subject) {
            Some((known, _)) if known.generation >= generation => return false,
            Some(known) => *known = (gate, closed),
            None => gates.push((gate, closed)),
        }
        true
    }

    /// Stops an automation up to a generation, and ends what waits of it.
    pub(crate) fn stop(&mut self, account: &AccountId, automation: AutomationId, generation: i64) {
        self.quota(account);
        self.put(account, Subject::Automation(automation), generation, true);
        let waiting = self.pending.values().filter(|(row, lane)| {
            row.account == account.as_str() && row.hold().is_none() && self.stopped(account, lane)
        });
        let reached: Vec<Pending> = waiting.map(|(row, _)| row.clone()).collect();
        self.end_waiting(account, &reached, End::deactivated);
        self.leave_unless_nobody_calls(&reached.iter().map(|row| row.seq).collect::<Vec<_>>());
    }

    pub(crate) fn entitle(&mut self, account: &AccountId, entitlements: &Entitlements) -> bool {
        let now = self.now;
        self.quota(account).apply(entitlements, now)
    }

    /// Everything is written down and read back, as when the processes end and come again.
    pub(crate) fn restart(&mut self) {
        for (row, _) in self.pending.values_mut() {
            row.stage = Stage::read(&row.stage.flat()).unwrap();
        }
        let refilled = self.has(Mutation::QuotaRefilledAtRestart);
        let stored =
            |limit: RateLimit| RateLimit::stored(limit.rate(), if refilled { 0 } else { limit.tat() });
        for quota in self.quotas.values_mut() {
            quota.limits = quota.limits.take().map(|limits| Limits {
                executions: stored(limits.executions),
                notifications: stored(limits.notifications),
                ..limits
            });
        }
        if self.has(Mutation::AnsweredBeforeTheCommit) {
            self.pending.pop_last();
        }
        if self.has(Mutation::BreakersForgottenAtRestart) {
            self.breakers.clear();
        }
        if self.has(Mutation::OperatorForgottenAtRestart) {
            self.quotas.values_mut().for_each(|quota| quota.paused_at = None);
        }
    }

    /// Accounts with something to do, the longest waiting first.
    pub(crate) fn due_accounts(&self) -> Vec<AccountId> {
        let mut due: BTreeMap<_, Vec<AccountId>> = BTreeMap::new();
        for (account, quota) in &self.quotas {
            if let Some(wake_at) = quota.wake_at.filter(|wake_at| *wake_at <= self.now) {
                due.entry(wake_at).or_default().push(account.clone());
            }
        }
        due.into_values().flatten().collect()
    }

    /// How long nothing is to be done, if anything is.
    pub(crate) fn next_wake(&self) -> Option<Span> {
        let wake_at = self.quotas.values().filter_map(|quota| quota.wake_at).min()?;
        Some(wake_at.max(self.now).since(self.now))
    }
}
