//! What stood at one moment, as the history has it afterwards: whether a kill came when there was something to lose.

use proto::dispatcher::v1::Attempt;

use super::Ledgers;
use crate::house::micros;

/// What stood at one moment, and what for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Executions that had not started.
    pub paused: usize,
    /// Those between two deliveries.
    pub delayed: usize,
    /// Those between two attempts of a delivery.
    pub retrying: usize,
    /// Attempts under way.
    pub on_the_wire: usize,
}

impl Ledgers {
    /// What stood at a time, in microseconds, as the history has it.
    pub fn standing_at(&self, time: i64) -> Standing {
        let mut standing = Standing::default();
        for execution in self.history.iter().filter(|execution| micros(execution.create_time) <= time) {
            if execution.start_time.is_none() || micros(execution.start_time) > time {
                standing.paused += 1;
                continue;
            }
            let attempts = || execution.deliveries.iter().flat_map(|delivery| &delivery.attempts);
            let under_way =
                |attempt: &&Attempt| micros(attempt.start_time) <= time && micros(attempt.end_time) > time;
            standing.on_the_wire += attempts().filter(under_way).count();
            let ended = |attempt: &Attempt| micros(attempt.end_time) <= time;
            let between = |first: Option<&Attempt>, then: Option<&Attempt>| {
                first.is_some_and(ended) && then.is_some_and(|then| micros(then.start_time) > time)
            };
            let steps = execution.deliveries.windows(2);
            let mut delays = steps.map(|pair| between(pair[0].attempts.last(), pair[1].attempts.first()));
            let mut retries = execution.deliveries.iter().flat_map(|delivery| delivery.attempts.windows(2));
            standing.delayed += usize::from(delays.any(|between| between));
            standing.retrying += usize::from(retries.any(|pair| between(pair.first(), pair.last())));
        }
        standing
    }

    /// When a receiver saw an attempt first, in microseconds.
    pub(super) fn seen_at(&self, delivery: &str, number: i32) -> Option<i64> {
        self.seen.get(&(delivery.to_owned(), number)).copied()
    }
}
