//! The body of a request.

use std::borrow::Cow;
use std::collections::HashSet;

use super::json_body::JsonBody;
use super::{BodyTemplate, Encoding, MAX_BODY_BYTES, MAX_BODY_TEMPLATE_BYTES, PairValue, encode};
use crate::context::Context;
use crate::json::{Json, quote_into};
use crate::path::Path;
use crate::rejection::{Reason, Rejection, quoted};
use crate::scope::REQUEST_ROOTS;
use crate::template::{Missing, Setting, Template, text};
use crate::violation::Violations;

/// How many pairs a key-value body may have.
pub const MAX_PAIRS: usize = 200;

/// A checked body.
#[derive(Debug)]
pub(super) enum Body {
    None,
    KeyValue { encoding: Encoding, pairs: Vec<(String, Pair)> },
    Json { content_type: String, body: JsonBody },
    Text { content_type: String, template: Template },
}

#[derive(Debug)]
pub(super) enum Pair {
    Literal(Json),
    Field { path: Path, missing: Missing },
    Text(Template),
}

/// `None` once something is wrong.
pub(super) fn compile(
    body: &BodyTemplate,
    setting: Setting<'_>,
    field: &str,
    violations: &mut Violations,
) -> Option<Body> {
    match body {
        BodyTemplate::None => Some(Body::None),
        BodyTemplate::KeyValue { encoding, pairs } => {
            let pairs =
                compile_pairs(*encoding, pairs, setting, &format!("{field}.key_value.pairs"), violations)?;
            Some(Body::KeyValue { encoding: *encoding, pairs })
        }
        BodyTemplate::Raw { content_type, template } => {
            let kind = Kind::of(content_type);
            if let Err(refusal) = kind {
                violations.add(format!("{field}.raw.content_type"), refusal);
            }
            let field = format!("{field}.raw.template");
            let template = compile_text(template, setting, &field, violations)?;
            if kind != Ok(Kind::Json) {
                return Some(Body::Text { content_type: content_type.clone(), template });
            }
            match JsonBody::compile(template) {
                Ok(body) => Some(Body::Json { content_type: content_type.clone(), body }),
                Err(refusal) => {
                    violations.add(field, refusal);
                    None
                }
            }
        }
    }
}

fn compile_pairs(
    encoding: Encoding,
    pairs: &[(String, PairValue)],
    setting: Setting<'_>,
    field: &str,
    violations: &mut Violations,
) -> Option<Vec<(String, Pair)>> {
    if pairs.len() > MAX_PAIRS {
        violations.add(field, format!("{} pairs; at most {MAX_PAIRS} are allowed", pairs.len()));
        return None;
    }
    let mut names = HashSet::new();
    let mut compiled = Vec::with_capacity(pairs.len());
    let mut left = MAX_BODY_TEMPLATE_BYTES;
    for (index, (name, value)) in pairs.iter().enumerate() {
        let field = format!("{field}[{index}]");
        if name.is_empty() || name.len() > 256 {
            violations.add(format!("{field}.name"), "a name of 1 to 256 bytes is needed");
        } else if !names.insert(name.as_str()) && encoding == Encoding::Json {
            violations.add(format!("{field}.name"), "is there twice");
        }
        let size = match value {
            PairValue::Literal(json) => json.text_within(left).map(|text| text.len()),
            PairValue::Field(path) => Some(path.len()),
            PairValue::Text(template) => Some(template.len()),
        };
        match size.and_then(|size| left.checked_sub(size)) {
            Some(rest) => left = rest,
            None => {
                violations.add(
                    field,
                    format!("up to here the values have more than {MAX_BODY_TEMPLATE_BYTES} bytes"),
                );
                return None;
            }
        }
        let pair = match value {
            PairValue::Literal(json) => Some(Pair::Literal(json.clone())),
            PairValue::Field(path) => compile_field(path, setting, &format!("{field}.field"), violations),
            PairValue::Text(template) => {
                compile_text(template, setting, &format!("{field}.text"), violations).map(Pair::Text)
            }
        };
        compiled.extend(pair.map(|pair| (name.clone(), pair)));
    }
    (compiled.len() == pairs.len()).then_some(compiled)
}

fn compile_field(path: &str, setting: Setting<'_>, field: &str, violations: &mut Violations) -> Option<Pair> {
    let path = match Path::parse(path) {
        Ok(path) => path,
        Err(error) => {
            violations.add(field, error.to_string());
            return None;
        }
    };
    if let Some(refusal) = setting.scope.refuse(path.root(), &REQUEST_ROOTS) {
        violations.add(field, refusal);
        return None;
    }
    Some(Pair::Field { path, missing: setting.missing })
}

fn compile_text(
    template: &str,
    setting: Setting<'_>,
    field: &str,
    violations: &mut Violations,
) -> Option<Template> {
    if template.len() > MAX_BODY_TEMPLATE_BYTES {
        violations.add(field, format!("longer than {MAX_BODY_TEMPLATE_BYTES} bytes"));
        return None;
    }
    Template::compile(template, setting)
        .map_err(|refusals| refusals.into_iter().for_each(|refusal| violations.add(field, refusal)))
        .ok()
}

/// What a raw body is, by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One JSON text, in which values are escaped.
    Json,
    /// Any other text.
    Text,
}

impl Kind {
    /// `type/subtype` of tokens, then parameters of visible ASCII (RFC 9110, section 8.3.1), exactly so: the header is
    /// sent as it is written here.
    ///
    /// A subtype that speaks of JSON but is not one JSON text (`x-ndjson`, `json-seq`, `json5`) is refused: a value's
    /// place in it could not be checked.
    fn of(content_type: &str) -> Result<Self, &'static str> {
        const NONE: &str =
            "no content type: like application/json or text/plain; charset=utf-8, without placeholders";
        let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        let token = |text: &str| {
            !text.is_empty()
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
        };
        let Some((_, subtype)) = essence.split_once('/').filter(|(main, sub)| token(main) && token(sub))
        else {
            return Err(NONE);
        };
        let plain = parameters.chars().all(|c| matches!(c, ' '..='~'))
            && !parameters.contains("{{")
            && !content_type.ends_with(' ');
        if content_type.len() > 256 || !plain {
            return Err(NONE);
        }
        let subtype = subtype.to_ascii_lowercase();
        if subtype == "json" || subtype.ends_with("+json") {
            Ok(Self::Json)
        } else if subtype.contains("json") {
            Err("of the JSON types only those of one JSON text are supported: application/json and …+json")
        } else {
            Ok(Self::Text)
        }
    }
}

impl Body {
    pub(super) fn render(
        &self,
        context: &Context<'_>,
        field: &str,
    ) -> Result<(Option<String>, Vec<u8>), Rejection> {
        let (content_type, body) = match self {
            Self::None => return Ok((None, Vec::new())),
            Self::KeyValue { encoding, pairs } => {
                let field = format!("{field}.key_value.pairs");
                match encoding {
                    Encoding::Json => ("application/json", json(pairs, context, &field)?),
                    Encoding::Form => ("application/x-www-form-urlencoded", form(pairs, context, &field)?),
                }
            }
            Self::Json { content_type, body } => {
                let body =
                    body.render(context).map_err(|reason| reason.at(&format!("{field}.raw.template")))?;
                (content_type.as_str(), body)
            }
            Self::Text { content_type, template } => {
                let body = template
                    .render(context, MAX_BODY_BYTES)
                    .map_err(|reason| reason.at(&format!("{field}.raw.template")))?;
                (content_type.as_str(), body)
            }
        };
        if body.len() > MAX_BODY_BYTES {
            return Err(Reason::TooLarge { limit: MAX_BODY_BYTES }.at(field));
        }
        Ok((Some(content_type.to_owned()), body.into_bytes()))
    }
}

fn json(pairs: &[(String, Pair)], context: &Context<'_>, field: &str) -> Result<String, Rejection> {
    let mut out = String::from("{");
    for (index, (name, pair)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        quote_into(&mut out, name);
        out.push(':');
        let field = format!("{field}[{index}]");
        let left = MAX_BODY_BYTES.saturating_sub(out.len());
        let value = pair.value(context, &field)?;
        let text = value.text_within(left).ok_or_else(|| TOO_LARGE.at(&field))?;
        out.push_str(&text);
    }
    out.push('}');
    Ok(out)
}

fn form(pairs: &[(String, Pair)], context: &Context<'_>, field: &str) -> Result<String, Rejection> {
    let mut out = String::new();
    for (index, (name, pair)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push('&');
        }
        encode::form(&mut out, name);
        out.push('=');
        let field = format!("{field}[{index}]");
        let left = MAX_BODY_BYTES.saturating_sub(out.len());
        let value = text(pair.value(context, &field)?, left).map_err(|_| TOO_LARGE.at(&field))?;
        encode::form(&mut out, &value);
        if out.len() > MAX_BODY_BYTES {
            return Err(TOO_LARGE.at(&field));
        }
    }
    Ok(out)
}

const TOO_LARGE: Reason = Reason::TooLarge { limit: MAX_BODY_BYTES };

impl Pair {
    fn value<'a>(&'a self, context: &Context<'a>, field: &str) -> Result<Cow<'a, Json>, Rejection> {
        match self {
            Self::Literal(json) => Ok(Cow::Borrowed(json)),
            Self::Field { path, missing } => {
                match (context.find(path), missing) {
                    (Some(value), _) => Ok(Cow::Borrowed(value)),
                    (None, Missing::Empty) => Ok(Cow::Owned(Json::Null)),
                    (None, Missing::Error) => Err(Reason::Missing { expression: quoted(&path.to_string()) }
                        .at(&format!("{field}.field"))),
                }
            }
            Self::Text(template) => template
                .render(context, MAX_BODY_BYTES)
                .map(|text| Cow::Owned(Json::from(text)))
                .map_err(|reason| reason.at(&format!("{field}.text"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_exact() {
        for (content_type, kind) in [
            ("application/json", Kind::Json),
            ("Application/JSON; charset=utf-8", Kind::Json),
            ("text/json", Kind::Json),
            ("application/vnd.api+json;v=1", Kind::Json),
            ("text/plain", Kind::Text),
            ("application/xml; charset=\"utf-8\"", Kind::Text),
        ] {
            assert_eq!(Kind::of(content_type), Ok(kind), "{content_type:?}");
        }
        for content_type in [
            "",
            "json",
            "/json",
            "application/",
            "application/json\n",
            " application/json",
            "application/json ",
            "application/json ; charset=utf-8",
            "application/json; charset=utf-8\r\nX-Evil: 1",
            "application/json; ",
            "application/json\u{a0}",
            "text/{{ deal.type }}",
            "text/plain; charset={{ deal.charset }}",
            "application/x-ndjson",
            "application/json-seq",
            "application/geo+json-seq",
            "application/json5",
            "application/jsonl",
        ] {
            assert!(Kind::of(content_type).is_err(), "{content_type:?}");
        }
    }
}
