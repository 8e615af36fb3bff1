//! Signatures after the Standard Webhooks specification: made for requests, checked by receivers.

use std::borrow::Borrow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

use crate::Secret;

/// Header with the message's id, the same in every attempt.
pub const HEADER_ID: &str = "webhook-id";
/// Header with the attempt's time in whole seconds since the Unix epoch.
pub const HEADER_TIMESTAMP: &str = "webhook-timestamp";
/// Header with the signatures, separated by single spaces.
pub const HEADER_SIGNATURE: &str = "webhook-signature";
/// How far a receiver lets the timestamp be from its own clock, either way, in seconds.
pub const DEFAULT_TOLERANCE_SECONDS: u64 = 300;

/// Scheme of a symmetric signature, HMAC-SHA256.
const SCHEME: &str = "v1";
/// Signatures looked at in one header, so that a hostile sender cannot buy work.
const MAX_SIGNATURES: usize = 32;

/// Signs one attempt under every secret in force and gives the value of [`HEADER_SIGNATURE`].
///
/// The order is that of `secrets`: the newest first by custom. While a rotation overlaps both sign, so a
/// receiver that knows either accepts. Without secrets the value is empty.
/// `timestamp_seconds` is the attempt's time since the Unix epoch; `id` must hold no dot, it is the separator.
pub fn sign<S: Borrow<Secret>>(id: &str, timestamp_seconds: i64, body: &[u8], secrets: &[S]) -> String {
    let timestamp = timestamp_seconds.to_string();
    let mut value = String::new();
    for secret in secrets {
        if !value.is_empty() {
            value.push(' ');
        }
        value.push_str(SCHEME);
        value.push(',');
        STANDARD.encode_string(digest(secret.borrow(), id, &timestamp, body), &mut value);
    }
    value
}

/// The three headers of a signed request, as they arrived.
#[derive(Debug, Clone, Copy)]
pub struct SignedHeaders<'a> {
    /// Value of [`HEADER_ID`].
    pub id: &'a str,
    /// Value of [`HEADER_TIMESTAMP`].
    pub timestamp: &'a str,
    /// Value of [`HEADER_SIGNATURE`].
    pub signature: &'a str,
}

/// Checks that `body` was signed under one of `secrets`, not more than `tolerance_seconds` from `now_seconds`.
///
/// Signatures of schemes other than `v1` are passed over, as the specification wants it. Every candidate is
/// compared with every secret in constant time.
///
/// # Errors
/// [`VerifyError::Timestamp`], [`VerifyError::TooOld`], [`VerifyError::TooNew`] by the clock;
/// [`VerifyError::NoMatch`] when no signature is right.
pub fn verify<S: Borrow<Secret>>(
    headers: SignedHeaders<'_>,
    body: &[u8],
    secrets: &[S],
    now_seconds: i64,
    tolerance_seconds: u64,
) -> Result<(), VerifyError> {
    let sent: i64 = headers.timestamp.parse().map_err(|_| VerifyError::Timestamp)?;
    if sent.abs_diff(now_seconds) > tolerance_seconds {
        return Err(if sent < now_seconds { VerifyError::TooOld } else { VerifyError::TooNew });
    }

    // What was signed is the header's text, not the number it stands for.
    let right: Vec<[u8; 32]> =
        secrets.iter().map(|secret| digest(secret.borrow(), headers.id, headers.timestamp, body)).collect();
    let mut matched = Choice::from(0);
    for candidate in headers.signature.split(' ').take(MAX_SIGNATURES) {
        let Some((SCHEME, encoded)) = candidate.split_once(',') else { continue };
        let Ok(given) = STANDARD.decode(encoded) else { continue };
        for expected in &right {
            matched |= expected.as_slice().ct_eq(&given);
        }
    }
    if bool::from(matched) { Ok(()) } else { Err(VerifyError::NoMatch) }
}

/// Why a signed request is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// `webhook-timestamp` is no whole number of seconds.
    #[error("webhook-timestamp must be whole seconds since the Unix epoch")]
    Timestamp,
    /// The timestamp is further back than the tolerance: late, or replayed.
    #[error("webhook-timestamp is too old")]
    TooOld,
    /// The timestamp is further ahead than the tolerance: a clock is wrong.
    #[error("webhook-timestamp is too far ahead")]
    TooNew,
    /// No signature in the header is right for this body under any of the secrets.
    #[error("webhook-signature has no signature that matches")]
    NoMatch,
}

/// HMAC-SHA256 over `id.timestamp.body`.
fn digest(secret: &Secret, id: &str, timestamp: &str, body: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new(secret.padded().into());
    mac.update(id.as_bytes());
    mac.update(b".");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{DEFAULT_TOLERANCE_SECONDS, SignedHeaders, VerifyError, sign, verify};
    use crate::Secret;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const SENT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const GOLDEN: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn spec_secret() -> Secret {
        Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
    }

    fn other_secret() -> Secret {
        Secret::from_bytes(&[42; 32]).unwrap()
    }

    fn check(signature: &str, body: &[u8], secrets: &[Secret], now: i64) -> Result<(), VerifyError> {
        let timestamp = SENT.to_string();
        let headers = SignedHeaders { id: ID, timestamp: &timestamp, signature };
        verify(headers, body, secrets, now, DEFAULT_TOLERANCE_SECONDS)
    }

    #[test]
    fn the_specification_example_has_its_signature() {
        assert_eq!(sign(ID, SENT, BODY, &[spec_secret()]), GOLDEN);
    }

    /// Expected values by Python's `hmac` module.
    #[test]
    fn signatures_are_those_of_an_independent_implementation() {
        let counting: Vec<u8> = (0..64).collect();
        let cases: [(usize, &[u8], &str); 2] = [
            (64, b"", "v1,CpNrUs+laJb7uTGSPCuffUIB7CePO0Cr+/j+ck/Vf4Q="),
            (32, b"\x00\xff\n", "v1,y2XROeqWvYVuMV6W6Pkc5jTk8DsR/3atyFkzDt2L4YQ="),
        ];
        for (length, body, expected) in cases {
            let secret = Secret::from_bytes(&counting[..length]).unwrap();
            assert_eq!(sign("dl_01h455vb4pex5vsknk084sn02q", 1_735_689_600, body, &[secret]), expected);
        }
    }

    #[test]
    fn while_a_rotation_overlaps_either_secret_verifies() {
        let value = sign(ID, SENT, BODY, &[&other_secret(), &spec_secret()]);
        assert_eq!(value.split(' ').count(), 2);
        assert!(value.ends_with(GOLDEN));
        assert_eq!(check(&value, BODY, &[spec_secret()], SENT), Ok(()));
        assert_eq!(check(&value, BODY, &[other_secret()], SENT), Ok(()));
        assert_eq!(check(GOLDEN, BODY, &[other_secret(), spec_secret()], SENT), Ok(()));
    }

    #[test]
    fn a_changed_body_id_or_secret_does_not_verify() {
        assert_eq!(check(GOLDEN, b"{}", &[spec_secret()], SENT), Err(VerifyError::NoMatch));
        assert_eq!(check(GOLDEN, BODY, &[other_secret()], SENT), Err(VerifyError::NoMatch));
        assert_eq!(check(GOLDEN, BODY, &[], SENT), Err(VerifyError::NoMatch));
        let headers = SignedHeaders { id: "msg_other", timestamp: "1614265330", signature: GOLDEN };
        assert_eq!(verify(headers, BODY, &[spec_secret()], SENT, 300), Err(VerifyError::NoMatch));
    }

    #[test]
    fn only_whole_v1_signatures_count() {
        let bare = GOLDEN.trim_start_matches("v1,");
        let truncated = "v1,g0hM9SsE";
        for signature in [
            "",
            "v1",
            "v1,",
            bare,
            truncated,
            &format!("v1a,{bare}"),
            &format!("v1,{bare} ").replace("g0", "h0"),
        ] {
            assert_eq!(
                check(signature, BODY, &[spec_secret()], SENT),
                Err(VerifyError::NoMatch),
                "{signature}"
            );
        }
        let mixed = format!("v1a,AAAA v2,{bare} {GOLDEN}");
        assert_eq!(check(&mixed, BODY, &[spec_secret()], SENT), Ok(()));
    }

    #[test]
    fn the_tolerance_holds_both_ways_to_the_second() {
        let secrets = [spec_secret()];
        assert_eq!(check(GOLDEN, BODY, &secrets, SENT + 300), Ok(()));
        assert_eq!(check(GOLDEN, BODY, &secrets, SENT - 300), Ok(()));
        assert_eq!(check(GOLDEN, BODY, &secrets, SENT + 301), Err(VerifyError::TooOld));
        assert_eq!(check(GOLDEN, BODY, &secrets, SENT - 301), Err(VerifyError::TooNew));
        assert_eq!(check(GOLDEN, BODY, &secrets, i64::MAX), Err(VerifyError::TooOld));
        assert_eq!(check(GOLDEN, BODY, &secrets, i64::MIN), Err(VerifyError::TooNew));
    }

    #[test]
    fn a_timestamp_must_be_whole_seconds() {
        for timestamp in ["", "now", "1614265330.5", " 1614265330", "99999999999999999999"] {
            let headers = SignedHeaders { id: ID, timestamp, signature: GOLDEN };
            assert_eq!(verify(headers, BODY, &[spec_secret()], SENT, 300), Err(VerifyError::Timestamp));
        }
    }

    proptest! {
        #[test]
        fn whatever_is_signed_verifies(
            body in any::<Vec<u8>>(),
            key in proptest::collection::vec(any::<u8>(), 24..=64),
            sent in any::<i64>(),
        ) {
            let secrets = [Secret::from_bytes(&key).unwrap()];
            let signature = sign(ID, sent, &body, &secrets);
            let timestamp = sent.to_string();
            let headers = SignedHeaders { id: ID, timestamp: &timestamp, signature: &signature };
            prop_assert_eq!(verify(headers, &body, &secrets, sent, 0), Ok(()));
        }
    }
}
