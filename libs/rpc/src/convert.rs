//! Instants and lengths of time between the wire and the domain.

use prost_types::{Duration as WireDuration, Timestamp as WireTimestamp};
use sluice_domain::{Span, Timestamp};
use thiserror::Error;

/// The longest length of time on the wire, in seconds (10,000 years, as protobuf has it).
const MAX_SECONDS: i64 = 315_576_000_000;

/// The value on the wire is no time; collect it with `Violations::keep`, which names the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TimeError {
    /// Not an instant.
    #[error("must be a time in the years 1 to 9999, its nanoseconds below 1,000,000,000")]
    Timestamp,
    /// Not a length of time, or a negative one.
    #[error("must be a duration of 0 or more, at most 10,000 years")]
    Duration,
}

/// The instant as it is written on the wire.
pub fn to_timestamp(at: Timestamp) -> WireTimestamp {
    let (seconds, nanos) = at.to_unix();
    WireTimestamp { seconds, nanos }
}

/// The instant that was on the wire; what is finer than a microsecond is cut off.
///
/// # Errors
/// When it is out of the calendar's range.
pub fn from_timestamp(at: &WireTimestamp) -> Result<Timestamp, TimeError> {
    Timestamp::from_unix(at.seconds, at.nanos).ok_or(TimeError::Timestamp)
}

/// The length of time as it is written on the wire.
pub fn to_duration(span: Span) -> WireDuration {
    let micros = span.as_micros();
    let nanos = i32::try_from(micros % 1_000_000 * 1_000).unwrap_or(0);
    WireDuration { seconds: micros / 1_000_000, nanos }
}

/// The length of time that was on the wire; what is finer than a microsecond is cut off.
///
/// # Errors
/// When it is negative or out of range.
pub fn from_duration(duration: &WireDuration) -> Result<Span, TimeError> {
    let fits = (0..=MAX_SECONDS).contains(&duration.seconds) && (0..1_000_000_000).contains(&duration.nanos);
    if !fits {
        return Err(TimeError::Duration);
    }
    Ok(Span::from_micros(duration.seconds * 1_000_000 + i64::from(duration.nanos / 1_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_the_wire_before_and_after_the_epoch() {
        for micros in [0, -1, 1_795_000_000_123_456, -62_135_596_800_000_000] {
            let at = Timestamp::from_micros(micros);
            assert_eq!(from_timestamp(&to_timestamp(at)), Ok(at));
        }
    }

    #[test]
    fn lengths_survive_the_wire() {
        for micros in [0, 1, 999_999, 90 * 86_400 * 1_000_000 + 1] {
            let span = Span::from_micros(micros);
            assert_eq!(from_duration(&to_duration(span)), Ok(span));
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let instant = |seconds, nanos| from_timestamp(&WireTimestamp { seconds, nanos });
        let length = |seconds, nanos| from_duration(&WireDuration { seconds, nanos });
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000)] {
            assert_eq!(instant(seconds, nanos), Err(TimeError::Timestamp));
            assert_eq!(length(seconds, nanos), Err(TimeError::Duration));
        }
        assert_eq!(length(-1, 0), Err(TimeError::Duration));
    }
}
