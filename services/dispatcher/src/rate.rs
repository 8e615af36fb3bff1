//! The rate an account was promised, kept as governor's GCRA on a state that lives in the database.
//!
//! The state is one number, the theoretical arrival time (TAT) in nanoseconds since the Unix epoch, so that it means the same
//! to every replica and after every restart. Promised exactly: at most `burst + window / t` starts in any window, where
//! `t = per / units` rounded up to the nanosecond.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use sluice_domain::{Rate, Timestamp};

/// A rate in force: what was promised and how much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    rate: Rate,
    tat: u64,
}

/// The state of one limiter for the length of one decision: read from a row before, written back after.
struct Row(Cell<u64>);

impl StateStore for Row {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, tat) = f(Some(Nanos::new(self.0.get())))?;
        self.0.set(tat.as_u64());
        Ok(outcome)
    }
}

/// An instant of the database's clock. Governor counts from the first reading, which here is always the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Instant(u64);

impl std::ops::Add<Nanos> for Instant {
    type Output = Self;

    fn add(self, nanos: Nanos) -> Self {
        Self(self.0.saturating_add(nanos.as_u64()))
    }
}

impl Reference for Instant {
    fn duration_since(&self, earlier: Self) -> Nanos {
        Nanos::new(self.0.saturating_sub(earlier.0))
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.saturating_sub(duration.as_u64()))
    }
}

/// Shows the epoch when the limiter is made, then the time of the decision.
struct DecisionClock(Cell<u64>);

impl Clock for DecisionClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        Instant(self.0.get())
    }
}

impl RateLimit {
    /// A rate of which nothing is used.
    pub const fn unused(rate: Rate) -> Self {
        Self { rate, tat: 0 }
    }

    /// A rate with its stored state: nanoseconds since the epoch.
    pub fn stored(rate: Rate, tat: i64) -> Self {
        Self { rate, tat: u64::try_from(tat).unwrap_or(0) }
    }

    /// What was promised.
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// The state to store: nanoseconds since the epoch.
    pub fn tat(&self) -> i64 {
        i64::try_from(self.tat).unwrap_or(i64::MAX)
    }

    /// Takes up to `wanted` cells at `now` and says how many there were.
    pub fn take(&mut self, now: Timestamp, wanted: usize) -> usize {
        let Some(quota) = self.quota() else { return 0 };
        let limiter: RateLimiter<NotKeyed, Row, DecisionClock, NoOpMiddleware<Instant>> =
            RateLimiter::new(quota, Row(Cell::new(self.tat)), DecisionClock(Cell::new(0)));
        limiter.clock().0.set(now.as_nanos());
        let taken = (0..wanted).take_while(|_| limiter.check().is_ok()).count();
        self.tat = limiter.into_state_store().0.get();
        taken
    }

    /// How many cells there are at `now`.
    pub fn free(&self, now: Timestamp) -> u64 {
        let Some(t) = self.rate.cell() else { return 0 };
        let (now, base) = (now.as_nanos(), self.tat.max(now.as_nanos()));
        let spare = now.saturating_add(self.tolerance(t)).checked_sub(base);
        spare.map_or(0, |spare| spare / t + 1)
    }

    /// When a cell comes free for what has `ahead` others before it, if nothing else is taken; `None` when the rate is zero.
    pub fn free_at(&self, now: Timestamp, ahead: u64) -> Option<Timestamp> {
        let t = self.rate.cell()?;
        let base = self.tat.max(now.as_nanos());
        let earliest = base.saturating_add(t.saturating_mul(ahead)).saturating_sub(self.tolerance(t));
        let micros = i64::try_from(earliest.div_ceil(1_000)).unwrap_or(i64::MAX);
        Some(Timestamp::from_micros(micros).max(now))
    }

    /// How many of a queue start from `now` on and before `end`, each as soon as its cell is there.
    pub fn starts_until(&self, now: Timestamp, end: Timestamp) -> u64 {
        let Some(t) = self.rate.cell() else { return 0 };
        let base = self.tat.max(now.as_nanos());
        // The last microsecond before the end is the last at which one can start.
        let last = end.as_nanos().saturating_add(self.tolerance(t)).checked_sub(base.saturating_add(1_000));
        last.map_or(0, |last| last / t + 1)
    }

    /// The same rate once `count` of a queue have started from `now` on, each as soon as its cell was there.
    #[must_use]
    pub fn after(&self, now: Timestamp, count: u64) -> Self {
        let Some(t) = self.rate.cell().filter(|_| count > 0) else { return *self };
        let base = self.tat.max(now.as_nanos());
        Self { tat: base.saturating_add(t.saturating_mul(count)), ..*self }
    }

    /// Puts another rate in force, keeping what is used in cells (up to the new burst); a cell that is used in part counts whole. One
    /// that lets nothing start leaves the state as it stands, so that going there and back gives nothing anew.
    pub fn change(&mut self, now: Timestamp, rate: Rate) {
        if rate == self.rate {
            return;
        }
        let ahead = self.tat.saturating_sub(now.as_nanos());
        let used = self.rate.cell().map(|t| ahead.div_ceil(t));
        self.rate = rate;
        let Some(t) = self.rate.cell() else { return };
        let full = t.saturating_mul(u64::from(rate.burst));
        let ahead = used.map_or(ahead, |used| used.saturating_mul(t)).min(full);
        if ahead > 0 {
            self.tat = now.as_nanos().saturating_add(ahead);
        }
    }

    /// How far the state may be ahead of the time at which a cell is taken.
    fn tolerance(&self, t: u64) -> u64 {
        t.saturating_mul(u64::from(self.rate.burst.saturating_sub(1)))
    }

    fn quota(&self) -> Option<Quota> {
        let burst = NonZeroU32::new(self.rate.burst)?;
        Some(Quota::with_period(Duration::from_nanos(self.rate.cell()?))?.allow_burst(burst))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sluice_domain::Span;

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(1_795_000_000_000_000 + micros)
    }

    fn per_minute(units: u32, burst: u32) -> Rate {
        Rate { units, per: Span::from_secs(60), burst }
    }

    #[test]
    fn a_full_burst_is_admitted_and_then_one_cell_at_a_time() {
        let mut limit = RateLimit::unused(per_minute(60, 5));
        assert_eq!(limit.take(at(0), 100), 5);
        assert_eq!(limit.take(at(999_999), 1), 0);
        assert_eq!(limit.take(at(1_000_000), 2), 1);
    }

    #[test]
    fn state_survives_storing() {
        let mut limit = RateLimit::unused(per_minute(60, 5));
        limit.take(at(0), 3);
        let again = RateLimit::stored(limit.rate(), limit.tat());
        assert_eq!(again.free(at(0)), 2);
    }

    #[test]
    fn zero_rate_admits_nothing_and_never_will() {
        let mut limit = RateLimit::unused(per_minute(0, 0));
        assert_eq!(limit.take(at(0), 1), 0);
        assert_eq!(limit.free_at(at(0), 0), None);
    }

    #[test]
    fn a_rate_beyond_counting_admits_nothing_instead_of_everything() {
        let rate = Rate { units: 1, per: Span::from_secs(86_400), burst: 1_000_000 };
        let mut limit = RateLimit::unused(rate);
        assert_eq!((limit.take(at(0), 5), limit.free_at(at(0), 0)), (0, None));
    }

    #[test]
    fn a_changed_rate_keeps_what_is_used_in_cells() {
        let mut limit = RateLimit::unused(per_minute(60, 10));
        limit.take(at(0), 10);
        limit.change(at(0), per_minute(600, 100));
        assert_eq!(limit.free(at(0)), 90);
        limit.change(at(0), per_minute(60, 5));
        assert_eq!(limit.free(at(0)), 0);
        assert_eq!(limit.free_at(at(0), 0), Some(at(1_000_000)));
    }

    proptest! {
        #[test]
        fn any_window_admits_at_most_burst_and_its_share(
            units in 1_u32..500, burst in 1_u32..50, steps in prop::collection::vec((0_i64..3_000_000, 1_usize..20), 1..200)
        ) {
            let rate = per_minute(units, burst);
            let mut limit = RateLimit::unused(rate);
            let t = 60_000_000_000_u128.div_ceil(u128::from(units));
            let mut now = 0_i64;
            let mut starts: Vec<i64> = Vec::new();
            for (pause, wanted) in steps {
                now += pause;
                starts.extend(std::iter::repeat_n(now, limit.take(at(now), wanted)));
            }
            let burst = burst as usize;
            for (first, from) in starts.iter().enumerate() {
                for (last, to) in starts.iter().enumerate().skip(first + burst) {
                    let beyond = (last - first + 1 - burst) as u128;
                    prop_assert!(u128::from((to - from).unsigned_abs()) * 1_000 >= beyond * t);
                }
            }
        }

        #[test]
        fn the_promised_time_is_the_first_at_which_the_cell_is_there(
            units in 1_u32..5_000, burst in 1_u32..50, ahead in 0_u64..200, used in 0_usize..60
        ) {
            let mut limit = RateLimit::unused(per_minute(units, burst));
            limit.take(at(0), used);
            let free = limit.free_at(at(0), ahead).unwrap();
            let wanted = usize::try_from(ahead).unwrap() + 1;
            let mut taken = 0;
            let mut clock = at(0);
            while taken < wanted {
                let next = limit.free_at(clock, 0).unwrap();
                clock = next;
                taken += limit.take(clock, wanted - taken);
            }
            prop_assert!(clock.since(free) <= Span::from_micros(i64::try_from(wanted).unwrap()));
            prop_assert!(free <= clock);
        }

        #[test]
        fn a_queue_looked_at_as_a_whole_starts_as_it_does_one_by_one(
            units in 1_u32..5_000, burst in 2_u32..50, used in 0_usize..60, micros in 1_i64..5_000_000
        ) {
            let mut limit = RateLimit::unused(per_minute(units, burst));
            limit.take(at(0), used);
            let end = at(micros);
            let (before, mut started, mut clock) = (limit, 0, limit.free_at(at(0), 0).unwrap());
            while clock < end {
                started += limit.take(clock, 1_000);
                clock = limit.free_at(clock, 0).unwrap();
            }
            prop_assert_eq!(before.starts_until(at(0), end), started as u64);
            prop_assert_eq!(before.after(at(0), started as u64).tat(), limit.tat());
        }
    }
}
