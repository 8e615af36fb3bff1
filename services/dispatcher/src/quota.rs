//! What one account may start now: its rate, its allowance, its notifications' rate, and what its plan opens at all.

use sluice_domain::{AccountId, Entitlements, Span, Timestamp};

use crate::allowance::AllowanceLedger;
use crate::execution::PauseReason;
use crate::rate::RateLimit;
use crate::turn::Turn;

/// How many periods an expected start is looked for in.
const PERIODS_FORESEEN: usize = 24;

/// How many executions of an account may wait before the registry told us of it.
const UNKNOWN_MAX_WAITING: i64 = 1_000_000;

/// The limits in force for one account, as billing last said, with what is used of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Billing's version of the entitlements.
    pub version: i64,
    /// Whether the plan lets automations start at all.
    pub automations: bool,
    /// The rate of executions of automations.
    pub executions: RateLimit,
    /// The allowance of executions of automations.
    pub allowance: AllowanceLedger,
    /// The rate of event webhooks' notifications.
    pub notifications: RateLimit,
    /// How many executions may wait.
    pub max_waiting: i64,
    /// How long history is kept after an end.
    pub history: Span,
}

/// One account's row: its limits, how much of it waits, and when there is next something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountQuota {
    /// The account.
    pub account: AccountId,
    /// Its limits; `None` until the registry told us.
    pub limits: Option<Limits>,
    /// Executions on record that are not ended and not claimed.
    pub waiting: i64,
    /// The earliest time at which a claim could do something; `None` when only an event from outside can change that.
    pub wake_at: Option<Timestamp>,
}

impl Limits {
    /// The limits of an account that has used nothing.
    pub fn fresh(entitlements: &Entitlements, now: Timestamp) -> Self {
        Self {
            version: entitlements.version,
            automations: entitlements.automations && entitlements.executions.units > 0,
            executions: RateLimit::unused(entitlements.executions),
            allowance: entitlements.allowance.map_or_else(
                || AllowanceLedger::unlimited(now),
                |promised| AllowanceLedger::fresh(promised, now),
            ),
            notifications: RateLimit::unused(entitlements.notifications),
            max_waiting: entitlements.max_waiting,
            history: entitlements.history,
        }
    }

    /// The same account under other entitlements: what is used stays used. A plan that lets no automation start leaves their rate and
    /// allowance as they stand, so that going there and back gives nothing anew.
    fn changed(&self, entitlements: &Entitlements, now: Timestamp) -> Self {
        let mut next = Self::fresh(entitlements, now);
        next.executions = self.executions;
        next.allowance = self.allowance;
        if next.automations {
            next.executions.change(now, entitlements.executions);
            next.allowance.change(entitlements.allowance, now);
        }
        next.notifications = self.notifications;
        next.notifications.change(now, entitlements.notifications);
        next
    }

    /// How many of `wanted` could start at `now` for this turn.
    fn available(&self, turn: Turn, now: Timestamp, wanted: usize) -> usize {
        match turn {
            Turn::Continuing => wanted,
            Turn::Notification => self.notifications.available(now, wanted),
            Turn::Execution if !self.automations => 0,
            Turn::Execution => {
                let mut ledger = self.allowance;
                ledger.roll(now);
                let left = usize::try_from(ledger.left()).unwrap_or(usize::MAX);
                self.executions.available(now, wanted.min(left))
            }
        }
    }

    /// When something with `ahead` others of its turn before it may start; `None` where nobody knows.
    fn free_at(&self, turn: Turn, now: Timestamp, ahead: u64) -> Option<Timestamp> {
        match turn {
            Turn::Continuing => Some(now),
            Turn::Notification => self.notifications.free_at(now, ahead),
            Turn::Execution if !self.automations => None,
            Turn::Execution if self.allowance.is_unlimited() => self.executions.free_at(now, ahead),
            Turn::Execution => self.free_in_a_period(self.allowance, now, ahead),
        }
    }

    /// Follows those ahead from period to period: each starts what its allowance and the rate let start before its end.
    fn free_in_a_period(
        &self,
        mut ledger: AllowanceLedger,
        mut now: Timestamp,
        mut ahead: u64,
    ) -> Option<Timestamp> {
        let mut rate = self.executions;
        for _ in 0..PERIODS_FORESEEN {
            ledger.roll(now);
            let left = u64::try_from(ledger.left()).unwrap_or(0);
            let free_at = rate.free_at(now, ahead)?;
            if ahead < left && free_at < ledger.end {
                return Some(free_at);
            }
            let started = rate.starts_until(now, ledger.end).min(left).min(ahead);
            rate = rate.after(now, started);
            ahead -= started;
            now = ledger.end;
            if ledger.promised.amount <= 0 {
                return None;
            }
        }
        None
    }
}

impl AccountQuota {
    /// An account of which nothing is known yet.
    pub const fn unknown(account: AccountId) -> Self {
        Self { account, limits: None, waiting: 0, wake_at: None }
    }

    /// Puts newer entitlements in force; older ones and those in force already change nothing. Says whether it did.
    pub fn apply(&mut self, entitlements: &Entitlements, now: Timestamp) -> bool {
        let next = match &self.limits {
            Some(limits) if limits.version >= entitlements.version => return false,
            Some(limits) => limits.changed(entitlements, now),
            None => Limits::fresh(entitlements, now),
        };
        self.limits = Some(next);
        self.wake_at = Some(now);
        true
    }

    /// How many of `wanted` could start at `now` for this turn.
    pub fn available(&self, turn: Turn, now: Timestamp, wanted: usize) -> usize {
        match (&self.limits, turn) {
            (_, Turn::Continuing) => wanted,
            (None, _) => 0,
            (Some(limits), _) => limits.available(turn, now, wanted),
        }
    }

    /// Spends what `count` starts of this turn cost; `count` was found available at the same `now`.
    pub fn spend(&mut self, turn: Turn, now: Timestamp, count: usize) {
        let Some(limits) = &mut self.limits else { return };
        match turn {
            Turn::Continuing => {}
            Turn::Notification => {
                limits.notifications.take(now, count);
            }
            Turn::Execution => {
                let taken = limits.executions.take(now, count);
                let ledger = &mut limits.allowance;
                ledger.roll(now);
                ledger.used = ledger.used.saturating_add(i64::try_from(taken).unwrap_or(i64::MAX));
            }
        }
    }

    /// When something with `ahead` others of its turn before it may start; `None` where nobody knows.
    pub fn free_at(&self, turn: Turn, now: Timestamp, ahead: u64) -> Option<Timestamp> {
        match (&self.limits, turn) {
            (_, Turn::Continuing) => Some(now),
            (None, _) => None,
            (Some(limits), _) => limits.free_at(turn, now, ahead),
        }
    }

    /// Why something of this turn with `ahead` others before it can't start at `now`, and until when; `None` if it can.
    pub fn pause(&self, turn: Turn, now: Timestamp, ahead: u64) -> Option<(PauseReason, Option<Timestamp>)> {
        if turn == Turn::Continuing {
            return None;
        }
        let Some(limits) = &self.limits else { return Some((PauseReason::EntitlementsUnknown, None)) };
        if turn == Turn::Execution && !limits.automations {
            return Some((PauseReason::Plan, None));
        }
        let until = limits.free_at(turn, now, ahead);
        (until != Some(now)).then_some((PauseReason::Quota, until))
    }

    /// Whether `more` executions fit into what may wait.
    pub fn has_room_for(&self, more: i64) -> bool {
        self.waiting.saturating_add(more) <= self.max_waiting()
    }

    /// How many executions may wait.
    pub fn max_waiting(&self) -> i64 {
        self.limits.as_ref().map_or(UNKNOWN_MAX_WAITING, |limits| limits.max_waiting)
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::{Allowance, Rate};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_795_000_000_000_000).plus(Span::from_secs(seconds))
    }

    fn entitlements(version: i64, units: u32, amount: Option<i64>) -> Entitlements {
        let rate = Rate { units, per: Span::from_secs(60), burst: units };
        Entitlements {
            version,
            plan: "advanced".into(),
            automations: units > 0,
            active_automations: 1,
            steps: 1,
            delays: 1,
            executions: rate,
            allowance: amount.map(|amount| Allowance { amount, anchor: Timestamp::EPOCH }),
            notifications: rate,
            max_waiting: 10,
            history: Span::from_secs(86_400),
        }
    }

    fn quota(units: u32, amount: Option<i64>) -> AccountQuota {
        let mut quota = AccountQuota::unknown("acme".parse().unwrap());
        assert!(quota.apply(&entitlements(1, units, amount), at(0)));
        quota
    }

    #[test]
    fn an_unknown_account_lets_only_what_has_started_go_on() {
        let quota = AccountQuota::unknown("acme".parse().unwrap());
        assert_eq!(quota.available(Turn::Execution, at(0), 5), 0);
        assert_eq!(quota.available(Turn::Continuing, at(0), 5), 5);
        assert_eq!(quota.pause(Turn::Execution, at(0), 0), Some((PauseReason::EntitlementsUnknown, None)));
    }

    #[test]
    fn the_smaller_of_rate_and_allowance_counts() {
        let mut quota = quota(60, Some(10));
        assert_eq!(quota.available(Turn::Execution, at(0), 100), 10);
        quota.spend(Turn::Execution, at(0), 10);
        assert_eq!(quota.available(Turn::Execution, at(100), 100), 0);
        let (reason, until) = quota.pause(Turn::Execution, at(100), 0).unwrap();
        assert_eq!(reason, PauseReason::Quota);
        assert!(until.unwrap() > at(86_400), "the period's end: {until:?}");
        assert_eq!(quota.available(Turn::Notification, at(0), 100), 60);
    }

    #[test]
    fn older_entitlements_never_win_and_newer_keep_what_is_used() {
        let mut quota = quota(60, Some(100));
        quota.spend(Turn::Execution, at(0), 60);
        assert!(!quota.apply(&entitlements(1, 600, Some(1_000)), at(0)));
        assert!(quota.apply(&entitlements(2, 600, Some(1_000)), at(0)));
        assert_eq!(quota.available(Turn::Execution, at(0), 1_000), 540);
        assert_eq!(quota.limits.as_ref().unwrap().allowance.used, 60);
        assert_eq!(quota.wake_at, Some(at(0)));
    }

    #[test]
    fn a_plan_there_and_back_gives_nothing_anew() {
        let mut quota = quota(60, Some(60));
        quota.spend(Turn::Execution, at(0), 60);
        for (version, there) in [(2, entitlements(2, 0, None)), (4, entitlements(4, 600, None))] {
            assert!(quota.apply(&there, at(0)));
            assert!(quota.apply(&entitlements(version + 1, 60, Some(60)), at(0)));
            assert_eq!(quota.available(Turn::Execution, at(3_600), 100), 0, "the allowance is used up");
        }
    }

    #[test]
    fn a_plan_without_automations_pauses_with_that_reason() {
        let quota = quota(0, None);
        assert_eq!(quota.pause(Turn::Execution, at(0), 0), Some((PauseReason::Plan, None)));
        assert_eq!(quota.available(Turn::Continuing, at(0), 3), 3);
    }

    #[test]
    fn expected_start_counts_those_ahead() {
        let mut quota = quota(60, None);
        quota.spend(Turn::Execution, at(0), 60);
        assert_eq!(quota.pause(Turn::Execution, at(0), 4).unwrap().1, Some(at(5)));
        assert_eq!(quota.pause(Turn::Execution, at(60), 4), None);
    }
}
