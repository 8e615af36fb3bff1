//! Standard Webhooks: sign, verify, rotate.
//!
//! - [`Secret`]: one endpoint's symmetric key, `whsec_…`; it has no way into a log.
//! - [`sign`]: the value of `webhook-signature` for one attempt, under every secret in force.
//! - [`verify`]: the receiver's side of it, for receivers of ours (`sluice demo`) and for tests.
//! - [`SecretError`], [`VerifyError`]: why not.
//!
//! Follows the Standard Webhooks specification, scheme `v1` (HMAC-SHA256). Nothing here reads a clock or
//! draws randomness: time and random bytes are arguments.

mod secret;
mod signature;

pub use secret::{Secret, SecretError};
pub use signature::{
    DEFAULT_TOLERANCE_SECONDS, HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, SignedHeaders, VerifyError,
    sign, verify,
};
