//! I7 and I11: what waits uses up nothing, and nothing waits for longer than it has to.

use proto::dispatcher::v1::{AttemptOutcome, Delivery, EndReason, Execution};

use super::Ledgers;
use crate::house::micros;

impl Ledgers {
    /// I7: neither a pause nor a kill uses a retry. What ended for want of retries has made them all.
    pub(super) fn used_no_retry(&self, execution: &Execution, delivery: &Delivery, found: &mut Vec<String>) {
        let Some(retries) = self.terms.retries else { return };
        let failed =
            delivery.attempts.iter().filter(|attempt| attempt.outcome() == AttemptOutcome::FailedRetryable);
        let failed = failed.count();
        let exhausted = execution.end.as_ref().is_some_and(|end| end.reason() == EndReason::RetriesExhausted);
        let ended_here = delivery.attempts.last().map(|attempt| attempt.outcome())
            == Some(AttemptOutcome::FailedRetryable);
        if exhausted && ended_here && failed <= retries {
            found.push(format!(
                "I7: {} ended for want of retries after {} of {retries}",
                delivery.id,
                failed.saturating_sub(1)
            ));
        }
        if failed > retries + 1 {
            found.push(format!(
                "I6: {} was retried {} times, and {retries} were allowed",
                delivery.id,
                failed - 1
            ));
        }
    }

    /// I11: how long after its lease was over, or after somebody was there again to see it, each attempt that was cut off stayed so,
    /// at most. `kills` are when somebody was killed, and when it served again, in microseconds.
    pub fn stuck(&self, kills: &[(i64, i64)]) -> i64 {
        let attempts = self.deliveries().flat_map(|delivery| &delivery.attempts);
        let cut = attempts.filter(|attempt| attempt.outcome() == AttemptOutcome::Interrupted);
        let stuck = cut.map(|attempt| {
            let (start, end) = (micros(attempt.start_time), micros(attempt.end_time));
            let over = start + self.terms.lease;
            // Down when the lease was over: it is judged from when somebody serves again.
            let down =
                kills.iter().filter(|(kill, back)| *kill <= end && over < *back).map(|(_, back)| *back);
            end - down.fold(over, i64::max)
        });
        stuck.max().unwrap_or(0)
    }
}
