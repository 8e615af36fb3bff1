//! Why a request can't be made of an event: the execution fails with `TEMPLATE_REJECTED`, and nothing is sent.

use crate::json::JsonError;

/// A template that came out wrong for one event: where, and why. Neither tells a value of the event.
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
        detail: String,
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
    #[error("the body is no JSON: {0}")]
    NotJson(JsonError),
    /// The webhook's URL does not end so that something can be appended.
    #[error("the webhook's URL must end in '/', '&', '?' or '=' to have a path or query appended")]
    UrlNotOpen,
    /// The URL with the request's path and query is not what was meant.
    #[error("path and query would change the webhook's URL itself")]
    UrlChanged,
}

impl Reason {
    /// The rejection of `field` for this reason.
    pub(crate) fn at(self, field: &str) -> Rejection {
        Rejection { field: field.to_owned(), reason: self }
    }
}
