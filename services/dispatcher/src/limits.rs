//! The limits in force for one account, as billing last said: rates, allowance, and what the plan opens at all.

use sluice_domain::{Entitlements, Span, Timestamp};

use crate::allowance::AllowanceLedger;
use crate::execution::PauseReason;
use crate::pause::Pause;
use crate::rate::RateLimit;
use crate::turn::Turn;

/// How many periods an expected start is looked for in.
const PERIODS_FORESEEN: usize = 24;

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
    pub(crate) fn changed(&self, entitlements: &Entitlements, now: Timestamp) -> Self {
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

    /// How many could start at `now` for this turn.
    pub(crate) fn startable(&self, turn: Turn, now: Timestamp) -> u64 {
        match turn {
            Turn::Continuing => u64::MAX,
            Turn::Notification => self.notifications.free(now),
            Turn::Execution if !self.automations => 0,
            Turn::Execution => {
                let mut ledger = self.allowance;
                ledger.roll(now);
                self.executions.free(now).min(ledger.left().unsigned_abs())
            }
        }
    }

    /// When something with `ahead` others of its turn before it may start; `None` where nobody knows.
    pub(crate) fn free_at(&self, turn: Turn, now: Timestamp, ahead: u64) -> Option<Timestamp> {
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

    /// Why something of this turn with `ahead` others before it can't start at `now`, and until when; `None` if it can.
    pub(crate) fn pause(&self, turn: Turn, now: Timestamp, ahead: u64) -> Option<Pause> {
        if turn == Turn::Execution && !self.automations {
            return Some((PauseReason::Plan, None));
        }
        let until = self.free_at(turn, now, ahead);
        (until != Some(now)).then_some((PauseReason::Quota, until))
    }
}
