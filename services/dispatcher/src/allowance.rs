//! The number of executions an account may start in one billing period, and how much of it is used.

use chrono::{Datelike as _, Months};
use sluice_domain::{Allowance, Timestamp};

use crate::grant::GrantError;

/// The amount that stands for no end.
const UNLIMITED: i64 = i64::MAX;

/// An allowance in force: the period that runs and what is used of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowanceLedger {
    /// What was promised for each period.
    pub promised: Allowance,
    /// The first instant of the period.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
    /// Units added for this period alone.
    pub granted: i64,
    /// Units spent in this period.
    pub used: i64,
    /// The highest of [`THRESHOLDS`] that use has come to in this period.
    pub reached: i64,
}

/// What whoever runs Sluice is told of: that so many percent of what may start in a period are used, once each in a period.
pub const THRESHOLDS: [i64; 2] = [80, 100];

impl AllowanceLedger {
    /// A fresh ledger for the period in which `now` lies.
    pub fn fresh(promised: Allowance, now: Timestamp) -> Self {
        let (start, end) = period_of(promised.anchor, now);
        Self { promised, start, end, granted: 0, used: 0, reached: 0 }
    }

    /// A ledger without an end to what may be spent. It counts all the same, so that a later promise finds what was used.
    pub fn unlimited(now: Timestamp) -> Self {
        Self::fresh(Allowance { amount: UNLIMITED, anchor: Timestamp::EPOCH }, now)
    }

    /// A ledger as it is stored, `None` for no end; its period and use are to be filled in.
    pub const fn stored(amount: Option<i64>, anchor: Timestamp) -> Self {
        let amount = match amount {
            Some(amount) => amount,
            None => UNLIMITED,
        };
        let promised = Allowance { amount, anchor };
        Self { promised, start: anchor, end: anchor, granted: 0, used: 0, reached: 0 }
    }

    /// Whether what may be spent has no end.
    pub const fn is_unlimited(&self) -> bool {
        self.promised.amount == UNLIMITED
    }

    /// Begins the period in which `now` lies, if the one on record is over. Grants end with their period.
    pub fn roll(&mut self, now: Timestamp) {
        if now >= self.end {
            *self = Self::fresh(self.promised, now);
        }
    }

    /// Puts another promise in force, or none, keeping what is used. Another anchor moves the period's bounds, not its use.
    pub fn change(&mut self, promised: Option<Allowance>, now: Timestamp) {
        let promised = promised.unwrap_or(Allowance { amount: UNLIMITED, ..self.promised });
        self.roll(now);
        let (start, end) = period_of(promised.anchor, now);
        *self = Self { promised, start, end, ..*self };
    }

    /// Adds units to the period that runs. Without a limit they count, too: for one that comes before the period's end.
    ///
    /// # Errors
    /// When all grants of the period together would be more than can be counted.
    pub fn grant(&mut self, units: i64, now: Timestamp) -> Result<(), GrantError> {
        self.roll(now);
        let granted = self.granted.saturating_add(units);
        if granted > Allowance::MOST {
            return Err(GrantError::TooMuch { granted: self.granted });
        }
        self.granted = granted;
        Ok(())
    }

    /// The thresholds that use has come to since this was asked last, lowest first. One that it was at before in this period is none,
    /// also where a grant or another promise took it below again meanwhile.
    pub fn reach(&mut self) -> impl Iterator<Item = i64> + use<> {
        let (used, of, before) = (i128::from(self.used), i128::from(self.total()), self.reached);
        let counts = !self.is_unlimited() && used > 0;
        let reached =
            THRESHOLDS.into_iter().filter(move |percent| counts && used * 100 >= of * i128::from(*percent));
        self.reached = reached.clone().max().unwrap_or(0).max(before);
        reached.filter(move |percent| *percent > before)
    }

    /// Units that may be spent in this period, all together.
    pub const fn total(&self) -> i64 {
        self.promised.amount.saturating_add(self.granted)
    }

    /// Units that may still be spent in this period.
    pub const fn left(&self) -> i64 {
        let left = self.total().saturating_sub(self.used);
        if left < 0 { 0 } else { left }
    }
}

/// The calendar month counted from `anchor` in which `now` lies: its first instant, and the first after it.
/// A day that a month does not have counts as that month's last.
fn period_of(anchor: Timestamp, now: Timestamp) -> (Timestamp, Timestamp) {
    let (Some(first), Some(instant)) = (anchor.to_datetime(), now.to_datetime()) else {
        return (now, Timestamp::from_micros(i64::MAX));
    };
    let boundary = |months: i32| {
        let step = Months::new(months.unsigned_abs());
        let moved = if months < 0 { first.checked_sub_months(step) } else { first.checked_add_months(step) };
        moved.map_or(Timestamp::from_micros(i64::MAX), Timestamp::from)
    };
    let apart = |at: &chrono::DateTime<chrono::Utc>| at.year() * 12 + i32::try_from(at.month0()).unwrap_or(0);
    let mut months = apart(&instant) - apart(&first);
    if boundary(months) > now {
        months -= 1;
    }
    (boundary(months), boundary(months + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from(text.parse::<chrono::DateTime<chrono::Utc>>().unwrap())
    }

    #[test]
    fn periods_are_calendar_months_from_the_anchor() {
        let anchor = at("2026-01-31T12:00:00Z");
        for (now, start, end) in [
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z", "2026-02-28T12:00:00Z"),
            ("2026-02-28T11:59:59Z", "2026-01-31T12:00:00Z", "2026-02-28T12:00:00Z"),
            ("2026-02-28T12:00:00Z", "2026-02-28T12:00:00Z", "2026-03-31T12:00:00Z"),
            ("2025-12-31T11:00:00Z", "2025-11-30T12:00:00Z", "2025-12-31T12:00:00Z"),
        ] {
            assert_eq!(period_of(anchor, at(now)), (at(start), at(end)), "{now}");
        }
    }

    #[test]
    fn a_time_without_a_limit_is_counted_and_not_forgotten() {
        let promised = Allowance { amount: 10, anchor: at("2026-01-15T00:00:00Z") };
        let now = at("2026-03-20T00:00:00Z");
        let mut ledger = AllowanceLedger { used: 10, ..AllowanceLedger::fresh(promised, now) };
        ledger.change(None, now);
        assert!(ledger.is_unlimited() && ledger.left() > 1_000_000);
        assert_eq!(ledger.end, at("2026-04-15T00:00:00Z"), "the period goes on");
        ledger.change(Some(promised), now);
        assert_eq!(ledger.left(), 0);
    }

    #[test]
    fn each_threshold_is_reached_once_in_a_period() {
        let promised = Allowance { amount: 10, anchor: at("2026-01-01T00:00:00Z") };
        let mut ledger = AllowanceLedger::fresh(promised, at("2026-03-10T00:00:00Z"));
        let mut reached = |change: fn(&mut AllowanceLedger)| {
            change(&mut ledger);
            ledger.reach().collect::<Vec<_>>()
        };
        assert_eq!(reached(|_| {}), [0; 0]);
        assert_eq!(reached(|ledger| ledger.used = 7), [0; 0]);
        assert_eq!(reached(|ledger| ledger.used = 8), [80]);
        assert_eq!(reached(|ledger| ledger.used = 9), [0; 0]);
        assert_eq!(reached(|ledger| ledger.granted = 10), [0; 0]);
        assert_eq!(reached(|ledger| ledger.used = 16), [0; 0], "80 % was told of before the grant");
        assert_eq!(reached(|ledger| ledger.used = 20), [100]);
        assert_eq!(reached(|ledger| ledger.promised.amount = 1), [0; 0]);
        assert_eq!(reached(|ledger| ledger.roll(at("2026-04-01T00:00:00Z"))), [0; 0]);
        assert_eq!(reached(|ledger| ledger.used = 5), [80, 100], "of one, both at once");
        assert_eq!(reached(|ledger| ledger.promised.amount = UNLIMITED), [0; 0]);
        let none = Allowance { amount: 0, ..promised };
        assert_eq!(
            AllowanceLedger::fresh(none, at("2026-03-10T00:00:00Z")).reach().count(),
            0,
            "nothing of nothing"
        );
        let most = Allowance { amount: Allowance::MOST, ..promised };
        let mut most = AllowanceLedger {
            used: Allowance::MOST,
            ..AllowanceLedger::fresh(most, at("2026-03-10T00:00:00Z"))
        };
        assert_eq!(most.reach().collect::<Vec<_>>(), THRESHOLDS);
    }

    #[test]
    fn a_new_period_forgets_use_and_grants_and_a_changed_promise_keeps_them() {
        let promised = Allowance { amount: 10, anchor: at("2026-01-01T00:00:00Z") };
        let mut ledger = AllowanceLedger::fresh(promised, at("2026-03-10T00:00:00Z"));
        ledger.used = 8;
        ledger.granted = 5;
        assert_eq!(ledger.left(), 7);
        ledger.change(Some(Allowance { amount: 2, ..promised }), at("2026-03-11T00:00:00Z"));
        assert_eq!(ledger.left(), 0);
        ledger.roll(at("2026-03-31T23:59:59Z"));
        assert_eq!(ledger.used, 8);
        ledger.roll(at("2026-04-01T00:00:00Z"));
        assert_eq!((ledger.used, ledger.granted, ledger.left()), (0, 0, 2));
    }
}
