//! What one account may start now: as its limits allow, unless an operator holds it back.

use sluice_domain::{AccountId, Entitlements, Timestamp};

use crate::execution::PauseReason;
use crate::grant::GrantError;
use crate::limits::Limits;
use crate::notice::News;
use crate::pause::Pause;
use crate::turn::Turn;

/// How many executions of an account may wait before the registry told us of it.
const UNKNOWN_MAX_WAITING: i64 = 1_000_000;

/// One account's row: its limits, how much of it waits, and when there is next something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountQuota {
    /// The account.
    pub account: AccountId,
    /// Its limits; `None` until the registry told us.
    pub limits: Option<Limits>,
    /// Executions on record that are not ended and not claimed.
    pub waiting: i64,
    /// Since when an operator holds everything of it back.
    pub paused_at: Option<Timestamp>,
    /// The earliest time at which a claim could do something; `None` when only an event from outside can change that.
    pub wake_at: Option<Timestamp>,
}

impl AccountQuota {
    /// An account of which nothing is known yet.
    pub const fn unknown(account: AccountId) -> Self {
        Self { account, limits: None, waiting: 0, paused_at: None, wake_at: None }
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
        usize::try_from(self.startable(turn, now)).map_or(wanted, |startable| startable.min(wanted))
    }

    /// How many could start at `now` for this turn.
    pub fn startable(&self, turn: Turn, now: Timestamp) -> u64 {
        match (&self.limits, turn) {
            _ if self.paused_at.is_some() => 0,
            (_, Turn::Continuing) => u64::MAX,
            (None, _) => 0,
            (Some(limits), _) => limits.startable(turn, now),
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

    /// Adds units to the allowance of the period that runs.
    ///
    /// # Errors
    /// When no period runs, since billing was not heard of yet, or the period's grants would exceed what can be counted.
    pub fn grant(&mut self, units: i64, now: Timestamp) -> Result<(), GrantError> {
        self.limits.as_mut().ok_or(GrantError::Unknown)?.allowance.grant(units, now)?;
        self.wake_at = Some(now);
        Ok(())
    }

    /// What has to be told of its allowance since this was asked last: a line a threshold that use came to.
    pub fn news(&mut self) -> Vec<News> {
        let Some(limits) = &mut self.limits else { return Vec::new() };
        let ledger = &mut limits.allowance;
        let reached = ledger.reach();
        let (used, of, ends) = (ledger.used, ledger.total(), ledger.end);
        reached.map(|percent| News::QuotaThreshold { percent, used, of, ends }).collect()
    }

    /// When something with `ahead` others of its turn before it may start; `None` where nobody knows.
    pub fn free_at(&self, turn: Turn, now: Timestamp, ahead: u64) -> Option<Timestamp> {
        match (&self.limits, turn) {
            _ if self.paused_at.is_some() => None,
            (_, Turn::Continuing) => Some(now),
            (None, _) => None,
            (Some(limits), _) => limits.free_at(turn, now, ahead),
        }
    }

    /// Why something of this turn with `ahead` others before it can't start at `now`, and until when; `None` if it can.
    pub fn pause(&self, turn: Turn, now: Timestamp, ahead: u64) -> Option<Pause> {
        self.operator_pause().or_else(|| self.limited(turn, now, ahead))
    }

    /// What holds everything of the account back, whatever it waits for.
    pub fn operator_pause(&self) -> Option<Pause> {
        self.paused_at.map(|_| (PauseReason::Operator, None))
    }

    /// The same as [`Self::pause`], as if no operator had paused the account.
    pub fn limited(&self, turn: Turn, now: Timestamp, ahead: u64) -> Option<Pause> {
        match (&self.limits, turn) {
            (_, Turn::Continuing) => None,
            (None, _) => Some((PauseReason::EntitlementsUnknown, None)),
            (Some(limits), _) => limits.pause(turn, now, ahead),
        }
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
    use sluice_domain::{Allowance, Rate, Span};

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
    fn an_operators_pause_holds_everything_back_and_uses_nothing() {
        let paused = AccountQuota { paused_at: Some(at(0)), ..quota(60, Some(100)) };
        for turn in Turn::ALL {
            assert_eq!(paused.pause(turn, at(9), 0), Some((PauseReason::Operator, None)));
            assert_eq!((paused.available(turn, at(9), 5), paused.free_at(turn, at(9), 0)), (0, None));
            assert_eq!(paused.limited(turn, at(9), 0), None, "it is all that holds it back");
        }
        let resumed = AccountQuota { paused_at: None, ..paused };
        assert_eq!(resumed.available(Turn::Execution, at(9), 100), 60);
    }

    #[test]
    fn a_grant_lets_more_start_in_its_period_and_no_faster() {
        let mut quota = quota(60, Some(10));
        quota.spend(Turn::Execution, at(0), 10);
        assert_eq!(quota.available(Turn::Execution, at(9), 100), 0);
        quota.grant(5, at(9)).unwrap();
        assert_eq!((quota.available(Turn::Execution, at(9), 100), quota.wake_at), (5, Some(at(9))));
        quota.grant(1_000, at(9)).unwrap();
        assert_eq!(quota.available(Turn::Execution, at(9), 1_000), 59, "the rate is what it was");
        let unknown = &mut AccountQuota::unknown("acme".parse().unwrap());
        assert_eq!(unknown.grant(5, at(9)), Err(GrantError::Unknown));
    }

    #[test]
    fn expected_start_counts_those_ahead() {
        let mut quota = quota(60, None);
        quota.spend(Turn::Execution, at(0), 60);
        assert_eq!(quota.pause(Turn::Execution, at(0), 4).unwrap().1, Some(at(5)));
        assert_eq!(quota.pause(Turn::Execution, at(60), 4), None);
    }
}
