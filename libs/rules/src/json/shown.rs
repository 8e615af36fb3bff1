//! A value as people are shown it: its type, and its text up to a limit.

use std::fmt;

use super::{Json, write};

/// A JSON value, cut where it is long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its type.
    pub value_type: ValueType,
    /// Its compact JSON text, numbers with their own; of a long one the beginning.
    pub text: String,
    /// Whether the text goes on.
    pub truncated: bool,
}

/// The type of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// A string.
    Text,
    /// An array.
    List,
    /// An object.
    Object,
}

impl Json {
    /// The value with at most `limit` bytes of its text, which ends with a whole character.
    pub(crate) fn shown(&self, limit: usize) -> Shown {
        let mut out = Beginning { text: String::new(), limit };
        // Nothing fails but for the limit.
        let truncated = write::value(&mut out, self).is_err();
        Shown { value_type: self.value_type(), text: out.text, truncated }
    }

    fn value_type(&self) -> ValueType {
        match self {
            Self::Null => ValueType::Null,
            Self::Bool(_) => ValueType::Boolean,
            Self::Number(_) => ValueType::Number,
            Self::String(_) => ValueType::Text,
            Self::List(_) => ValueType::List,
            Self::Object(_) => ValueType::Object,
        }
    }
}

/// Text that takes what fits and refuses the rest.
struct Beginning {
    text: String,
    limit: usize,
}

impl fmt::Write for Beginning {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = self.limit - self.text.len();
        if more.len() <= room {
            self.text.push_str(more);
            return Ok(());
        }
        self.text.push_str(&more[..more.floor_char_boundary(room)]);
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters_and_marked() {
        let json = Json::parse(r#"{"a":["é😀",1.10]}"#.as_bytes()).unwrap();
        let whole = json.to_string();
        for limit in 0..=whole.len() + 1 {
            let shown = json.shown(limit);
            assert_eq!((shown.value_type, shown.truncated), (ValueType::Object, limit < whole.len()));
            assert!(whole.starts_with(&shown.text) && shown.text.len() <= limit, "{limit}: {shown:?}");
            assert!(shown.text.len() + 4 > limit.min(whole.len()), "{limit}: no more than a character less");
        }
    }

    #[test]
    fn numbers_are_shown_with_their_text() {
        for text in ["1.10", "12345678901234567890123456789012345678901", "-0e1"] {
            assert_eq!(Json::parse(text.as_bytes()).unwrap().shown(1024).text, text);
        }
    }
}
