//! The quota as contracts.md promises it, counted from nothing but when executions started.

/// A promised rate: `units` in `per_seconds`, at most `burst` at once.
#[derive(Debug, Clone, Copy)]
pub struct Promise {
    /// How many.
    pub units: u64,
    /// In how long.
    pub per_seconds: u64,
    /// How many at once.
    pub burst: u64,
}

impl Promise {
    /// The most starts by which any window has more than `burst + window / t`, where `t` is the time that one unit takes; 0 where
    /// the promise is kept. Times are in microseconds.
    pub fn excess(self, starts: &[i64]) -> u64 {
        let mut starts = starts.to_vec();
        starts.sort_unstable();
        let cell = u128::from(self.per_seconds * 1_000_000_000).div_ceil(u128::from(self.units));
        let mut excess = 0;
        for (first, from) in starts.iter().enumerate() {
            for (count, to) in (1_u128..).zip(&starts[first..]) {
                let window = u128::from((to - from).unsigned_abs()) * 1_000;
                let allowed = u128::from(self.burst) + window / cell;
                excess = excess.max(count.saturating_sub(allowed));
            }
        }
        u64::try_from(excess).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One in a tenth of a second, three at once.
    const PROMISE: Promise = Promise { units: 10, per_seconds: 1, burst: 3 };

    #[test]
    fn a_burst_and_then_one_for_each_cell_is_no_excess() {
        assert_eq!(PROMISE.excess(&[]), 0);
        assert_eq!(PROMISE.excess(&[0, 0, 0, 100_000, 200_000, 300_000]), 0);
        assert_eq!(PROMISE.excess(&[0, 1_000_000, 1_000_000, 1_000_000, 1_100_000]), 0);
    }

    #[test]
    fn one_start_too_early_is_an_excess_wherever_it_is() {
        assert_eq!(PROMISE.excess(&[0, 0, 0, 0]), 1);
        assert_eq!(PROMISE.excess(&[99_999, 0, 0, 0]), 1);
        assert_eq!(PROMISE.excess(&[0, 0, 0, 100_000, 200_000, 299_999]), 1);
        assert_eq!(PROMISE.excess(&[0, 5_000_000, 5_000_000, 5_000_000, 5_000_000, 5_000_000]), 2);
    }
}
