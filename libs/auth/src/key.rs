//! What tokens are signed and verified with.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey};
use sluice_domain::Secret;

use crate::error::KeyError;

/// The DER in front of the 32 bytes of an ed25519 public key (RFC 8410, section 4).
const PUBLIC_KEY_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The shortest HS256 secret, in bytes (RFC 7518, section 3.2).
pub(crate) const MIN_SECRET_BYTES: usize = 32;

/// A key that tokens may be signed with: its id, and the one algorithm it is for.
#[derive(Clone)]
pub struct Key {
    kid: String,
    algorithm: Algorithm,
    decoding: DecodingKey,
}

impl Key {
    /// A public ed25519 key from its PEM (`-----BEGIN PUBLIC KEY-----`), for `alg` `EdDSA`.
    ///
    /// # Errors
    /// When the id or the PEM is not usable.
    pub fn ed25519(kid: impl Into<String>, public_pem: &str) -> Result<Self, KeyError> {
        let refused = KeyError::NotEd25519("public key");
        if !public_pem.trim_start().starts_with("-----BEGIN PUBLIC KEY-----") {
            return Err(refused);
        }
        let decoding = DecodingKey::from_ed_pem(public_pem.as_bytes()).map_err(|_| refused)?;
        if decoding.try_get_as_bytes().map_or(0, <[u8]>::len) != 32 {
            return Err(refused);
        }
        Ok(Self { kid: checked_kid(kid.into())?, algorithm: Algorithm::EdDSA, decoding })
    }

    /// A shared secret of at least 32 bytes, for `alg` `HS256`. For development: whoever can verify can also sign.
    ///
    /// # Errors
    /// When the id is not usable or the secret too short.
    pub fn hs256(kid: impl Into<String>, secret: &Secret) -> Result<Self, KeyError> {
        let bytes = secret.expose().as_bytes();
        if bytes.len() < MIN_SECRET_BYTES {
            return Err(KeyError::SecretTooShort);
        }
        Ok(Self {
            kid: checked_kid(kid.into())?,
            algorithm: Algorithm::HS256,
            decoding: DecodingKey::from_secret(bytes),
        })
    }

    /// The key's id, what a token's `kid` must be.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The name of the algorithm in a token's header.
    pub(crate) fn algorithm_name(&self) -> &'static str {
        algorithm_name(self.algorithm)
    }

    /// Whether `signature` (base64url) is this key's over `message`.
    pub(crate) fn signed(&self, message: &str, signature: &str) -> bool {
        let verdict =
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.decoding, self.algorithm);
        verdict.unwrap_or(false)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("algorithm", &self.algorithm_name()).finish()
    }
}

/// `EdDSA` or `HS256`: nothing else is ever made.
fn algorithm_name(algorithm: Algorithm) -> &'static str {
    if algorithm == Algorithm::EdDSA { "EdDSA" } else { "HS256" }
}

/// A key id that can stand in a token's header.
pub(crate) fn checked_kid(kid: String) -> Result<String, KeyError> {
    let fits = (1..=128).contains(&kid.len()) && kid.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(kid) } else { Err(KeyError::KidInvalid) }
}

/// Makes a new ed25519 key pair: the private key as PKCS#8 PEM, and the public one as PEM.
///
/// # Errors
/// When the system has no randomness to give.
pub fn generate_ed25519() -> Result<(Secret, String), KeyError> {
    let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Generation)?;
    let private = pair.to_pkcs8v1().map_err(|_| KeyError::Generation)?;
    let public = [PUBLIC_KEY_PREFIX.as_slice(), pair.public_key().as_ref()].concat();
    Ok((Secret::new(pem("PRIVATE KEY", private.as_ref())), pem("PUBLIC KEY", &public)))
}

/// The bytes as PEM, in lines of 64 characters (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (at, character) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str(&format!("\n-----END {label}-----\n"));
    pem
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Signer;

    #[test]
    fn a_generated_pair_serves_signer_and_verifier() {
        let (private, public) = generate_ed25519().unwrap();
        assert!(Key::ed25519("k1", &public).is_ok());
        assert!(Signer::from_ed25519_pkcs8_pem("i", "k1", &private).is_ok());
        assert!(public.lines().chain(private.expose().lines()).all(|line| line.len() <= 64));
    }

    #[test]
    fn keys_of_another_kind_are_refused() {
        let (private, public) = generate_ed25519().unwrap();
        let x25519 = public.replace("MCowBQYDK2VwAyEA", "MCowBQYDK2VuAyEA");
        let certificate = public.replace("PUBLIC KEY", "CERTIFICATE");
        for bad in [private.expose(), x25519.as_str(), certificate.as_str(), "", "-----BEGIN PUBLIC KEY-----"]
        {
            assert_eq!(Key::ed25519("k1", bad).unwrap_err(), KeyError::NotEd25519("public key"));
        }
    }

    #[test]
    fn short_secrets_and_odd_key_ids_are_refused() {
        let secret = |length| Secret::new("s".repeat(length));
        assert_eq!(Key::hs256("k1", &secret(31)).unwrap_err(), KeyError::SecretTooShort);
        assert!(Key::hs256("k1", &secret(32)).is_ok());
        for bad in ["", "a b", "ä", &"k".repeat(129)] {
            assert_eq!(Key::hs256(bad, &secret(32)).unwrap_err(), KeyError::KidInvalid);
        }
    }

    #[test]
    fn debug_print_shows_no_key_material() {
        let key = Key::hs256("k1", &Secret::new("x".repeat(32))).unwrap();
        assert_eq!(format!("{key:?}"), r#"Key { kid: "k1", algorithm: "HS256" }"#);
    }
}
