//! What a collector printed: spans, read back.

use std::collections::BTreeMap;

/// All that a collector took.
#[derive(Debug)]
pub struct Collected {
    /// As it was printed.
    pub text: String,
    /// The spans, in the order of their arrival.
    pub spans: Vec<CollectedSpan>,
}

/// One span.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectedSpan {
    /// The resource's `service.name`.
    pub service: String,
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub id: String,
    /// The id of the span above; empty when there is none.
    pub parent: String,
    /// The name.
    pub name: String,
    /// `SERVER`, `CLIENT`, …
    pub kind: String,
    /// Whether its status is ERROR.
    pub failed: bool,
    /// Nanoseconds since the epoch.
    pub start: u64,
    /// The same.
    pub end: u64,
    /// Attributes; their values as text.
    pub attributes: BTreeMap<String, String>,
    /// The spans it is linked to: trace id and id.
    pub links: Vec<(String, String)>,
}

/// What the lines under a heading tell of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heading {
    Resource,
    Scope,
    Span,
    Attributes,
    Events,
    Links,
}

impl CollectedSpan {
    /// An attribute's value; empty without it.
    pub fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }
}

impl Collected {
    /// Reads what was printed.
    pub(crate) fn read(text: String) -> Self {
        let mut spans: Vec<CollectedSpan> = Vec::new();
        let mut service = String::new();
        let mut heading = Heading::Scope;
        for line in text.lines() {
            if let Some(next) = Heading::of(line) {
                heading = next;
                if next == Heading::Resource {
                    service.clear();
                }
                if line.starts_with("Span #") {
                    spans.push(CollectedSpan { service: service.clone(), ..CollectedSpan::default() });
                }
                continue;
            }
            let Some((key, value)) = line.trim_start().trim_start_matches("-> ").split_once(':') else {
                continue;
            };
            let (key, value) = (key.trim_end(), value.strip_prefix(' ').unwrap_or(value));
            if heading == Heading::Resource && key == "service.name" {
                service = plain(value);
            } else if let Some(span) = spans.last_mut() {
                span.take(heading, key, value);
            }
        }
        Self { text, spans }
    }

    /// The spans of a trace.
    pub fn trace(&self, trace_id: &str) -> Vec<&CollectedSpan> {
        self.spans.iter().filter(|span| span.trace_id == trace_id).collect()
    }
}

impl Heading {
    fn of(line: &str) -> Option<Self> {
        let heading = match line.trim_end_matches(|c: char| c.is_ascii_digit()) {
            "ResourceSpans #" => Self::Resource,
            "ScopeSpans #" => Self::Scope,
            "Span #" => Self::Span,
            "Attributes:" => Self::Attributes,
            "Events:" => Self::Events,
            "Links:" => Self::Links,
            _ => return None,
        };
        Some(heading)
    }
}

impl CollectedSpan {
    fn take(&mut self, heading: Heading, key: &str, value: &str) {
        match (heading, key) {
            (Heading::Attributes, _) => {
                self.attributes.insert(key.to_owned(), plain(value));
            }
            (Heading::Span, "Trace ID") => self.trace_id = value.to_owned(),
            (Heading::Span, "Parent ID") => self.parent = value.to_owned(),
            (Heading::Span, "ID") => self.id = value.to_owned(),
            (Heading::Span, "Name") => self.name = value.to_owned(),
            (Heading::Span, "Kind") => self.kind = value.trim_start_matches("SPAN_KIND_").to_owned(),
            (Heading::Span, "Status code") => self.failed = value == "STATUS_CODE_ERROR",
            (Heading::Span, "Start time") => self.start = value.parse().expect("a time"),
            (Heading::Span, "End time") => self.end = value.parse().expect("a time"),
            (Heading::Links, "Trace ID") => self.links.push((value.to_owned(), String::new())),
            (Heading::Links, "ID") => {
                if let Some((_, id)) = self.links.last_mut() {
                    value.clone_into(id);
                }
            }
            _ => {}
        }
    }
}

/// A value without its type: `Str(x)` is `x`.
fn plain(value: &str) -> String {
    let inside = value.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(value).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What rotel 0.0.1a15 prints for a span with everything, and for one with nothing.
    const PRINTED: &str = include_str!("specimen.txt");

    #[test]
    fn what_is_printed_is_read_back() {
        let [full, bare] = &Collected::read(PRINTED.to_owned()).spans[..] else { panic!("two spans") };
        let expected = CollectedSpan {
            service: "sluice (test)".to_owned(),
            trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned(),
            id: "b7ad6b7169203331".to_owned(),
            parent: "b7ad6b7169203332".to_owned(),
            name: "POST".to_owned(),
            kind: "CLIENT".to_owned(),
            failed: true,
            start: 1,
            end: 2,
            attributes: [("url.path", "/a:b"), ("http.response.status_code", "503"), ("x", "true")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            links: vec![("0af7651916cd43dd8448eb211c80319c".to_owned(), "b7ad6b7169203339".to_owned())],
        };
        assert_eq!(full, &expected);
        assert_eq!((bare.name.as_str(), bare.parent.as_str(), bare.failed), ("bare", "", false));
        assert!(bare.attributes.is_empty() && bare.links.is_empty());
    }
}
