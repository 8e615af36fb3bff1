//! One HTTP try of a delivery: what it meant, and what the history keeps of it.

use std::borrow::Cow;

use sluice_domain::{Span, Timestamp};

use crate::execution::{EndReason, stored_as_text};

/// What an attempt meant for its delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered 2xx.
    Succeeded,
    /// No retry would change it.
    Failed {
        /// Why.
        reason: EndReason,
        /// For people.
        message: String,
    },
    /// Worth another try.
    Retryable {
        /// What went wrong, for people.
        message: String,
        /// What the receiver asked for.
        retry_after: Option<Span>,
    },
    /// This process had to end before there was an answer: no fault of the receiver's, so it uses no retry.
    CutOff,
}

stored_as_text! {
    /// How an attempt is kept.
    Verdict {
        /// Under way; never stored, since an attempt under way stands with the pending work.
        Started = "STARTED",
        /// The receiver answered 2xx.
        Succeeded = "SUCCEEDED",
        /// It failed and another follows.
        Retried = "FAILED_RETRYABLE",
        /// It failed for good.
        Failed = "FAILED",
        /// Its owner died while it was under way, or had to end.
        Interrupted = "INTERRUPTED",
    }
}

/// A header as the history keeps it: `None` where the value is kept back.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeptHeader(pub Cow<'static, str>, pub Option<String>);

/// What the receiver answered, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<KeptHeader>,
    /// Its body, capped.
    pub body: Vec<u8>,
    /// Whether the body went on beyond the cap.
    pub truncated: bool,
}

/// An attempt on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which delivery of the plan.
    pub step: usize,
    /// 1, 2, … without gaps within the delivery.
    pub number: i64,
    /// How it came out.
    pub verdict: Verdict,
    /// When it was put on record, by the database's clock.
    pub started_at: Timestamp,
    /// When its end was recorded, by the database's clock; `None` while it is under way.
    pub ended_at: Option<Timestamp>,
    /// From the dial to the end of the answer.
    pub duration: Span,
    /// URL path and query, with the webhook's own query values kept back.
    pub url_path: String,
    /// The request's headers.
    pub request_headers: Vec<KeptHeader>,
    /// The answer, if there was one.
    pub answer: Option<KeptAnswer>,
    /// What went wrong, if anything.
    pub error: String,
}

/// What an answer with this status means. Its `Retry-After` in seconds counts where a retry follows.
pub fn judge(status: u16, retry_after: Option<Span>) -> Outcome {
    let message = format!("the receiver answered {status}");
    match status {
        200..=299 => Outcome::Succeeded,
        401 => Outcome::Failed { reason: EndReason::Unauthenticated, message },
        403 => Outcome::Failed { reason: EndReason::Forbidden, message },
        408 | 425 | 429 | 500..=599 => Outcome::Retryable { message, retry_after },
        _ => Outcome::Failed { reason: EndReason::RefusedByReceiver, message },
    }
}

/// Reads a `Retry-After` header (RFC 9110, 10.2.3): seconds, or a date compared with `now`.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Span> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Span::from_secs(i64::from(seconds)));
    }
    let date = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    Some(Timestamp::from(date.to_utc()).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_statuses_are_retried() {
        for status in [408, 425, 429, 500, 502, 503, 599] {
            assert!(matches!(judge(status, None), Outcome::Retryable { .. }), "{status}");
        }
        for status in [100, 300, 301, 304, 400, 404, 409, 410, 422, 600] {
            let outcome = judge(status, None);
            assert!(
                matches!(outcome, Outcome::Failed { reason: EndReason::RefusedByReceiver, .. }),
                "{status}"
            );
        }
        assert!(matches!(judge(401, None), Outcome::Failed { reason: EndReason::Unauthenticated, .. }));
        assert!(matches!(judge(403, None), Outcome::Failed { reason: EndReason::Forbidden, .. }));
        assert_eq!(judge(204, None), Outcome::Succeeded);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_micros(784_111_777_000_000); // Sun, 06 Nov 1994 08:49:37 GMT
        assert_eq!(retry_after("120", now), Some(Span::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now), Some(Span::from_secs(60)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Span::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }
}
