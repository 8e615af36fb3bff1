//! Who a thing belongs to: the account (one tenant) and the user in it. Both names come from the host.

use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::text::text_forms;

/// The name is not one an account or user can have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("must be 1 to {max} characters out of {allowed}")]
pub struct NameError {
    max: usize,
    allowed: &'static str,
}

/// The host's name for one tenant: 1 to 64 characters out of `A-Z a-z 0-9 . _ ~ -`. It goes along with everything, so clones share it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(Arc<str>);

/// The host's name for one user of an account: 1 to 128 printable ASCII characters without spaces.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(Box<str>);

/// The name of [`AccountId::system`].
const SYSTEM: &str = "_sluice";

impl AccountId {
    /// The account that Sluice's own notices belong to: reserved, no tenant has it. Whoever runs Sluice puts it on a plan, and
    /// gives it event webhooks.
    pub fn system() -> Self {
        Self(SYSTEM.into())
    }

    /// Whether it is [`Self::system`].
    pub fn is_system(&self) -> bool {
        self.as_str() == SYSTEM
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl UserId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
        if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
            return Err(NameError { max: 64, allowed: "A-Z a-z 0-9 . _ ~ -" });
        }
        Ok(Self(text.into()))
    }
}

impl FromStr for UserId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > 128 || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(NameError { max: 128, allowed: "printable ASCII without spaces" });
        }
        Ok(Self(text.into()))
    }
}

text_forms!(AccountId, NameError);
text_forms!(UserId, NameError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_names_keep_to_the_url_safe_alphabet() {
        for good in ["a", "Acme-1", "a.b_c~d", &"x".repeat(64)] {
            assert!(good.parse::<AccountId>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "ä", "a/b", "a\0", &"x".repeat(65)] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_system_account_has_a_name_like_any_other() {
        assert_eq!("_sluice".parse(), Ok(AccountId::system()));
        assert!(AccountId::system().is_system() && !"sluice".parse::<AccountId>().unwrap().is_system());
    }

    #[test]
    fn user_names_hold_no_spaces_or_control_characters() {
        assert!("auth0|5f7c8ec7".parse::<UserId>().is_ok());
        assert!("a b".parse::<UserId>().is_err());
        assert!("a\n".parse::<UserId>().is_err());
    }
}
