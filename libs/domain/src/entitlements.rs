//! What billing says an account may do, with the version it was said in.

use serde::{Deserialize, Serialize};

use crate::{Span, Timestamp};

/// A promised rate: `units` in every `per`, with at most `burst` at once. Zero units let nothing start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many units `per` holds.
    pub units: u32,
    /// The length over which they are counted.
    pub per: Span,
    /// How many may start at once after a quiet time.
    pub burst: u32,
}

impl Rate {
    /// The longest time in which a full burst may come back, in nanoseconds: ten years. What a rate beyond it promised could not be
    /// counted.
    const LONGEST_BURST: u64 = 10 * 366 * 86_400 * 1_000_000_000;

    /// The time one unit stands for, in nanoseconds: `per / units`, rounded up. `None` where nothing may start: without units, burst
    /// or length, and where a full burst takes more than ten years to come back.
    pub fn cell(&self) -> Option<u64> {
        let per = u128::from(self.per.as_micros().unsigned_abs()) * 1_000;
        if self.units == 0 || self.burst == 0 || per == 0 {
            return None;
        }
        let cell = u64::try_from(per.div_ceil(u128::from(self.units))).ok()?;
        (cell.checked_mul(u64::from(self.burst))? <= Self::LONGEST_BURST).then_some(cell)
    }
}

/// The number of units promised for one billing period, which is a calendar month counted from the anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// Units in one period.
    pub amount: i64,
    /// An instant at which a period begins; the others begin on the same day and time of the other months, UTC.
    pub anchor: Timestamp,
}

impl Allowance {
    /// The most units that one period may be promised, and the most that it may be granted besides.
    pub const MOST: i64 = 1_000_000_000_000_000;
}

/// Everything an account may do. A newer version replaces an older one whole; an older one never wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlements {
    /// Billing's version, at least 1.
    pub version: i64,
    /// The plan these numbers come from.
    pub plan: String,
    /// Whether the plan has automations and automation webhooks.
    pub automations: bool,
    /// How many automations may be active.
    pub active_automations: u32,
    /// How many steps an automation may have.
    pub steps: u32,
    /// How many of them may be delays.
    pub delays: u32,
    /// The rate of executions of automations.
    pub executions: Rate,
    /// The allowance of executions of automations; `None` means no monthly limit.
    pub allowance: Option<Allowance>,
    /// The rate of event webhooks' notifications, which are never charged to executions.
    pub notifications: Rate,
    /// How many executions may wait; beyond it new events are refused.
    pub max_waiting: i64,
    /// How long history is kept after an execution's end.
    pub history: Span,
}
