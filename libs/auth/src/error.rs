//! What can be wrong with a token, a key, or a wish for a token. No text here repeats any part of a token or key.

use thiserror::Error;

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Longer than a token may be.
    #[error("the token is longer than {} bytes", crate::MAX_TOKEN_BYTES)]
    TooLong,
    /// Not three parts of unpadded base64url.
    #[error("the token is not a signed JWT: three parts of unpadded base64url, separated by dots")]
    NotCompact,
    /// The header is no JSON object, or names a parameter twice.
    #[error("the token's header is not a JSON object with each parameter once")]
    HeaderMalformed,
    /// The header asks for something we do not do (`crit`) or is no JWT by `typ`.
    #[error("the token's header parameter `{0}` is not supported")]
    HeaderUnsupported(&'static str),
    /// The header has no `kid`, or no key has that id.
    #[error("the token's `kid` is missing or names no known key")]
    KeyUnknown,
    /// The header's `alg` is not the algorithm of the key it names.
    #[error("the token's `alg` is not the algorithm of its key")]
    AlgorithmMismatch,
    /// The signature does not verify.
    #[error("the token's signature does not verify")]
    SignatureInvalid,
    /// The claims are no JSON object, or name a claim twice.
    #[error("the token's claims are not a JSON object with each claim once")]
    ClaimsMalformed,
    /// A required claim is absent.
    #[error("the token's claim `{0}` is missing")]
    ClaimMissing(&'static str),
    /// A claim is of the wrong type or breaks a rule.
    #[error("the token's claim `{claim}` must be {rule}")]
    ClaimInvalid {
        /// The claim's name.
        claim: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// Issued by somebody else.
    #[error("the token's issuer is not the one configured here")]
    IssuerUnknown,
    /// Meant for somebody else.
    #[error("the token's audience does not include `sluice`")]
    AudienceMismatch,
    /// `nbf` or `iat` lies ahead.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `exp` is not after `iat`, or too long after it.
    #[error("the token's lifetime must be above 0 and at most 24 hours (90 days with scope `internal`)")]
    LifetimeOutOfRange,
    /// A role that does not exist.
    #[error("the token has an unknown role")]
    RoleUnknown,
}

/// Why a key, or a set of keys, cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The key id is not usable.
    #[error("a key id must be 1 to 128 printable ASCII characters")]
    KidInvalid,
    /// Not a PEM of the kind needed.
    #[error("the key must be a PEM of an ed25519 {0}")]
    NotEd25519(&'static str),
    /// The HS256 secret is too short.
    #[error("an HS256 secret must be at least 32 bytes long")]
    SecretTooShort,
    /// Two keys have the same id.
    #[error("two keys have the same key id")]
    KidTwice,
    /// No key at all.
    #[error("at least one key is needed to verify tokens")]
    NoKey,
    /// The issuer is empty.
    #[error("the issuer must not be empty")]
    IssuerEmpty,
    /// The system gave no key.
    #[error("no key could be generated")]
    Generation,
}

/// Why no token was minted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MintError {
    /// No verifier would take a token that lives so long, or not at all.
    #[error(
        "a token's lifetime must be at least 1 second and at most 24 hours (90 days with scope `internal`)"
    )]
    LifetimeOutOfRange,
    /// The key did not sign.
    #[error("the token could not be signed")]
    Signing,
}
