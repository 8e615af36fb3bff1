//! Why a request can't be made of an event: the execution fails with `TEMPLATE_REJECTED`, and nothing is sent.

use crate::json::JsonError;

/// How many characters of an author's text messages quote.
const MAX_QUOTED: usize = 120;

/// A template that came out wrong for one event: where, and why. Neither tells a value of the event, and as text they
/// have no control characters in them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Rejection {
    /// The template's field, like `steps[0].request.path`.
    pub field: String,
    /// What is wrong with what came out.
    pub reason: Reason,
}

/// What is wrong with what a template made of an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A field is missing and the automation does not say that it may be.
    #[error("{expression} is missing in this event")]
    Missing {
        /// The placeholder's expression, as its author wrote it.
        expression: String,
    },
    /// The expression can't be worked out with this event's values.
    #[error("{expression} can't be worked out: {detail}")]
    Evaluation {
        /// The placeholder's expression, as its author wrote it.
        expression: String,
        /// What is wrong, by its kind.
        detail: &'static str,
    },
    /// The expression takes too much work.
    #[error("{expression} takes too much work")]
    TooCostly {
        /// The placeholder's expression, as its author wrote it.
        expression: String,
    },
    /// The text is too long.
    #[error("longer than {limit} bytes")]
    TooLarge {
        /// How many bytes it may have.
        limit: usize,
    },
    /// A path segment or a value is `.` or `..`, or becomes that when somebody decodes it.
    #[error("a '.' or '..' segment, in whatever encoding, is not allowed")]
    DotSegment,
    /// A path segment came out empty.
    #[error("a path segment is empty")]
    EmptySegment,
    /// A value has a control character in it.
    #[error("control characters are not allowed here")]
    ControlCharacter,
    /// A value has a backslash in it.
    #[error("backslashes are not allowed here")]
    Backslash,
    /// The body is to be JSON and came out as something else.
    #[error("the body is no JSON: {rule}")]
    NotJson {
        /// The rule of JSON that it breaks.
        rule: &'static str,
    },
    /// The webhook's URL does not end so that something can be appended.
    #[error("the webhook's URL must end in '/', '&', '?' or '=' to have a path or query appended")]
    UrlNotOpen,
    /// The URL with the request's path and query is not what was meant.
    #[error("path and query would change the webhook's URL itself")]
    UrlChanged,
}

impl Reason {
    /// The body is no JSON. The error itself may tell a name that came out of the event.
    pub(crate) fn not_json(error: &JsonError) -> Self {
        let rule = match error {
            JsonError::DuplicateMember { .. } => "an object has two members of one name",
            JsonError::TooDeep { .. } => "lists and objects are nested too deep",
            JsonError::NotUtf8 { .. } | JsonError::Syntax { .. } => "its syntax is broken",
        };
        Self::NotJson { rule }
    }

    /// The rejection of `field` for this reason.
    pub(crate) fn at(self, field: &str) -> Rejection {
        Rejection { field: field.to_owned(), reason: self }
    }
}

/// An author's text as messages quote it: control characters escaped, the end of a long one cut off.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == MAX_QUOTED {
            out.push('…');
            break;
        }
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_short_and_has_no_control_characters() {
        assert_eq!(quoted("a\0b\u{85}\né\"'"), "a\\u{0}b\\u{85}\\né\"'");
        assert_eq!(quoted(&"é".repeat(MAX_QUOTED)).chars().count(), MAX_QUOTED);
        assert_eq!(quoted(&"é".repeat(60_000)).chars().count(), MAX_QUOTED + 1);
    }

    #[test]
    fn a_body_that_is_no_json_tells_no_name() {
        let error = JsonError::DuplicateMember { name: "secret".to_owned(), at: 5 };
        assert_eq!(
            Reason::not_json(&error).to_string(),
            "the body is no JSON: an object has two members of one name"
        );
    }
}
