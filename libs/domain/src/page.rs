//! Where a page of a listing ends, and how large it may be.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// Bytes of the digest that ties a token to its listing.
const TIE: usize = 8;

/// How many items a page may hold: 1 to 1,000, 50 when not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(u32);

impl PageSize {
    /// The largest page.
    pub const MAX: u32 = 1_000;

    /// From the wire: 0 means the default, more than the most counts as the most, negative is refused.
    ///
    /// # Errors
    /// The rule, when negative.
    pub fn from_wire(size: i32) -> Result<Self, &'static str> {
        match u32::try_from(size) {
            Err(_) => Err("must not be negative"),
            Ok(0) => Ok(Self(50)),
            Ok(size) => Ok(Self(size.min(Self::MAX))),
        }
    }

    /// The number of items.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// The token is not one that this listing gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be the next_page_token of the same request with the same filter")]
pub struct CursorError;

/// The key after which the next page begins, tied to the listing and the filter it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    key: Vec<u8>,
}

impl Cursor {
    /// A cursor after the item with this key.
    pub fn after(key: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into() }
    }

    /// The key.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The opaque token for clients; `listing` is everything the pages must have in common (account, filter, order).
    pub fn to_token(&self, listing: &str) -> String {
        let mut bytes = Sha256::digest(listing.as_bytes())[..TIE].to_vec();
        bytes.extend_from_slice(&self.key);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token back; the empty one is the start (`None`).
    ///
    /// # Errors
    /// When the token was not made for this listing.
    pub fn from_token(token: &str, listing: &str) -> Result<Option<Self>, CursorError> {
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| CursorError)?;
        let (tie, key) = bytes.split_at_checked(TIE).ok_or(CursorError)?;
        if tie != &Sha256::digest(listing.as_bytes())[..TIE] {
            return Err(CursorError);
        }
        Ok(Some(Self::after(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_only_the_listing_it_was_made_for() {
        let token = Cursor::after(*b"k1").to_token("acme|state=PAUSED");
        assert_eq!(Cursor::from_token(&token, "acme|state=PAUSED").unwrap().unwrap().key(), b"k1");
        assert_eq!(Cursor::from_token(&token, "other|state=PAUSED"), Err(CursorError));
        assert_eq!(Cursor::from_token("%%%", "x"), Err(CursorError));
        assert_eq!(Cursor::from_token("", "x"), Ok(None));
    }

    #[test]
    fn page_sizes_are_bounded() {
        assert_eq!(PageSize::from_wire(0).unwrap().get(), 50);
        assert_eq!(PageSize::from_wire(9_999).unwrap().get(), 1_000);
        assert!(PageSize::from_wire(-1).is_err());
    }
}
