//! The body of a request.

use std::collections::HashSet;

use super::json_body::JsonBody;
use super::{BodyTemplate, Encoding, MAX_BODY_BYTES, MAX_BODY_TEMPLATE_BYTES, PairValue, encode};
use crate::context::Context;
use crate::json::Json;
use crate::path::Path;
use crate::rejection::{Reason, Rejection};
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
            let json = is_json(content_type);
            if !is_content_type(content_type) {
                violations.add(
                    format!("{field}.raw.content_type"),
                    "no content type: like application/json or text/plain; charset=utf-8, without placeholders",
                );
            }
            let field = format!("{field}.raw.template");
            let template = compile_text(template, setting, &field, violations)?;
            if !json {
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
    for (index, (name, value)) in pairs.iter().enumerate() {
        let field = format!("{field}[{index}]");
        if name.is_empty() || name.len() > 256 {
            violations.add(format!("{field}.name"), "a name of 1 to 256 bytes is needed");
        } else if !names.insert(name.as_str()) && encoding == Encoding::Json {
            violations.add(format!("{field}.name"), "is there twice");
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

/// `type/subtype` of tokens, then parameters of visible ASCII (RFC 9110, section 8.3.1).
fn is_content_type(text: &str) -> bool {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let token = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
    };
    let typed = essence.trim().split_once('/').is_some_and(|(main, sub)| token(main) && token(sub));
    typed
        && text.len() <= 256
        && parameters.chars().all(|c| matches!(c, ' '..='~'))
        && !parameters.contains("{{")
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
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
    let mut size = 0;
    let mut members = Vec::with_capacity(pairs.len());
    for (index, (name, pair)) in pairs.iter().enumerate() {
        members.push((name.clone(), bounded(pair, context, &format!("{field}[{index}]"), &mut size)?));
    }
    Ok(Json::object(members).to_string())
}

fn form(pairs: &[(String, Pair)], context: &Context<'_>, field: &str) -> Result<String, Rejection> {
    let mut size = 0;
    let mut out = String::new();
    for (index, (name, pair)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push('&');
        }
        encode::form(&mut out, name);
        out.push('=');
        encode::form(&mut out, &text(&bounded(pair, context, &format!("{field}[{index}]"), &mut size)?));
    }
    Ok(out)
}

/// The pair's value, counted so that no number of pairs gathers more than a body holds.
fn bounded(pair: &Pair, context: &Context<'_>, field: &str, size: &mut usize) -> Result<Json, Rejection> {
    let value = pair.value(context, field)?;
    *size += value.to_string().len();
    if *size > MAX_BODY_BYTES {
        return Err(Reason::TooLarge { limit: MAX_BODY_BYTES }.at(field));
    }
    Ok(value)
}

impl Pair {
    fn value(&self, context: &Context<'_>, field: &str) -> Result<Json, Rejection> {
        match self {
            Self::Literal(json) => Ok(json.clone()),
            Self::Field { path, missing } => match (context.find(path), missing) {
                (Some(value), _) => Ok(value.clone()),
                (None, Missing::Empty) => Ok(Json::Null),
                (None, Missing::Error) => {
                    Err(Reason::Missing { expression: path.to_string() }.at(&format!("{field}.field")))
                }
            },
            Self::Text(template) => template
                .render(context, MAX_BODY_BYTES)
                .map(Json::from)
                .map_err(|reason| reason.at(&format!("{field}.text"))),
        }
    }
}
