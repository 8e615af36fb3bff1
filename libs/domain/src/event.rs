//! What happened to a record, as the producer told it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::text::text_forms;
use crate::{AccountId, ExecutionId, Timestamp, UserId};

/// The current and the previous record together hold at most this many bytes.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;

/// A name breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct EventNameError(&'static str);

/// What was done to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The record is new.
    Added,
    /// The record changed.
    Updated,
    /// The record is gone.
    Deleted,
}

impl Action {
    /// `added`, `updated` or `deleted`, as envelopes and templates show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

impl FromStr for Action {
    type Err = EventNameError;

    fn from_str(text: &str) -> Result<Self, EventNameError> {
        match text {
            "added" => Ok(Self::Added),
            "updated" => Ok(Self::Updated),
            "deleted" => Ok(Self::Deleted),
            _ => Err(EventNameError("must be added, updated or deleted")),
        }
    }
}

/// The kind of record: `deal`, `person`, or the host's own; 1 to 64 of `a-z 0-9 _`, beginning with a letter.
/// `event`, `previous`, `account` and `automation` are taken by placeholders.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectName(Box<str>);

impl ObjectName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ObjectName {
    type Err = EventNameError;

    fn from_str(text: &str) -> Result<Self, EventNameError> {
        let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if text.len() > 64 || !text.starts_with(|c: char| c.is_ascii_lowercase()) || !text.bytes().all(rest) {
            return Err(EventNameError(
                "must be 1 to 64 characters out of a-z 0-9 _, beginning with a letter",
            ));
        }
        if matches!(text, "event" | "previous" | "account" | "automation") {
            return Err(EventNameError("must not be event, previous, account or automation"));
        }
        Ok(Self(text.into()))
    }
}

/// The producer's id of an event: 1 to 128 characters without control characters, unique in its account.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventId(Box<str>);

impl EventId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventId {
    type Err = EventNameError;

    fn from_str(text: &str) -> Result<Self, EventNameError> {
        if text.is_empty() || text.chars().count() > 128 || text.chars().any(char::is_control) {
            return Err(EventNameError("must be 1 to 128 characters, none of them a control character"));
        }
        Ok(Self(text.into()))
    }
}

text_forms!(ObjectName, EventNameError);
text_forms!(EventId, EventNameError);

/// Who may see the record: decides which members' event webhooks get the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visibility {
    /// The producer did not say: only webhooks owned by an admin get it.
    Unstated,
    /// Everybody in the account.
    Everyone,
    /// These users, and admins.
    Users(Vec<UserId>),
}

impl Visibility {
    /// Whether a member (not an admin) may see the record.
    pub fn includes(&self, user: &UserId) -> bool {
        match self {
            Self::Unstated => false,
            Self::Everyone => true,
            Self::Users(users) => users.contains(user),
        }
    }
}

/// A record was added, updated or deleted. Kept nowhere; what it sets off is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The producer's id, unique in the account.
    pub id: EventId,
    /// Whose record it is.
    pub account: AccountId,
    /// The kind of record.
    pub object: ObjectName,
    /// What was done to it.
    pub action: Action,
    /// The record's id at the host; 1 to 128 characters.
    pub record_id: EventId,
    /// When it was done, by the producer's clock.
    pub occurred_at: Timestamp,
    /// Who did it, if a user did.
    pub actor: Option<UserId>,
    /// The record as it is now: a JSON object in UTF-8, empty when deleted.
    pub current: Vec<u8>,
    /// The record as it was: a JSON object in UTF-8, empty when added.
    pub previous: Vec<u8>,
    /// Whether `previous` holds only what changed.
    pub previous_partial: bool,
    /// The execution that brought it about, if one did.
    pub cause: Option<ExecutionId>,
    /// Who may see the record.
    pub visibility: Visibility,
    /// An import: nothing fires.
    pub suppress: bool,
}

impl Event {
    /// The digest that tells whether a repeated id carries the same content: all of it but `occurred_at`.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(self.object.as_str().as_bytes());
        part(self.action.as_str().as_bytes());
        part(self.record_id.as_str().as_bytes());
        part(self.actor.as_ref().map_or("", |actor| actor.as_str()).as_bytes());
        part(&self.current);
        part(&self.previous);
        part(&[u8::from(self.previous_partial), u8::from(self.suppress)]);
        part(self.cause.map(|cause| cause.to_bytes()).as_ref().map_or(&[], |bytes| bytes.as_slice()));
        match &self.visibility {
            Visibility::Unstated => part(b"unstated"),
            Visibility::Everyone => part(b"everyone"),
            Visibility::Users(users) => {
                let mut users: Vec<&str> = users.iter().map(UserId::as_str).collect();
                users.sort_unstable();
                part(b"users");
                users.iter().for_each(|user| part(user.as_bytes()));
            }
        }
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            id: "e1".parse().unwrap(),
            account: "acme".parse().unwrap(),
            object: "deal".parse().unwrap(),
            action: Action::Updated,
            record_id: "42".parse().unwrap(),
            occurred_at: Timestamp::EPOCH,
            actor: None,
            current: b"{}".to_vec(),
            previous: vec![],
            previous_partial: false,
            cause: None,
            visibility: Visibility::Everyone,
            suppress: false,
        }
    }

    #[test]
    fn digest_ignores_when_it_occurred_and_nothing_else() {
        let first = event();
        assert_eq!(first.digest(), Event { occurred_at: Timestamp::from_micros(5), ..event() }.digest());
        let others = [
            Event { current: b"{ }".to_vec(), ..event() },
            Event { previous: b"{}".to_vec(), current: vec![], ..event() },
            Event { visibility: Visibility::Unstated, ..event() },
            Event { actor: Some("u1".parse().unwrap()), ..event() },
            Event { suppress: true, ..event() },
            Event { action: Action::Added, ..event() },
        ];
        for other in others {
            assert_ne!(first.digest(), other.digest(), "{other:?}");
        }
    }

    #[test]
    fn object_names_leave_the_words_of_placeholders_alone() {
        assert!("deal".parse::<ObjectName>().is_ok());
        for bad in ["", "Deal", "1deal", "event", "previous", "a-b"] {
            assert!(bad.parse::<ObjectName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn unstated_visibility_shows_a_member_nothing() {
        let user: UserId = "u1".parse().unwrap();
        assert!(!Visibility::Unstated.includes(&user));
        assert!(Visibility::Everyone.includes(&user));
        assert!(Visibility::Users(vec![user.clone()]).includes(&user));
        assert!(!Visibility::Users(vec![]).includes(&user));
    }
}
