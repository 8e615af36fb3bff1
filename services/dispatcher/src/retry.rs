//! When a delivery is tried again: exponential backoff with jitter, bounded, with `Retry-After` honoured within bounds.

use sluice_domain::Span;

/// How far from its mean a delay may lie, either way.
const JITTER: f64 = 0.2;

/// The retry schedule of a deployment. The default spans about three days: 5 s, 20 s, 80 s, … up to 12 h, 12 retries.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// How many retries follow the first attempt.
    pub retries: u32,
    /// The mean delay before the first retry.
    #[serde(with = "sluice_runtime::human_span")]
    pub first: Span,
    /// What each further delay is multiplied by.
    pub factor: f64,
    /// The longest mean delay.
    #[serde(with = "sluice_runtime::human_span")]
    pub longest: Span,
    /// The longest `Retry-After` that is honoured.
    #[serde(with = "sluice_runtime::human_span")]
    pub longest_retry_after: Span,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            retries: 12,
            first: Span::from_secs(5),
            factor: 4.0,
            longest: Span::from_secs(12 * 3_600),
            longest_retry_after: Span::from_secs(24 * 3_600),
        }
    }
}

impl Schedule {
    /// The delay before the next try after `used` retries, or `None` when all are used. `fraction` is random in 0..1.
    /// A `Retry-After` makes it longer, never shorter.
    pub fn delay(&self, used: u32, retry_after: Option<Span>, fraction: f64) -> Option<Span> {
        if used >= self.retries {
            return None;
        }
        let asked = retry_after.map_or(Span::ZERO, |asked| asked.min(self.longest_retry_after));
        Some(self.backoff(used, fraction).max(asked))
    }

    /// The delay after `used` tries without asking whether any are left: what a rescued execution waits when it keeps being cut off.
    pub fn backoff(&self, used: u32, fraction: f64) -> Span {
        Backoff { first: self.first, factor: self.factor, longest: self.longest }.delay(used, fraction)
    }

    /// What is wrong with these numbers, if anything.
    pub fn broken_rule(&self) -> Option<&'static str> {
        if self.first < Span::from_millis(10) || self.first > self.longest {
            return Some("retry.first must be at least 10ms and at most retry.longest");
        }
        if !(1.0..=100.0).contains(&self.factor) {
            return Some("retry.factor must be 1 to 100");
        }
        if self.longest > Span::from_secs(30 * 86_400)
            || self.longest_retry_after > Span::from_secs(30 * 86_400)
        {
            return Some("retry.longest and retry.longest_retry_after must be at most 30d");
        }
        if self.retries > 100 {
            return Some("retry.retries must be at most 100");
        }
        None
    }
}

/// Delays that grow by a factor up to a longest one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The mean of the first.
    pub first: Span,
    /// What each further one is multiplied by.
    pub factor: f64,
    /// The longest mean.
    pub longest: Span,
}

impl Backoff {
    /// The delay after `used` others; `fraction` is random in 0..1.
    pub fn delay(&self, used: u32, fraction: f64) -> Span {
        let exponent = i32::try_from(used.min(64)).unwrap_or(64);
        #[expect(clippy::cast_precision_loss, reason = "delays are far below 2^52 microseconds")]
        let (first, longest) = (self.first.as_micros() as f64, self.longest.as_micros() as f64);
        let mean = (first * self.factor.powi(exponent)).min(longest);
        let micros = mean * (1.0 - JITTER + 2.0 * JITTER * fraction.clamp(0.0, 1.0));
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the longest delay and its jitter")]
        Span::from_micros(micros as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_schedule_spans_about_three_days() {
        let schedule = Schedule::default();
        let total: i64 =
            (0..schedule.retries).map(|n| schedule.delay(n, None, 0.5).unwrap().as_micros()).sum();
        let days = total / 86_400_000_000;
        assert!((2..=4).contains(&days), "{days} days");
        assert_eq!(schedule.delay(schedule.retries, None, 0.5), None);
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        let schedule = Schedule::default();
        assert_eq!(schedule.delay(0, None, 0.0), Some(Span::from_secs(4)));
        assert_eq!(schedule.delay(0, None, 1.0), Some(Span::from_secs(6)));
    }

    #[test]
    fn retry_after_lengthens_a_delay_up_to_its_bound_and_never_shortens_it() {
        let schedule = Schedule::default();
        assert_eq!(schedule.delay(0, Some(Span::from_secs(1)), 0.5), Some(Span::from_secs(5)));
        assert_eq!(schedule.delay(0, Some(Span::from_secs(60)), 0.5), Some(Span::from_secs(60)));
        assert_eq!(
            schedule.delay(0, Some(Span::from_secs(999_999)), 0.5),
            Some(schedule.longest_retry_after)
        );
    }

    #[test]
    fn impossible_numbers_name_their_key() {
        assert!(Schedule::default().broken_rule().is_none());
        let broken = Schedule { factor: 0.5, ..Schedule::default() };
        assert!(broken.broken_rule().unwrap().contains("retry.factor"));
    }
}
