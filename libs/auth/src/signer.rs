//! Mints tokens.

use std::fmt;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value};
use sluice_domain::{Secret, Span, Timestamp};

use crate::claims::{AUDIENCE, lifetime_allowed};
use crate::error::{KeyError, MintError};
use crate::key::{MIN_SECRET_BYTES, checked_kid};
use crate::principal::Principal;

/// An issuer with its private key.
pub struct Signer {
    issuer: String,
    header: Header,
    key: EncodingKey,
}

impl Signer {
    /// An issuer that signs with an ed25519 key, given as PKCS#8 PEM.
    ///
    /// # Errors
    /// When the issuer is empty, or the key or its id not usable.
    pub fn from_ed25519_pkcs8_pem(
        issuer: impl Into<String>,
        kid: impl Into<String>,
        private_pem: &Secret,
    ) -> Result<Self, KeyError> {
        let refused = |_| KeyError::NotEd25519("private key");
        let key = EncodingKey::from_ed_pem(private_pem.expose().as_bytes()).map_err(refused)?;
        jsonwebtoken::crypto::sign(b"probe", &key, Algorithm::EdDSA).map_err(refused)?;
        Self::new(issuer.into(), kid.into(), Algorithm::EdDSA, key)
    }

    /// An issuer that signs with a shared secret of at least 32 bytes. For development.
    ///
    /// # Errors
    /// When the issuer is empty, the secret too short, or its id not usable.
    pub fn from_hs256(
        issuer: impl Into<String>,
        kid: impl Into<String>,
        secret: &Secret,
    ) -> Result<Self, KeyError> {
        let bytes = secret.expose().as_bytes();
        if bytes.len() < MIN_SECRET_BYTES {
            return Err(KeyError::SecretTooShort);
        }
        Self::new(issuer.into(), kid.into(), Algorithm::HS256, EncodingKey::from_secret(bytes))
    }

    fn new(issuer: String, kid: String, algorithm: Algorithm, key: EncodingKey) -> Result<Self, KeyError> {
        if issuer.is_empty() {
            return Err(KeyError::IssuerEmpty);
        }
        let mut header = Header::new(algorithm);
        header.kid = Some(checked_kid(kid)?);
        Ok(Self { issuer, header, key })
    }

    /// A token for the principal, valid from `now` for `lifetime` (whole seconds, rounded down).
    ///
    /// # Errors
    /// When no verifier would take a token that lives so long, or the key fails.
    pub fn mint(&self, principal: &Principal, now: Timestamp, lifetime: Span) -> Result<String, MintError> {
        let issued = now.to_unix().0;
        let expires = now.plus(lifetime).to_unix().0;
        if !lifetime_allowed(principal, Span::from_secs(expires - issued)) {
            return Err(MintError::LifetimeOutOfRange);
        }
        let mut claims = Map::new();
        let mut claim = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        claim("iss", self.issuer.as_str().into());
        claim("aud", AUDIENCE.into());
        claim("sub", principal.user().as_str().into());
        claim("iat", issued.into());
        claim("nbf", issued.into());
        claim("exp", expires.into());
        if let Some(account) = principal.account() {
            claim("account", account.as_str().into());
        }
        let roles: Vec<Value> = principal.roles().map(|role| role.as_str().into()).collect();
        if !roles.is_empty() {
            claim("roles", roles.into());
        }
        let scopes: Vec<&str> = principal.scopes().map(|scope| scope.as_str()).collect();
        if !scopes.is_empty() {
            claim("scope", scopes.join(" ").into());
        }
        jsonwebtoken::encode(&self.header, &claims, &self.key).map_err(|_| MintError::Signing)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("issuer", &self.issuer).field("kid", &self.header.kid).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::Scope;

    fn signer() -> Signer {
        Signer::from_hs256("i", "k", &Secret::new("s".repeat(32))).unwrap()
    }

    #[test]
    fn lifetimes_that_no_verifier_takes_are_not_minted() {
        let user: sluice_domain::UserId = "u".parse().unwrap();
        let producer = Principal::new(None, user.clone(), [], [Scope::EventsWrite]);
        let internal = Principal::service(user);
        let day = 24 * 3600;
        let mint = |principal, seconds| signer().mint(principal, Timestamp::EPOCH, Span::from_secs(seconds));
        for bad in [0, day + 1] {
            assert_eq!(mint(&producer, bad), Err(MintError::LifetimeOutOfRange));
        }
        assert!(mint(&producer, day).is_ok());
        assert!(mint(&internal, 90 * day).is_ok());
        assert_eq!(mint(&internal, 90 * day + 1), Err(MintError::LifetimeOutOfRange));
    }

    #[test]
    fn unusable_keys_are_refused_at_once() {
        let public = crate::generate_ed25519().unwrap().1;
        for bad in ["", "no pem", public.as_str()] {
            let refused = Signer::from_ed25519_pkcs8_pem("i", "k", &Secret::new(bad)).unwrap_err();
            assert_eq!(refused, KeyError::NotEd25519("private key"));
        }
        let short = Secret::new("short");
        assert_eq!(Signer::from_hs256("i", "k", &short).unwrap_err(), KeyError::SecretTooShort);
    }

    #[test]
    fn debug_print_shows_no_key_material() {
        assert_eq!(format!("{:?}", signer()), r#"Signer { issuer: "i", kid: Some("k") }"#);
    }
}
