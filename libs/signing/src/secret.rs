//! The secrets that sign, and their spelling `whsec_…`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize as _, Zeroizing};

/// The block of SHA-256 in bytes: HMAC pads shorter keys with zeros to it, so a padded key is the same key.
pub(crate) const BLOCK: usize = 64;

/// One symmetric signing key, written `whsec_<base64>`.
///
/// It has no `Debug`, no `Display` and no serialisation, and is wiped when dropped.
pub struct Secret {
    padded: Zeroizing<[u8; BLOCK]>,
    length: usize,
}

impl Secret {
    /// What every written secret begins with.
    pub const PREFIX: &'static str = "whsec_";
    /// Fewest bytes of a key (192 bits).
    pub const MIN_BYTES: usize = 24;
    /// Most bytes of a key (512 bits).
    pub const MAX_BYTES: usize = BLOCK;

    /// Takes key bytes, for a new secret those of a cryptographic random source (32 are a good number).
    ///
    /// # Errors
    /// [`SecretError::Length`] unless there are 24 to 64 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        if !(Self::MIN_BYTES..=Self::MAX_BYTES).contains(&bytes.len()) {
            return Err(SecretError::Length { bytes: bytes.len() });
        }
        let mut padded = Zeroizing::new([0; BLOCK]);
        for (to, from) in padded.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(Self { padded, length: bytes.len() })
    }

    /// Reads `whsec_<base64>` (standard alphabet, padded).
    ///
    /// # Errors
    /// Says what is wrong with the text and never repeats it.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(Self::PREFIX).ok_or(SecretError::Prefix)?;
        let mut bytes = STANDARD.decode(encoded).map_err(|_| SecretError::Base64)?;
        let secret = Self::from_bytes(&bytes);
        bytes.zeroize();
        secret
    }

    /// The written form, `whsec_<base64>`: to be shown once to its owner, or sealed.
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut text =
            Zeroizing::new(String::with_capacity(Self::PREFIX.len() + self.length.div_ceil(3) * 4));
        text.push_str(Self::PREFIX);
        STANDARD.encode_string(self.bytes(), &mut text);
        text
    }

    /// The key's own bytes: to be sealed.
    pub fn bytes(&self) -> &[u8] {
        self.padded.get(..self.length).unwrap_or_default()
    }

    pub(crate) fn padded(&self) -> &[u8; BLOCK] {
        &self.padded
    }
}

/// Why a text or some bytes are no signing secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// It does not begin with `whsec_`.
    #[error("a signing secret must begin with \"whsec_\"")]
    Prefix,
    /// What follows the prefix is not standard base64.
    #[error("a signing secret must be \"whsec_\" and padded standard base64")]
    Base64,
    /// The key is too short or too long.
    #[error("a signing secret must have 24 to 64 bytes, this one has {bytes}")]
    Length {
        /// How many bytes there were.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::{Secret, SecretError};

    fn error_of(parsed: Result<Secret, SecretError>) -> Option<SecretError> {
        parsed.err()
    }

    #[test]
    fn a_secret_survives_being_written_and_read() {
        for length in Secret::MIN_BYTES..=Secret::MAX_BYTES {
            let bytes: Vec<u8> = (0..=u8::MAX).rev().take(length).collect();
            let secret = Secret::from_bytes(&bytes).unwrap();
            let read = Secret::parse(&secret.reveal()).unwrap();
            assert_eq!(read.bytes(), bytes);
        }
    }

    #[test]
    fn too_short_and_too_long_keys_are_refused() {
        assert_eq!(error_of(Secret::from_bytes(&[7; 23])), Some(SecretError::Length { bytes: 23 }));
        assert_eq!(error_of(Secret::from_bytes(&[7; 65])), Some(SecretError::Length { bytes: 65 }));
        assert_eq!(error_of(Secret::parse("whsec_")), Some(SecretError::Length { bytes: 0 }));
    }

    #[test]
    fn text_that_is_no_secret_is_refused_without_being_repeated() {
        assert_eq!(error_of(Secret::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")), Some(SecretError::Prefix));
        assert_eq!(
            error_of(Secret::parse("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
            Some(SecretError::Prefix)
        );
        let error = error_of(Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS*")).unwrap();
        assert_eq!(error, SecretError::Base64);
        assert!(!error.to_string().contains("MfKQ"));
    }
}
