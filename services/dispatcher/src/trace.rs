//! The trace an execution belongs to, as people look for it.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use sluice_domain::AccountId;
use thiserror::Error;

/// A W3C trace id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// The text is no trace id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be 32 hexadecimal digits, not all of them 0")]
pub struct TraceIdError;

impl TraceId {
    /// The trace of a W3C `traceparent`, if it has one.
    pub fn of(traceparent: &str) -> Option<Self> {
        traceparent.split('-').nth(1)?.parse().ok()
    }

    /// What stands for the trace in an account's rows: eight bytes, evenly spread whatever made the ids (some set only the lower
    /// half), and another for each account, so that nobody's rows lie among somebody else's. Rows that share it are told apart by
    /// the trace itself.
    pub fn key(self, account: &AccountId) -> i64 {
        let digest = Sha256::new().chain_update(self.0).chain_update(account.as_str()).finalize();
        let (first, _) = digest.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        i64::from_be_bytes(*first)
    }
}

impl FromStr for TraceId {
    type Err = TraceIdError;

    fn from_str(text: &str) -> Result<Self, TraceIdError> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(TraceIdError);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| TraceIdError)?;
        if number == 0 { Err(TraceIdError) } else { Ok(Self(number.to_be_bytes())) }
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_trace_is_read_from_its_digits_and_from_a_traceparent() {
        let trace: TraceId = TRACE.parse().unwrap();
        assert_eq!(trace.to_string(), TRACE);
        assert_eq!(TRACE.to_uppercase().parse(), Ok(trace));
        assert_eq!(TraceId::of(&format!("00-{TRACE}-00f067aa0ba902b7-01")), Some(trace));
        assert_eq!(TraceId::of(""), None);
    }

    #[test]
    fn what_is_no_trace_id_is_refused() {
        let signed = format!("+{}", &TRACE[1..]);
        let zeros = "0".repeat(32);
        for bad in ["", "4bf9", &TRACE[1..], &format!("{TRACE}0"), &signed, &zeros, &TRACE.replace('4', "g")]
        {
            assert_eq!(bad.parse::<TraceId>(), Err(TraceIdError), "{bad}");
        }
    }

    #[test]
    fn each_account_has_a_key_of_its_own_for_a_trace() {
        let trace: TraceId = TRACE.parse().unwrap();
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        assert_eq!(trace.key(&acme), trace.key(&acme));
        assert_ne!(trace.key(&acme), trace.key(&other));
    }
}
