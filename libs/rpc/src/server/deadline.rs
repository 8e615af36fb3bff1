//! How long a call may take: the client's `grpc-timeout` and the server's own limit.

use std::time::Duration;

use http::HeaderMap;

/// The header in which a client says how long it waits.
const GRPC_TIMEOUT: &str = "grpc-timeout";

/// The time the client gives the call: at most 8 digits and a unit (`H M S m u n`). What is malformed counts as absent.
pub(crate) fn asked_for(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let digits_only = (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let amount = digits.parse::<u64>().ok().filter(|_| digits_only)?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3_600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_TIMEOUT, value.parse().unwrap());
        asked_for(&headers)
    }

    #[test]
    fn every_unit_of_the_protocol_is_read() {
        let seconds = Duration::from_secs;
        assert_eq!(
            (asked("2H"), asked("3M"), asked("4S")),
            (Some(seconds(7_200)), Some(seconds(180)), Some(seconds(4)))
        );
        assert_eq!(
            (asked("5m"), asked("6u")),
            (Some(Duration::from_millis(5)), Some(Duration::from_micros(6)))
        );
        assert_eq!(asked("99999999n"), Some(Duration::from_nanos(99_999_999)));
    }

    #[test]
    fn what_is_malformed_counts_as_absent() {
        assert_eq!(asked_for(&HeaderMap::new()), None);
        for bad in ["", "S", "1", "1s", "+1S", "-1S", "1.5S", "123456789S", "1 S"] {
            assert_eq!(asked(bad), None, "{bad}");
        }
    }
}
