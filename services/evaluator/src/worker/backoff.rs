//! How long to wait before the next try: twice as long each time, any part of it.

use std::time::Duration;

use sluice_runtime::Entropy;

/// A row of failures without a success between them.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits of about `first` after one failure, up to `longest` after many.
    pub(super) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// Something worked.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure: between half and all of the doubled span.
    pub(super) fn next(&mut self, entropy: &Entropy) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        doubled.min(self.longest).mul_f64(0.5 + entropy.fraction() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_start_over_after_a_success() {
        let entropy = Entropy::seeded(1);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let waits: Vec<Duration> = (0..40).map(|_| backoff.next(&entropy)).collect();
        assert!(waits[0] <= Duration::from_millis(100) && waits[0] >= Duration::from_millis(50));
        assert!(waits[39] <= Duration::from_secs(5) && waits[39] >= Duration::from_millis(2_500));
        backoff.reset();
        assert!(backoff.next(&entropy) <= Duration::from_millis(100));
    }
}
