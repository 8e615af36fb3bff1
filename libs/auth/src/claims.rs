//! The claims of a token as they stand in its JSON, and the rules they must keep.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};
use sluice_domain::{AccountId, Span, Timestamp, UserId};

use crate::error::TokenError;
use crate::principal::{Principal, Role, Scope};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// By how much the issuer's clock may differ from ours.
pub const LEEWAY: Span = Span::from_secs(30);

/// The longest time from `iat` to `exp`.
pub const MAX_LIFETIME: Span = Span::from_secs(24 * 3600);

/// The longest time from `iat` to `exp` of a token with scope `internal`: such tokens are mounted into our own
/// services and renewed with them.
pub const MAX_INTERNAL_LIFETIME: Span = Span::from_secs(90 * 24 * 3600);

/// Who tokens are meant for, the `aud` of each.
pub(crate) const AUDIENCE: &str = "sluice";

/// The last second that a date can name (year 9999).
const LAST_SECOND: i64 = 253_402_300_799;

/// A JSON object that names each member once; serde_json itself would let the last of several win.
pub(crate) struct UniqueObject(pub(crate) Map<String, Value>);

impl<'de> Deserialize<'de> for UniqueObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = UniqueObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<UniqueObject, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = entries.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name occurs twice"));
                    }
                }
                Ok(UniqueObject(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A token whose signature has verified and whose claims keep the rules.
#[derive(Debug, Clone)]
pub(crate) struct Valid {
    /// Whom it vouches for.
    pub(crate) principal: Principal,
    /// From when on.
    pub(crate) from: Timestamp,
    /// Until when; no longer then.
    pub(crate) until: Timestamp,
}

impl Valid {
    /// Whether it vouches at this time.
    pub(crate) fn holds_at(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

/// Checks the claims of a token whose signature has verified, and takes the principal from them.
pub(crate) fn judge(claims: &Map<String, Value>, issuer: &str, now: Timestamp) -> Result<Valid, TokenError> {
    if required(claims, "iss")?.as_str() != Some(issuer) {
        return Err(TokenError::IssuerUnknown);
    }
    if !names_us(required(claims, "aud")?) {
        return Err(TokenError::AudienceMismatch);
    }
    let user = subject(required(claims, "sub")?)?;
    let expires = time(claims, "exp")?;
    let issued = time(claims, "iat")?;
    let not_before = time(claims, "nbf")?;
    let roles = roles(claims.get("roles"))?;
    let scopes = scopes(claims.get("scope"))?;
    let account = account(claims.get("account"))?;

    let (from, until) = (not_before.max(issued).minus(LEEWAY), expires.plus(LEEWAY));
    if from > now {
        return Err(TokenError::NotYetValid);
    }
    if until <= now {
        return Err(TokenError::Expired);
    }
    let principal = Principal::new(account, user, roles, scopes);
    if !lifetime_allowed(&principal, expires.since(issued)) {
        return Err(TokenError::LifetimeOutOfRange);
    }
    Ok(Valid { principal, from, until })
}

/// Whether a token of this principal may live so long.
pub(crate) fn lifetime_allowed(principal: &Principal, lifetime: Span) -> bool {
    let longest = if principal.has_scope(Scope::Internal) { MAX_INTERNAL_LIFETIME } else { MAX_LIFETIME };
    lifetime > Span::ZERO && lifetime <= longest
}

fn required<'a>(claims: &'a Map<String, Value>, claim: &'static str) -> Result<&'a Value, TokenError> {
    claims.get(claim).ok_or(TokenError::ClaimMissing(claim))
}

fn names_us(audience: &Value) -> bool {
    match audience {
        Value::String(one) => one == AUDIENCE,
        Value::Array(many) => many.iter().any(|one| one.as_str() == Some(AUDIENCE)),
        _ => false,
    }
}

fn subject(claim: &Value) -> Result<UserId, TokenError> {
    claim.as_str().and_then(|text| text.parse().ok()).ok_or(TokenError::ClaimInvalid {
        claim: "sub",
        rule: "1 to 128 printable ASCII characters without spaces",
    })
}

fn time(claims: &Map<String, Value>, claim: &'static str) -> Result<Timestamp, TokenError> {
    let seconds = required(claims, claim)?.as_i64().filter(|seconds| (0..=LAST_SECOND).contains(seconds));
    seconds
        .and_then(|seconds| Timestamp::from_unix(seconds, 0))
        .ok_or(TokenError::ClaimInvalid { claim, rule: "whole seconds since 1970" })
}

fn account(claim: Option<&Value>) -> Result<Option<AccountId>, TokenError> {
    let invalid =
        TokenError::ClaimInvalid { claim: "account", rule: "1 to 64 characters out of A-Z a-z 0-9 . _ ~ -" };
    claim.map(|value| value.as_str().and_then(|text| text.parse().ok()).ok_or(invalid)).transpose()
}

fn roles(claim: Option<&Value>) -> Result<Vec<Role>, TokenError> {
    let invalid = TokenError::ClaimInvalid { claim: "roles", rule: "a list of names" };
    let Some(claim) = claim else { return Ok(Vec::new()) };
    let names = claim.as_array().ok_or(invalid)?;
    names
        .iter()
        .map(|name| Role::named(name.as_str().ok_or(invalid)?).ok_or(TokenError::RoleUnknown))
        .collect()
}

fn scopes(claim: Option<&Value>) -> Result<Vec<Scope>, TokenError> {
    let invalid = TokenError::ClaimInvalid { claim: "scope", rule: "names separated by spaces" };
    let Some(claim) = claim else { return Ok(Vec::new()) };
    Ok(claim.as_str().ok_or(invalid)?.split(' ').filter_map(Scope::named).collect())
}
