//! The caller's name for one request, by which a repetition of it is known.

use std::str::FromStr;

use thiserror::Error;

/// 1 to 128 characters without control characters, unique in the account among requests of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Box<str>);

/// The text is no request id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be 1 to 128 characters, none of them a control character")]
pub struct RequestIdError;

impl RequestId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RequestId {
    type Err = RequestIdError;

    fn from_str(text: &str) -> Result<Self, RequestIdError> {
        if !(1..=128).contains(&text.chars().count()) || text.chars().any(char::is_control) {
            return Err(RequestIdError);
        }
        Ok(Self(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_have_an_end() {
        assert!("ü".repeat(128).parse::<RequestId>().is_ok());
        for bad in ["", "a\n", &"x".repeat(129)] {
            assert!(bad.parse::<RequestId>().is_err());
        }
    }
}
