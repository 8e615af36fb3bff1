//! Field paths: where in the event a condition or a body reads.
//!
//! `deal.owner.name`, `deal["a.b"].c`, `previous.stage_id`, `event.action`. A bare name is a run of letters,
//! digits, `_` and `-`; any other name stands in `["…"]`, with `\"` and `\\` for the two characters it can't
//! hold bare. The first name is the root: the object's name, `previous` or `event` (in requests also `account`
//! and `automation`).

use std::fmt;

use crate::json::{Json, MAX_DEPTH};

/// How long a path may be, in bytes.
pub const MAX_PATH_BYTES: usize = 512;

/// A parsed field path: a root and the names below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    root: String,
    names: Vec<String>,
}

/// Why a text is no field path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The text is empty.
    #[error("a field path is needed, like deal.title")]
    Empty,
    /// The text is too long.
    #[error("longer than {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// There are more names than a record can be deep.
    #[error("more than {MAX_DEPTH} names below the root")]
    TooDeep,
    /// Something else should stand at this character.
    #[error("at character {at}: expected {expected}")]
    Syntax {
        /// Number of the character, from 1.
        at: usize,
        /// What could have stood there.
        expected: &'static str,
    },
    /// `[any]` or `[all]`, or an index.
    #[error(
        "at character {at}: only quoted names may stand in brackets, like [\"a.b\"]; [any], [all] and positions in lists are not supported"
    )]
    Selector {
        /// Number of the character, from 1.
        at: usize,
    },
}

impl Path {
    /// Parses a path.
    ///
    /// # Errors
    /// [`PathError`], with the character where it goes wrong.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.len() > MAX_PATH_BYTES {
            return Err(PathError::TooLong);
        }
        let mut reader = Reader { chars: text.chars().collect(), at: 0 };
        let root = reader.bare_name("the object's name, previous or event")?;
        let mut names = Vec::new();
        while let Some(c) = reader.peek() {
            match c {
                '.' => {
                    reader.at += 1;
                    names
                        .push(reader.bare_name("a name of letters, digits, _ or -; other names as [\"…\"]")?);
                }
                '[' => {
                    reader.at += 1;
                    names.push(reader.quoted_name()?);
                }
                _ => return Err(reader.expected("'.' or '[\"'")),
            }
        }
        if names.len() > MAX_DEPTH {
            return Err(PathError::TooDeep);
        }
        Ok(Self { root, names })
    }

    /// The first name: which of the event's values is read.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The names below the root.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The value below `root_value`, or `None` when something on the way is missing or no object.
    #[must_use]
    pub fn find<'j>(&self, root_value: &'j Json) -> Option<&'j Json> {
        self.names.iter().try_fold(root_value, |value, name| value.get(name))
    }
}

/// The path as it is written, in its shortest spelling.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root)?;
        for name in &self.names {
            if !name.is_empty() && name.chars().all(is_bare) {
                write!(f, ".{name}")?;
            } else {
                write!(f, "[\"{}\"]", name.replace('\\', "\\\\").replace('"', "\\\""))?;
            }
        }
        Ok(())
    }
}

fn is_bare(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn expected(&self, expected: &'static str) -> PathError {
        PathError::Syntax { at: self.at + 1, expected }
    }

    fn bare_name(&mut self, expected: &'static str) -> Result<String, PathError> {
        let rest = &self.chars[self.at..];
        let length = rest.iter().take_while(|c| is_bare(**c)).count();
        if length == 0 {
            return Err(self.expected(expected));
        }
        self.at += length;
        Ok(rest[..length].iter().collect())
    }

    fn quoted_name(&mut self) -> Result<String, PathError> {
        if self.peek() != Some('"') {
            return Err(PathError::Selector { at: self.at + 1 });
        }
        self.at += 1;
        let mut name = String::new();
        loop {
            match self.peek() {
                Some('"') => break,
                Some('\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(c @ ('"' | '\\')) => name.push(c),
                        _ => return Err(self.expected("\\\" or \\\\")),
                    }
                }
                Some(c) => name.push(c),
                None => return Err(self.expected("a closing '\"'")),
            }
            self.at += 1;
        }
        self.at += 1;
        if self.peek() != Some(']') {
            return Err(self.expected("']'"));
        }
        self.at += 1;
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_written() {
        for (text, root, names, written) in [
            ("deal", "deal", vec![], "deal"),
            ("deal.owner.name", "deal", vec!["owner", "name"], "deal.owner.name"),
            (r#"deal["a.b"].c"#, "deal", vec!["a.b", "c"], r#"deal["a.b"].c"#),
            (r#"deal["plain"]"#, "deal", vec!["plain"], "deal.plain"),
            (r#"deal["a\"\\b"]"#, "deal", vec![r#"a"\b"#], r#"deal["a\"\\b"]"#),
            (r#"deal[""]"#, "deal", vec![""], r#"deal[""]"#),
            ("previous.größe", "previous", vec!["größe"], "previous.größe"),
        ] {
            let path = Path::parse(text).unwrap();
            assert_eq!(
                (path.root(), path.names().iter().map(String::as_str).collect()),
                (root, names),
                "{text}"
            );
            assert_eq!(path.to_string(), written);
            assert_eq!(Path::parse(written), Ok(path));
        }
    }

    #[test]
    fn errors_say_where() {
        for (text, at) in [
            (".a", 1),
            ("deal.", 6),
            ("deal..a", 6),
            ("deal a", 5),
            ("deal[\"a", 8),
            ("deal[\"a\"", 9),
            ("deal[\"a\\n\"]", 9),
            ("deal.a b", 7),
        ] {
            match Path::parse(text) {
                Err(PathError::Syntax { at: found, .. }) => assert_eq!(found, at, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        for text in ["deal.items[any].id", "deal.items[all]", "deal.items[0]"] {
            assert_eq!(Path::parse(text), Err(PathError::Selector { at: 12 }), "{text}");
        }
        assert_eq!(Path::parse(""), Err(PathError::Empty));
        assert_eq!(Path::parse(&"a".repeat(513)), Err(PathError::TooLong));
        assert_eq!(Path::parse(&format!("a{}", ".b".repeat(33))), Err(PathError::TooDeep));
    }

    #[test]
    fn a_path_through_what_is_no_object_finds_nothing() {
        let record = Json::parse(br#"{"a":{"b":1},"l":[{"b":1}],"n":null}"#).unwrap();
        let find = |text: &str| Path::parse(text).unwrap().find(&record).map(ToString::to_string);
        assert_eq!(find("deal.a.b").as_deref(), Some("1"));
        assert_eq!(find("deal.n").as_deref(), Some("null"));
        for missing in ["deal.x", "deal.a.b.c", "deal.l.b", "deal.n.x"] {
            assert_eq!(find(missing), None, "{missing}");
        }
    }
}
