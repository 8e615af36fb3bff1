//! Why an operator paused an account, for people.

use std::str::FromStr;

use thiserror::Error;

/// 1 to 500 characters, not all of them blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note(Box<str>);

/// The text is no note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be 1 to 500 characters, none of them a control character, and not blank")]
pub struct NoteError;

impl Note {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Note {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let fits = (1..=500).contains(&text.chars().count()) && !text.trim().is_empty();
        if fits && !text.chars().any(char::is_control) { Ok(Self(text.into())) } else { Err(NoteError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_something_and_has_an_end() {
        assert!("ü".repeat(500).parse::<Note>().is_ok());
        for bad in ["", "  ", "a\0", "two\nlines", &"x".repeat(501)] {
            assert!(bad.parse::<Note>().is_err());
        }
    }
}
