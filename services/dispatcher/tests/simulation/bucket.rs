//! The reference for quotas: GCRA by virtual scheduling and a calendar month's allowance. It shares no code with the dispatcher.

use chrono::Datelike as _;
use sluice_dispatcher::turn::Turn;
use sluice_domain::{Entitlements, Rate, Timestamp};

/// A cell every so many nanoseconds, so many of them at once.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bucket {
    rate: Option<Rate>,
    cell: i128,
    burst: i128,
    tat: i128,
}

/// What an account may start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Budget {
    known: bool,
    automations: bool,
    executions: Bucket,
    notifications: Bucket,
    allowance: Option<i64>,
    granted: i64,
    used: i64,
    month: i32,
}

pub(crate) fn nanos(at: Timestamp) -> i128 {
    i128::from(at.as_micros()) * 1_000
}

pub(crate) fn month(at: Timestamp) -> i32 {
    let at = at.to_datetime().unwrap();
    at.year() * 12 + i32::try_from(at.month()).unwrap()
}

/// The first instant of a month.
pub(crate) fn first_of(month: i32) -> Timestamp {
    let (year, month0) = (month.div_euclid(12), u32::try_from(month.rem_euclid(12)).unwrap());
    // December is the twelfth month of a year, and 0 of the next.
    let (year, number) = if month0 == 0 { (year - 1, 12) } else { (year, month0) };
    let first = chrono::NaiveDate::from_ymd_opt(year, number, 1).unwrap();
    Timestamp::from(first.and_time(chrono::NaiveTime::MIN).and_utc())
}

impl Bucket {
    pub(crate) fn change(&mut self, rate: Rate, now: Timestamp) {
        if self.rate.replace(rate) == Some(rate) {
            return;
        }
        let ahead = self.tat - nanos(now);
        let used = if self.cell > 0 && ahead > 0 { (ahead + self.cell - 1) / self.cell } else { 0 };
        let units = i128::from(rate.units);
        self.burst = i128::from(rate.burst);
        self.cell =
            if units > 0 { (i128::from(rate.per.as_micros()) * 1_000 + units - 1) / units } else { 0 };
        self.tat = nanos(now) + used.min(self.burst) * self.cell;
    }

    pub(crate) fn admits(&self, now: Timestamp) -> bool {
        self.cell > 0 && self.tat.max(nanos(now)) + self.cell <= nanos(now) + self.burst * self.cell
    }

    pub(crate) fn take(&mut self, now: Timestamp) {
        self.tat = self.tat.max(nanos(now)) + self.cell;
    }
}

impl Budget {
    pub(crate) fn entitle(&mut self, to: &Entitlements, now: Timestamp) {
        self.roll(now);
        (self.known, self.automations) = (true, to.automations);
        if to.automations {
            self.allowance = to.allowance.map(|allowance| allowance.amount);
            self.executions.change(to.executions, now);
        }
        self.notifications.change(to.notifications, now);
    }

    fn roll(&mut self, now: Timestamp) {
        if self.month != month(now) {
            (self.month, self.used, self.granted) = (month(now), 0, 0);
        }
    }

    /// Whether something of this turn may start.
    pub(crate) fn admits(&mut self, turn: Turn, now: Timestamp) -> bool {
        self.roll(now);
        match turn {
            Turn::Continuing => true,
            Turn::Notification => self.known && self.notifications.admits(now),
            Turn::Execution => {
                let left = self.allowance.is_none_or(|amount| self.used < amount + self.granted);
                self.known && self.automations && left && self.executions.admits(now)
            }
        }
    }

    pub(crate) fn charge(&mut self, turn: Turn, now: Timestamp) {
        match turn {
            Turn::Continuing => {}
            Turn::Notification => self.notifications.take(now),
            Turn::Execution => {
                self.executions.take(now);
                self.used += 1;
            }
        }
    }

    /// Units more for the period that runs, if billing was heard of. Says so.
    pub(crate) fn grant(&mut self, units: i64, now: Timestamp) -> bool {
        self.roll(now);
        self.granted += if self.known { units } else { 0 };
        self.known
    }

    /// What was granted and what is used in the period that runs.
    pub(crate) fn period(&mut self, now: Timestamp) -> (i64, i64) {
        self.roll(now);
        (self.granted, self.used)
    }

    /// How far the executions' and the notifications' cells are spent, in nanoseconds beyond `now`.
    pub(crate) fn spent(&self, now: Timestamp) -> [i128; 2] {
        [self.executions.tat, self.notifications.tat].map(|tat| (tat - nanos(now)).max(0))
    }
}
