//! Ids of what Sluice makes: UUIDv7 written as TypeIDs (`wh_01h455vb4pex5vsknk084sn02q`), so that they sort by time.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

use crate::Timestamp;

/// Crockford's base 32 in lower case, as the TypeID specification has it.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const SUFFIX_LENGTH: usize = 26;
/// What each byte stands for in [`ALPHABET`]; 255 for none.
const DIGITS: [u8; 256] = {
    let mut digits = [u8::MAX; 256];
    let mut digit = 0;
    while digit < 32 {
        digits[ALPHABET[digit as usize] as usize] = digit;
        digit += 1;
    }
    digits
};

/// The kind of thing an id names: its prefix and its word in errors.
pub trait Kind {
    /// What stands before the underscore.
    const PREFIX: &'static str;
    /// What a person calls it.
    const NOUN: &'static str;
}

macro_rules! kinds {
    ($($kind:ident, $alias:ident, $prefix:literal, $noun:literal;)+) => {$(
        #[doc = concat!("Marks ids of a ", $noun, ".")]
        #[derive(Debug, Clone, Copy)]
        pub enum $kind {}
        impl Kind for $kind {
            const PREFIX: &'static str = $prefix;
            const NOUN: &'static str = $noun;
        }
        #[doc = concat!("The id of a ", $noun, ": `", $prefix, "_…`.")]
        pub type $alias = Id<$kind>;
    )+};
}

kinds! {
    WebhookKind, WebhookId, "wh", "webhook";
    AutomationKind, AutomationId, "au", "automation";
    ExecutionKind, ExecutionId, "ex", "execution";
    DeliveryKind, DeliveryId, "dl", "delivery";
    AttemptKind, AttemptId, "at", "attempt";
    NoticeKind, NoticeId, "nt", "notice";
}

/// The text is not an id of this kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("must be a {noun} id: `{prefix}_` and 26 characters")]
pub struct IdError {
    prefix: &'static str,
    noun: &'static str,
}

/// The id of one thing of kind `K`.
pub struct Id<K> {
    uuid: Uuid,
    kind: PhantomData<K>,
}

impl<K> Id<K> {
    /// A new id from the time of its making and ten random bytes.
    pub fn mint(at: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(at.as_micros() / 1_000).unwrap_or(0);
        Self::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The id with this UUID.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self { uuid, kind: PhantomData }
    }

    /// The UUID, as the stores keep it.
    pub const fn uuid(self) -> Uuid {
        self.uuid
    }

    /// The 16 bytes of the UUID, in order of time.
    pub fn to_bytes(self) -> [u8; 16] {
        self.uuid.into_bytes()
    }

    /// The id with these 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::from_uuid(Uuid::from_bytes(bytes))
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.uuid.as_u128();
        let mut suffix = [0_u8; SUFFIX_LENGTH];
        for place in suffix.iter_mut().rev() {
            let digit = usize::try_from(rest & 31).unwrap_or(0);
            *place = ALPHABET[digit];
            rest >>= 5;
        }
        f.write_str(K::PREFIX)?;
        f.write_str("_")?;
        f.write_str(std::str::from_utf8(&suffix).unwrap_or_default())
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError { prefix: K::PREFIX, noun: K::NOUN };
        let suffix = text
            .strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .filter(|suffix| suffix.len() == SUFFIX_LENGTH && suffix.as_bytes()[0] <= b'7');
        let Some(suffix) = suffix else { return Err(error) };
        let mut value: u128 = 0;
        for byte in suffix.bytes() {
            let digit = DIGITS[usize::from(byte)];
            if digit == u8::MAX {
                return Err(error);
            }
            value = (value << 5) | u128::from(digit);
        }
        Ok(Self::from_uuid(Uuid::from_u128(value)))
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Id<K> {}

impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}

impl<K> Eq for Id<K> {}

impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.uuid.cmp(&other.uuid)
    }
}

impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}

impl<K: Kind> serde::Serialize for Id<K> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> serde::Deserialize<'de> for Id<K> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_agrees_with_the_typeid_specification() {
        let uuid: Uuid = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        assert_eq!(WebhookId::from_uuid(uuid).to_string(), "wh_01h455vb4pex5vsknk084sn02q");
        assert_eq!(WebhookId::from_uuid(Uuid::max()).to_string(), "wh_7zzzzzzzzzzzzzzzzzzzzzzzzz");
    }

    #[test]
    fn only_ids_of_the_same_kind_parse_back() {
        let id = WebhookId::mint(Timestamp::from_micros(1_795_000_000_000_000), [7; 10]);
        assert_eq!(id.to_string().parse::<WebhookId>().unwrap(), id);
        assert!(id.to_string().parse::<AutomationId>().is_err());
        for bad in [
            "",
            "wh_",
            "wh_81h455vb4pex5vsknk084sn02q",
            "wh_01H455VB4PEX5VSKNK084SN02Q",
            "wh_é1h455vb4pex5vsknk084sn02",
        ] {
            assert!(bad.parse::<WebhookId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn later_ids_sort_after_earlier_ones_as_text_and_as_bytes() {
        let early = ExecutionId::mint(Timestamp::from_micros(1_000_000), [255; 10]);
        let late = ExecutionId::mint(Timestamp::from_micros(2_000_000), [0; 10]);
        assert!(early < late && early.to_string() < late.to_string() && early.to_bytes() < late.to_bytes());
    }
}
