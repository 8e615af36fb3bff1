//! The JSON value of the house: numbers keep their text, members keep their order.
//!
//! `serde_json::Value` would do for most of this; it normalises some number spellings and accepts a
//! member twice, and both would make the evaluator judge another record than the receiver gets.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod parse;
mod shown;
mod write;

pub use parse::{JsonError, MAX_DEPTH};
pub use shown::{Shown, ValueType};

/// A JSON value as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as its text.
    Number(Number),
    /// A string, unescaped.
    String(String),
    /// An array.
    List(Vec<Json>),
    /// An object, members in the order sent, no name twice.
    Object(Object),
}

/// A JSON number as its text: `1.10` stays `1.10`, twenty digits stay twenty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(String);

/// The members of a JSON object in the order sent, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    members: Vec<(String, Json)>,
    /// Where the members are in the order of their names, once there are more than [`WIDE`], so that no number of
    /// lookups in a wide record takes long.
    order: Option<Box<[usize]>>,
}

/// How many members are looked through one by one.
const WIDE: usize = 16;

impl Json {
    /// Parses one JSON text (RFC 8259) in UTF-8, nested at most [`MAX_DEPTH`] deep.
    ///
    /// # Errors
    /// [`JsonError`] with the byte offset: not UTF-8, not JSON, too deep, or a member named twice in one object.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        parse::parse(bytes)
    }

    /// The value under `name`, if this is an object that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(object) => object.get(name),
            _ => None,
        }
    }

    /// Whether this is `null`, `""`, `[]` or `{}`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(_) | Self::Number(_) => false,
            Self::String(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Object(object) => object.is_empty(),
        }
    }

    /// The compact JSON text, or `None` when it has more than `limit` bytes, which is found out without writing more.
    pub(crate) fn text_within(&self, limit: usize) -> Option<String> {
        let mut out = Bounded { text: String::new(), limit };
        write::value(&mut out, self).ok().map(|()| out.text)
    }

    /// An object of the given members; a name given twice keeps its first place and its last value.
    pub fn object<N: Into<String>>(members: impl IntoIterator<Item = (N, Self)>) -> Self {
        let mut places = Places::default();
        let mut kept: Vec<(String, Self)> = Vec::new();
        for (name, value) in members {
            let name = name.into();
            match places.find(&name, &kept) {
                Some(place) => kept[place].1 = value,
                None => kept.push((name, value)),
            }
        }
        Self::Object(Object::from_unique(kept))
    }
}

/// Where the members of an object that is being made stand: a few are looked through, more are remembered by their names.
#[derive(Default)]
struct Places(HashMap<String, usize>);

impl Places {
    /// Where the member of this name stands; one that is not there comes behind all others now.
    fn find(&mut self, name: &str, members: &[(String, Json)]) -> Option<usize> {
        if members.len() <= WIDE {
            return members.iter().position(|(known, _)| known == name);
        }
        if self.0.is_empty() {
            self.0.extend(members.iter().enumerate().map(|(place, (known, _))| (known.clone(), place)));
        }
        let found = self.0.get(name).copied();
        if found.is_none() {
            self.0.insert(name.to_owned(), members.len());
        }
        found
    }
}

impl Number {
    /// A number of this text, or `None` when it is no JSON number.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        parse::is_number(text).then(|| Self(text.to_owned()))
    }

    /// The text as it was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Object {
    /// The value under `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.place(name).map(|place| &self.members[place].1)
    }

    /// Where the member of this name stands.
    fn place(&self, name: &str) -> Option<usize> {
        match &self.order {
            None => self.members.iter().position(|(member, _)| member == name),
            Some(order) => {
                let found = order.binary_search_by(|place| self.members[*place].0.as_str().cmp(name));
                found.ok().map(|found| order[found])
            }
        }
    }

    /// The members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.members.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The members in order, owned.
    pub(crate) fn into_members(self) -> impl Iterator<Item = (String, Json)> {
        self.members.into_iter()
    }

    /// An object of members whose names are known to differ.
    pub(crate) fn from_unique(members: Vec<(String, Json)>) -> Self {
        let order = (members.len() > WIDE).then(|| {
            let mut order: Vec<usize> = (0..members.len()).collect();
            order.sort_unstable_by(|a, b| members[*a].0.cmp(&members[*b].0));
            order.into_boxed_slice()
        });
        Self { members, order }
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

/// Text that refuses to grow beyond its limit.
struct Bounded {
    text: String,
    limit: usize,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if self.text.len() + more.len() > self.limit {
            return Err(fmt::Error);
        }
        self.text.push_str(more);
        Ok(())
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Self::Number(Number(value.to_string()))
    }
}

/// Compact JSON text; parsing it gives the same value.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write::value(f, self)
    }
}

/// Writes the JSON text as it is. Only `serde_json`, writing text, keeps it so.
impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = serde_json::value::RawValue::from_string(self.to_string());
        raw.map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// Reads the JSON text as it is. Only `serde_json`, reading text, can do so.
impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
        Self::parse(raw.get().as_bytes()).map_err(serde::de::Error::custom)
    }
}

/// Writes `text` as a JSON string, quotes included.
pub(crate) fn quote_into(out: &mut String, text: &str) {
    out.push('"');
    write::escape(out, text);
    out.push('"');
}

/// Writes `text` as the inside of a JSON string: without the quotes, and unable to end the string.
pub(crate) fn escape_into(out: &mut String, text: &str) {
    write::escape(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_text_survives() {
        for text in ["1.10", "12345678901234567890", "-0", "1e0", "1E+05", "0.000", "-1.5e-7"] {
            let json = Json::parse(text.as_bytes()).unwrap();
            assert_eq!(json.to_string(), text);
            let stored = serde_json::to_string(&json).unwrap();
            assert_eq!(stored, text);
            assert_eq!(serde_json::from_str::<Json>(&stored).unwrap(), json);
        }
    }

    #[test]
    fn members_keep_their_order_through_serde() {
        let text = r#"{"b":1,"a":[true,null,"x\"\\\n\u0001é"]}"#;
        let json: Json = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&json).unwrap(), text);
    }

    #[test]
    fn empty_is_null_and_nothing_inside() {
        for (text, empty) in
            [("null", true), ("\"\"", true), ("[]", true), ("{}", true), ("0", false), ("false", false)]
        {
            assert_eq!(Json::parse(text.as_bytes()).unwrap().is_empty(), empty, "{text}");
        }
    }

    #[test]
    fn numbers_are_made_of_json_numbers_only() {
        assert!(Number::from_text("1.50").is_some());
        for text in ["", "01", "1.", ".5", "+1", "NaN", "1e", " 1", "1 ", "0x1"] {
            assert!(Number::from_text(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_wide_object_finds_every_member_and_keeps_their_order() {
        for width in [1, WIDE, WIDE + 1, 300] {
            let names: Vec<String> = (0..width).map(|index| format!("m{}", (index * 7) % width)).collect();
            let made = Json::object(names.iter().map(|name| (name.clone(), Json::from(name.as_str()))));
            let parsed = Json::parse(made.to_string().as_bytes()).unwrap();
            assert_eq!(parsed, made);
            let Json::Object(object) = &parsed else { panic!("no object") };
            let unique: Vec<&str> = object.iter().map(|(name, _)| name).collect();
            for name in &names {
                assert_eq!(parsed.get(name), Some(&Json::from(name.as_str())));
            }
            assert_eq!(unique.len(), object.len());
            assert_eq!(unique[0], names[0]);
            assert_eq!(parsed.get("m"), None);
        }
        let twice = Json::object([("a", Json::from(1)), ("b", Json::from(2)), ("a", Json::from(3))]);
        assert_eq!(twice.to_string(), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn text_ends_at_its_limit() {
        let json = Json::parse(br#"{"a":["\u0001",1.10]}"#).unwrap();
        let text = json.to_string();
        assert_eq!(json.text_within(text.len()), Some(text.clone()));
        assert_eq!(json.text_within(text.len() - 1), None);
    }
}
