//! A request as an automation's step describes it, and what it comes to for one event.
//!
//! Stored as JSON, for example:
//!
//! ```json
//! {"method": "POST", "path": "deals/{{ deal.id }}", "query": [["source", "{{ account.id }}"]],
//!  "headers": [["X-Stage", "{{ deal.stage }}"]],
//!  "body": {"key_value": {"encoding": "json", "pairs": [
//!    ["title", {"field": "deal.title"}], ["kind", {"literal": 1.10}], ["note", {"text": "Won: {{ deal.title }}"}]]}}}
//! ```
//!
//! The other bodies are `"none"` and `{"raw": {"content_type": "…", "template": "…"}}`. All but `method` may be
//! left out.
//!
//! Escaping goes by position and happens once: a placeholder in the path is one segment or a part of one, in the
//! query a value, in a header a value, in a JSON body a value or a part of a string. None can become more.

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::json::Json;
use crate::rejection::Rejection;
use crate::template::Setting;
use crate::violation::Violations;

mod body;
mod dots;
mod encode;
mod headers;
mod json_body;
mod target;

pub use body::MAX_PAIRS;
pub use headers::{MAX_HEADER_BYTES, MAX_HEADERS, is_forbidden as is_forbidden_header};
pub use target::{MAX_PATH_TEMPLATE_BYTES, MAX_QUERY_PARTS, MAX_SUFFIX_BYTES};

/// How many bytes a rendered body may have.
pub const MAX_BODY_BYTES: usize = 256 * 1024;
/// How many bytes a body's template may have.
pub const MAX_BODY_TEMPLATE_BYTES: usize = 64 * 1024;

/// An HTTP method that a step may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
    /// GET, which has no body.
    Get,
}

/// A request, unchecked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestTemplate {
    /// The method.
    pub method: Method,
    /// What is appended to the webhook's URL: a relative path without a leading `/`, with placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Query parameters: name, and template of the value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// Own headers: name, and template of the value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(default)]
    pub body: BodyTemplate,
}

/// A body, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BodyTemplate {
    /// No body.
    #[default]
    None,
    /// Named values.
    KeyValue {
        /// How they are written.
        encoding: Encoding,
        /// Names and values in order; in JSON no name twice.
        pairs: Vec<(String, PairValue)>,
    },
    /// A text of the author's own.
    Raw {
        /// Its content type, like `application/json` or `text/plain; charset=utf-8`.
        content_type: String,
        /// The template. For `application/json` and `…+json` values are escaped as JSON, else not at all.
        template: String,
    },
}

/// How named values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// A JSON object.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// The value of a pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairValue {
    /// This value.
    Literal(Json),
    /// The value at this field path, of whatever type it is.
    Field(String),
    /// Text by this template.
    Text(String),
}

/// A checked request.
#[derive(Debug)]
pub struct CompiledRequest {
    field: String,
    method: Method,
    target: target::Target,
    headers: Vec<headers::Header>,
    body: body::Body,
}

/// A request made of an event, to be joined to the webhook's URL when it is sent ([`crate::join_url`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedRequest {
    /// The method.
    pub method: Method,
    /// `path`, `?query` or `path?query`, percent-encoded, or empty.
    pub path_and_query_suffix: String,
    /// Own headers in order; values are UTF-8 without control characters.
    pub headers: Vec<(String, String)>,
    /// The `Content-Type`, where there is a body.
    pub content_type: Option<String>,
    /// The body, empty where there is none.
    pub body: Vec<u8>,
}

impl Method {
    /// The method as it stands in a request.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Get => "GET",
        }
    }
}

impl RequestTemplate {
    /// Checks the request and makes it ready. `field` is its own path, like `steps[0].request`.
    ///
    /// # Errors
    /// Every broken rule at once, each with its field.
    pub fn compile(&self, setting: Setting<'_>, field: &str) -> Result<CompiledRequest, Violations> {
        let mut violations = Violations::default();
        let target = target::compile(self, setting, field, &mut violations);
        let headers = headers::compile(&self.headers, setting, &format!("{field}.headers"), &mut violations);
        let body_field = format!("{field}.body");
        if self.method == Method::Get && self.body != BodyTemplate::None {
            violations.add(&body_field, "GET has no body");
        }
        let body = body::compile(&self.body, setting, &body_field, &mut violations);
        match (target, headers, body) {
            (Some(target), Some(headers), Some(body)) if violations.is_empty() => {
                Ok(CompiledRequest { field: field.to_owned(), method: self.method, target, headers, body })
            }
            _ => Err(violations),
        }
    }
}

impl CompiledRequest {
    /// The request's own path, like `steps[0].request`.
    pub(crate) fn field(&self) -> &str {
        &self.field
    }

    /// The request for this event.
    ///
    /// # Errors
    /// [`Rejection`]: a value is missing or may not stand where it would, or the request grows too large.
    pub fn render(&self, context: &Context<'_>) -> Result<RenderedRequest, Rejection> {
        let path_and_query_suffix = self.target.render(context, &self.field)?;
        let headers = headers::render(&self.headers, context, &format!("{}.headers", self.field))?;
        let (content_type, body) = self.body.render(context, &format!("{}.body", self.field))?;
        Ok(RenderedRequest { method: self.method, path_and_query_suffix, headers, content_type, body })
    }
}

#[cfg(test)]
mod tests;
