//! From a token to a principal.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::sync::Cache;
use serde_json::{Map, Value};
use sluice_domain::Timestamp;

use crate::claims::{MAX_TOKEN_BYTES, UniqueObject, Valid, judge};
use crate::error::{KeyError, TokenError};
use crate::key::Key;
use crate::principal::Principal;

/// How many tokens are known by their digest at most.
const KNOWN: u64 = 10_000;

/// One issuer and the keys its tokens may be signed with.
///
/// A caller shows the same token again and again, and to check its signature costs more than all the rest of a call: one that has
/// verified is known by its SHA-256 from then on, with the times between which it is valid. What has not verified is never known.
#[derive(Debug, Clone)]
pub struct Verifier {
    issuer: String,
    keys: Vec<Key>,
    known: Cache<[u8; 32], Arc<Valid>>,
}

impl Verifier {
    /// A verifier for tokens whose `iss` is `issuer`; several keys while they are rotated.
    ///
    /// # Errors
    /// When the issuer is empty, there is no key, or two have the same id.
    pub fn new(issuer: impl Into<String>, keys: Vec<Key>) -> Result<Self, KeyError> {
        let issuer = issuer.into();
        if issuer.is_empty() {
            return Err(KeyError::IssuerEmpty);
        }
        if keys.is_empty() {
            return Err(KeyError::NoKey);
        }
        let twice = |at: usize| keys[..at].iter().any(|earlier| earlier.kid() == keys[at].kid());
        if (0..keys.len()).any(twice) {
            return Err(KeyError::KidTwice);
        }
        Ok(Self { issuer, keys, known: Cache::new(KNOWN) })
    }

    /// The principal that the token vouches for at this time.
    ///
    /// The signature is checked before any claim is looked at, by the key's own algorithm.
    ///
    /// # Errors
    /// The first thing that is wrong with the token.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let known = <[u8; 32]>::try_from(digest(&SHA256, token.as_bytes()).as_ref()).ok();
        let valid = known.and_then(|digest| self.known.get(&digest)).filter(|valid| valid.holds_at(now));
        if let Some(valid) = valid {
            return Ok(valid.principal.clone());
        }
        let valid = self.judged(token, now)?;
        let principal = valid.principal.clone();
        if let Some(digest) = known {
            self.known.insert(digest, Arc::new(valid));
        }
        Ok(principal)
    }

    fn judged(&self, token: &str, now: Timestamp) -> Result<Valid, TokenError> {
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::NotCompact);
        };
        let key = self.key_for(&object(header, TokenError::HeaderMalformed)?)?;
        if !key.signed(&token[..header.len() + 1 + claims.len()], signature) {
            return Err(TokenError::SignatureInvalid);
        }
        judge(&object(claims, TokenError::ClaimsMalformed)?, &self.issuer, now)
    }

    fn key_for(&self, header: &Map<String, Value>) -> Result<&Key, TokenError> {
        if header.contains_key("crit") {
            return Err(TokenError::HeaderUnsupported("crit"));
        }
        if !header.get("typ").is_none_or(is_jwt) {
            return Err(TokenError::HeaderUnsupported("typ"));
        }
        let kid = header.get("kid").and_then(Value::as_str).ok_or(TokenError::KeyUnknown)?;
        let key = self.keys.iter().find(|key| key.kid() == kid).ok_or(TokenError::KeyUnknown)?;
        if header.get("alg").and_then(Value::as_str) != Some(key.algorithm_name()) {
            return Err(TokenError::AlgorithmMismatch);
        }
        Ok(key)
    }
}

/// `JWT`, or `at+jwt` as access tokens say (RFC 9068).
fn is_jwt(typ: &Value) -> bool {
    typ.as_str().is_some_and(|typ| typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt"))
}

fn object(part: &str, malformed: TokenError) -> Result<Map<String, Value>, TokenError> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::NotCompact)?;
    serde_json::from_slice::<UniqueObject>(&json).map(|object| object.0).map_err(|_| malformed)
}

#[cfg(test)]
mod tests;
