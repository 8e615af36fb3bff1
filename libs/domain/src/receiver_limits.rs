//! What a webhook's receiver is to be spared, as its owner says.

use crate::{Rate, Span};

/// The most requests under way that can be asked for.
const MAX_IN_FLIGHT: u32 = 1_000;
/// The most units, and the most of them at once.
const MAX_UNITS: u32 = 1_000_000;
/// The longest span units are counted over.
const LONGEST: Span = Span::from_secs(31 * 86_400);
/// The longest that a whole burst may take to come back, in seconds.
const LONGEST_BURST_S: i64 = 10 * 365 * 86_400;

/// A receiver's own limits; none where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceiverLimits {
    /// How many requests may be under way at once, from each dispatcher.
    pub max_in_flight: Option<u32>,
    /// How many may begin, retries included.
    pub rate: Option<Rate>,
}

impl ReceiverLimits {
    /// Whether there is none.
    pub const fn is_none(&self) -> bool {
        self.max_in_flight.is_none() && self.rate.is_none()
    }

    /// What is wrong with a number of requests under way, if anything.
    pub fn in_flight_fault(max_in_flight: u32) -> Option<&'static str> {
        (!(1..=MAX_IN_FLIGHT).contains(&max_in_flight)).then_some("must be 1 to 1,000")
    }

    /// What is wrong with a rate: the fields, and their rules.
    pub fn rate_faults(rate: Rate) -> Vec<(&'static str, &'static str)> {
        let mut faults = Vec::new();
        if !(1..=MAX_UNITS).contains(&rate.units) {
            faults.push(("units", "must be 1 to 1,000,000"));
        }
        if !(Span::from_secs(1)..=LONGEST).contains(&rate.per) {
            faults.push(("per", "must be 1 second to 31 days"));
        }
        if !(1..=MAX_UNITS).contains(&rate.burst) {
            faults.push(("burst", "must be 1 to 1,000,000"));
        }
        let whole_burst = i128::from(rate.per.as_micros()) * i128::from(rate.burst);
        let longest = i128::from(LONGEST_BURST_S) * 1_000_000 * i128::from(rate.units);
        if faults.is_empty() && whole_burst > longest {
            faults.push(("burst", "must come back whole within ten years"));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_that_is_out_of_bounds_is_named() {
        assert_eq!(
            [0, 1, 1_000, 1_001].map(|max| ReceiverLimits::in_flight_fault(max).is_some()),
            [true, false, false, true]
        );
        let rate = |units, seconds, burst| Rate { units, per: Span::from_secs(seconds), burst };
        let fields =
            |rate| ReceiverLimits::rate_faults(rate).iter().map(|(field, _)| *field).collect::<Vec<_>>();
        assert_eq!(fields(rate(1, 1, 1)), [""; 0]);
        assert_eq!(fields(rate(1_000_000, 31 * 86_400, 1_000_000)), [""; 0]);
        assert_eq!(fields(rate(0, 0, 0)), ["units", "per", "burst"]);
        assert_eq!(fields(rate(1_000_001, 31 * 86_400 + 1, 1_000_001)), ["units", "per", "burst"]);
        assert_eq!(fields(rate(1, 86_400, 1_000_000)), ["burst"], "it would take 2,700 years");
    }
}
