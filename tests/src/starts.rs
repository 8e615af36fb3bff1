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
    /// The time that one unit takes, in nanoseconds.
    const fn cell(self) -> u128 {
        (self.per_seconds as u128 * 1_000_000_000).div_ceil(self.units as u128)
    }

    /// The most starts by which any window has more than `burst + window / t`, where `t` is the time that one unit takes; 0 where
    /// the promise is kept. Times are in microseconds.
    ///
    /// A window from the i-th start to the j-th has `j - i + 1` of them. How many a start is too many is told by the bucket that it
    /// draws from: one cell more in it for each `t`, never more than `burst`; what it lacks is the excess of the worst window that
    /// ends here, rounded up to whole starts.
    pub fn excess(self, starts: &[i64]) -> u64 {
        let mut starts = starts.to_vec();
        starts.sort_unstable();
        let (cell, full) = (self.cell(), self.cell() * u128::from(self.burst));
        // What is used of the bucket, in nanoseconds.
        let (mut used, mut last, mut excess) = (0_u128, starts.first().copied().unwrap_or(0), 0_u128);
        for start in starts {
            used = used.saturating_sub(u128::from((start - last).unsigned_abs()) * 1_000) + cell;
            last = start;
            excess = excess.max(used.saturating_sub(full).div_ceil(cell));
        }
        u64::try_from(excess).unwrap_or(u64::MAX)
    }

    /// How much of what was allowed was used as long as something waited, from the first start on; 1 is all. With it, how many
    /// started meanwhile. `waits` are when each was accepted and when it started, in microseconds.
    #[allow(clippy::cast_precision_loss, reason = "a share of some thousands")]
    pub fn used(self, waits: &[(i64, i64)]) -> (f64, usize) {
        let Some(first) = waits.iter().map(|(_, start)| *start).min() else { return (0.0, 0) };
        // At the same moment what starts was waiting already.
        let accepted = waits.iter().map(|(accepted, _)| (*accepted, 0, 1_i64));
        let started = waits.iter().map(|(_, start)| (*start, 1, -1_i64));
        let mut moments: Vec<(i64, u8, i64)> = accepted.chain(started).collect();
        moments.sort_unstable();
        let (mut waiting, mut begun, mut until) = (0, 0, first);
        for (at, _, change) in moments {
            waiting += change;
            begun += usize::from(change < 0);
            until = at.max(first);
            // Before the burst was used up nothing had to wait.
            if waiting == 0 && begun as u64 > self.burst {
                break;
            }
        }
        let window = u128::from((until - first).unsigned_abs()) * 1_000;
        (begun as f64 / (u128::from(self.burst) + window / self.cell()) as f64, begun)
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

    #[test]
    fn a_bucket_refilled_out_of_turn_is_an_excess_of_what_was_in_it() {
        let refilled = [0, 0, 0, 100_000, 100_000, 100_000, 100_000];
        assert_eq!(PROMISE.excess(&refilled), 3);
    }

    #[test]
    fn every_window_is_counted_as_if_each_were_looked_at_by_itself() {
        // The plain way, over all pairs, beside the quick one.
        let windows = |starts: &[i64]| {
            let mut excess = 0;
            for (first, from) in starts.iter().enumerate() {
                for (count, to) in (1_u128..).zip(&starts[first..]) {
                    let window = u128::from((to - from).unsigned_abs()) * 1_000;
                    excess = excess.max(count.saturating_sub(3 + window / PROMISE.cell()));
                }
            }
            u64::try_from(excess).unwrap()
        };
        let mut seed = 7_i64;
        for _ in 0..200 {
            let mut starts = vec![0];
            for _ in 0..40 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                starts.push(starts[starts.len() - 1] + (seed >> 33).rem_euclid(250_000));
            }
            assert_eq!(PROMISE.excess(&starts), windows(&starts), "{starts:?}");
        }
    }

    #[test]
    fn what_is_left_unused_while_something_waits_is_seen() {
        let of = |starts: &[i64]| starts.iter().map(|start| (0, *start)).collect::<Vec<_>>();
        let all = PROMISE.used(&of(&[0, 0, 0, 100_000, 200_000]));
        assert!((all.0 - 1.0).abs() < 1e-9 && all.1 == 5, "{all:?}");
        let late = PROMISE.used(&of(&[0, 0, 0, 1_000_000]));
        assert!(late.0 < 0.4, "{late:?}");
        // What comes when nothing waited any more is not counted.
        let mut idle = of(&[0, 0, 0, 100_000]);
        idle.push((9_000_000, 9_000_000));
        assert_eq!(PROMISE.used(&idle), (1.0, 4));
        assert_eq!(PROMISE.used(&[]), (0.0, 0));
    }
}
