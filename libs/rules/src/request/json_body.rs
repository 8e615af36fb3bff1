//! A raw JSON body: each placeholder is a JSON value, or inside a string a part of that string.

use super::MAX_BODY_BYTES;
use crate::context::Context;
use crate::json::{Json, JsonError, escape_into};
use crate::rejection::Reason;
use crate::template::{Expression, Part, Template};

/// A checked raw JSON body.
#[derive(Debug)]
pub(super) struct JsonBody {
    pieces: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    Literal(String),
    InString(Expression),
    Value(Expression),
}

/// Follows a JSON text to tell where its strings are.
#[derive(Default)]
struct Position {
    in_string: bool,
    in_escape: bool,
}

impl Position {
    fn pass(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                _ if self.in_escape => self.in_escape = false,
                '\\' if self.in_string => self.in_escape = true,
                '"' => self.in_string = !self.in_string,
                _ => {}
            }
        }
    }
}

impl JsonBody {
    /// Finds each placeholder's position; an error is in words.
    pub(super) fn compile(template: Template) -> Result<Self, String> {
        let mut position = Position::default();
        let mut sample = String::new();
        let mut pieces = Vec::new();
        for part in template.into_parts() {
            match part {
                Part::Literal(literal) => {
                    position.pass(&literal);
                    sample.push_str(&literal);
                    pieces.push(Piece::Literal(literal));
                }
                Part::Placeholder(_) if position.in_escape => {
                    return Err("a placeholder stands right behind a backslash".to_owned());
                }
                Part::Placeholder(expression) if position.in_string => {
                    // A private character, so that no name is taken for one that stands there.
                    sample.push_str(&format!("\u{e000}{}", pieces.len()));
                    pieces.push(Piece::InString(expression));
                }
                Part::Placeholder(expression) => {
                    sample.push_str("null");
                    pieces.push(Piece::Value(expression));
                }
            }
        }
        // With a value for each placeholder it must be JSON already, so that only a value's depth or a name
        // that comes out twice is left to go wrong.
        match Json::parse(sample.as_bytes()) {
            Ok(_) => Ok(Self { pieces }),
            Err(JsonError::DuplicateMember { at, .. }) => Err(format!(
                "no JSON once the placeholders are filled in: a member is there twice before byte {at}"
            )),
            Err(error) => Err(format!("no JSON once the placeholders are filled in: {error}")),
        }
    }

    pub(super) fn render(&self, context: &Context<'_>) -> Result<String, Reason> {
        let mut out = String::new();
        for piece in &self.pieces {
            let left = MAX_BODY_BYTES - out.len();
            match piece {
                Piece::Literal(literal) => out.push_str(literal),
                Piece::InString(expression) => escape_into(&mut out, &expression.text(context, left)?),
                Piece::Value(expression) => match expression.value(context)?.text_within(left) {
                    Some(text) => out.push_str(&text),
                    None => return Err(Reason::TooLarge { limit: MAX_BODY_BYTES }),
                },
            }
            if out.len() > MAX_BODY_BYTES {
                return Err(Reason::TooLarge { limit: MAX_BODY_BYTES });
            }
        }
        Json::parse(out.as_bytes()).map_err(|error| Reason::not_json(&error))?;
        Ok(out)
    }
}
