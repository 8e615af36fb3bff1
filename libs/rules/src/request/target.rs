//! Path and query of a request: which segment and which value each placeholder is.

use super::encode;
use super::{RequestTemplate, dots};
use crate::context::Context;
use crate::rejection::{Reason, Rejection};
use crate::template::{Expression, Part, Setting, Template};
use crate::violation::Violations;

/// How many bytes a path template, or the template of one query value, may have.
pub const MAX_PATH_TEMPLATE_BYTES: usize = 2_048;
/// How many query parameters a request may have.
pub const MAX_QUERY_PARTS: usize = 50;
/// How many bytes path and query may have when they are rendered. Whoever judges the joined URL must let it be as much
/// longer than the webhook's own.
pub const MAX_SUFFIX_BYTES: usize = 8 * 1024;

/// Checked path and query.
#[derive(Debug)]
pub(super) struct Target {
    segments: Vec<Segment>,
    query: Vec<(String, Template)>,
}

/// What stands between two slashes; without parts it is the end of a path that ends in `/`.
type Segment = Vec<Piece>;

#[derive(Debug)]
enum Piece {
    Literal(String),
    Placeholder(Expression),
}

/// `None` once something is wrong.
pub(super) fn compile(
    request: &RequestTemplate,
    setting: Setting<'_>,
    field: &str,
    violations: &mut Violations,
) -> Option<Target> {
    let segments = match request.path.as_deref() {
        None | Some("") => Some(Vec::new()),
        Some(path) => compile_path(path, setting)
            .map_err(|refusals| {
                refusals.into_iter().for_each(|refusal| violations.add(format!("{field}.path"), refusal));
            })
            .ok(),
    };
    if request.query.len() > MAX_QUERY_PARTS {
        violations.add(format!("{field}.query"), format!("more than {MAX_QUERY_PARTS} parameters"));
        return None;
    }
    let mut query = Vec::with_capacity(request.query.len());
    for (index, (name, template)) in request.query.iter().enumerate() {
        if name.is_empty() || name.contains("{{") || encode::refuse_unsafe(name).is_err() || name.len() > 256
        {
            violations.add(
                format!("{field}.query[{index}].name"),
                "a name is needed: up to 256 bytes, no placeholders, no control characters, no backslashes",
            );
        }
        let value_field = format!("{field}.query[{index}].value");
        if template.len() > MAX_PATH_TEMPLATE_BYTES {
            violations.add(&value_field, format!("longer than {MAX_PATH_TEMPLATE_BYTES} bytes"));
            continue;
        }
        match Template::compile(template, setting) {
            Ok(template) => query.push((name.clone(), template)),
            Err(refusals) => refusals.into_iter().for_each(|refusal| violations.add(&value_field, refusal)),
        }
    }
    Some(Target { segments: segments?, query })
}

fn compile_path(path: &str, setting: Setting<'_>) -> Result<Vec<Segment>, Vec<String>> {
    if path.len() > MAX_PATH_TEMPLATE_BYTES {
        return Err(vec![format!("longer than {MAX_PATH_TEMPLATE_BYTES} bytes")]);
    }
    let mut segments = vec![Vec::new()];
    let mut refusals = Vec::new();
    for part in Template::compile(path, setting)?.into_parts() {
        match part {
            Part::Placeholder(expression) => add(&mut segments, Piece::Placeholder(expression)),
            Part::Literal(literal) => {
                refusals.extend(refusal_of_text(&literal));
                for (index, piece) in literal.split('/').enumerate() {
                    if index > 0 {
                        segments.push(Vec::new());
                    }
                    if !piece.is_empty() {
                        add(&mut segments, Piece::Literal(piece.to_owned()));
                    }
                }
            }
        }
    }
    if segments.first().is_some_and(Vec::is_empty) {
        refusals.push("begins with '/'; it is appended to the webhook's URL, which ends with one".to_owned());
    }
    let inner = segments.len().saturating_sub(1).max(1);
    if segments[1..inner].iter().any(Vec::is_empty) {
        refusals.push("has an empty segment ('//')".to_owned());
    }
    if segments.iter().any(is_dotted) {
        refusals.push("'.' and '..' segments are not allowed, in whatever encoding".to_owned());
    }
    if refusals.is_empty() { Ok(segments) } else { Err(refusals) }
}

fn add(segments: &mut [Segment], piece: Piece) {
    if let Some(segment) = segments.last_mut() {
        segment.push(piece);
    }
}

/// Whether the segment is a dot segment already, whatever the event.
fn is_dotted(segment: &Segment) -> bool {
    match segment.as_slice() {
        [Piece::Literal(text)] => dots::has_dot_segment(text),
        _ => false,
    }
}

fn refusal_of_text(literal: &str) -> Option<String> {
    if let Err(reason) = encode::refuse_unsafe(literal) {
        return Some(reason.to_string());
    }
    if literal.contains(['?', '#']) {
        return Some("'?' and '#' are not allowed in a path; parameters belong in query".to_owned());
    }
    let mut rest = literal;
    while let Some((_, after)) = rest.split_once('%') {
        let encoded = after.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
        if !encoded {
            return Some("'%' must begin a percent-encoded byte like %20".to_owned());
        }
        rest = after;
    }
    None
}

impl Target {
    pub(super) fn render(&self, context: &Context<'_>, field: &str) -> Result<String, Rejection> {
        let mut out = String::new();
        for (index, segment) in self.segments.iter().enumerate() {
            if index > 0 {
                out.push('/');
            }
            segment_into(&mut out, segment, context).map_err(|reason| reason.at(&format!("{field}.path")))?;
        }
        for (index, (name, template)) in self.query.iter().enumerate() {
            out.push(if index == 0 { '?' } else { '&' });
            encode::value(&mut out, name);
            out.push('=');
            let rendered = template.render(context, MAX_SUFFIX_BYTES).and_then(|value| {
                encode::refuse_unsafe(&value)?;
                Ok(value)
            });
            let value = rendered.map_err(|reason| reason.at(&format!("{field}.query[{index}].value")))?;
            encode::value(&mut out, &value);
            if out.len() > MAX_SUFFIX_BYTES {
                break;
            }
        }
        if out.len() > MAX_SUFFIX_BYTES {
            return Err(Reason::TooLarge { limit: MAX_SUFFIX_BYTES }.at(&format!("{field}.path")));
        }
        Ok(out)
    }
}

fn segment_into(out: &mut String, segment: &Segment, context: &Context<'_>) -> Result<(), Reason> {
    let start = out.len();
    let mut raw = String::new();
    for piece in segment {
        match piece {
            Piece::Literal(literal) => {
                raw.push_str(literal);
                encode::path_text(out, literal);
            }
            Piece::Placeholder(expression) => {
                let value = expression.text(context, MAX_SUFFIX_BYTES)?;
                encode::refuse_unsafe(&value)?;
                raw.push_str(&value);
                encode::value(out, &value);
            }
        }
        if out.len() > MAX_SUFFIX_BYTES {
            return Err(Reason::TooLarge { limit: MAX_SUFFIX_BYTES });
        }
    }
    if !segment.is_empty() && out.len() == start {
        return Err(Reason::EmptySegment);
    }
    if dots::has_dot_segment(&raw) { Err(Reason::DotSegment) } else { Ok(()) }
}
