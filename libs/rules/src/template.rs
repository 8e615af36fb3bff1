//! A template: text with placeholders, `Deal {{ deal.title }} was won`.
//!
//! A placeholder is a minijinja expression with filters. There are no statements, comments, loops, calls or
//! includes, so it is known when the template is saved where in the text each value will stand, and whoever
//! puts the parts together escapes for that place, once.
//!
//! **Numbers** keep their text, unless the expression computes or compares (operators such as `+` or `<`, filters
//! such as `round`): such an expression takes them as integers of 128 bits or floating point.
//!
//! **Missing** values are an error or empty, as the automation says ([`Missing`]); `null` is not missing, and
//! as text it is empty. Booleans are `true` and `false`, lists and objects their JSON text.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::json::Json;
use crate::rejection::Reason;
use crate::scope::Scope;

mod expression;
mod scan;
mod value;

pub(crate) use expression::Expression;
pub(crate) use value::{Numbers, to_value};

/// How many placeholders a template may have.
pub const MAX_PLACEHOLDERS: usize = 200;

/// What a placeholder without a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// An error: the request is rejected.
    #[default]
    Error,
    /// Empty text, or `null` where a value keeps its type.
    Empty,
}

/// Where a template stands: what it may read, and what a missing value is.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'s> {
    /// The object whose events it is written for.
    pub scope: &'s Scope,
    /// What a placeholder without a value is.
    pub missing: Missing,
}

/// A checked template.
#[derive(Debug)]
pub struct Template {
    parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Debug)]
pub(crate) enum Part {
    Literal(String),
    Placeholder(Expression),
}

impl Template {
    /// Checks a template and makes it ready.
    ///
    /// # Errors
    /// Every broken rule in words, at once.
    pub fn compile(source: &str, setting: Setting<'_>) -> Result<Self, Vec<String>> {
        let pieces = scan::split(source).map_err(|error| vec![error.to_string()])?;
        let count = pieces.iter().filter(|piece| matches!(piece, scan::Piece::Placeholder(_))).count();
        if count > MAX_PLACEHOLDERS {
            return Err(vec![format!("{count} placeholders; at most {MAX_PLACEHOLDERS} are allowed")]);
        }
        let mut parts = Vec::with_capacity(pieces.len());
        let mut refusals = Vec::new();
        for piece in pieces {
            match piece {
                scan::Piece::Literal(text) => parts.push(Part::Literal(text.to_owned())),
                scan::Piece::Placeholder(scanned) => match Expression::compile(&scanned, setting) {
                    Ok(expression) => parts.push(Part::Placeholder(expression)),
                    Err(found) => refusals.extend(found),
                },
            }
        }
        if refusals.is_empty() { Ok(Self { parts }) } else { Err(refusals) }
    }

    pub(crate) fn into_parts(self) -> Vec<Part> {
        self.parts
    }

    /// Renders plain text of at most `limit` bytes, nothing escaped.
    ///
    /// # Errors
    /// [`Reason`] when a value is missing, can't be worked out, or the text grows too long.
    pub fn render(&self, context: &Context<'_>, limit: usize) -> Result<String, Reason> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Placeholder(expression) => out.push_str(&text(&*expression.value(context)?)),
            }
            if out.len() > limit {
                return Err(Reason::TooLarge { limit });
            }
        }
        Ok(out)
    }
}

/// A value as text: what a template shows of it.
pub(crate) fn text(value: &Json) -> Cow<'_, str> {
    match value {
        Json::Null => Cow::Borrowed(""),
        Json::String(text) => Cow::Borrowed(text),
        Json::Number(number) => Cow::Borrowed(number.as_str()),
        Json::Bool(_) | Json::List(_) | Json::Object(_) => Cow::Owned(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Action, EventView, Records};

    const RECORD: &str = r#"{"title":"Big \"one\"","value":1.10,"id":12345678901234567890,"wide":1234567890123456789012345678901234567890,
        "won":true,"none":null,"tags":["a","b"],"owner":{"name":"Ann","odd key":1},"count":3}"#;

    fn with<T>(use_it: impl FnOnce(&Context<'_>) -> T) -> T {
        let records = Records::new(EventView {
            object: "deal".to_owned(),
            action: Action::Updated,
            current: Some(Json::parse(RECORD.as_bytes()).unwrap()),
            previous: Some(Json::parse(br#"{"title":"Old"}"#).unwrap()),
            previous_partial: true,
            event: Json::object([("id", Json::from("e1"))]),
        });
        let account = Json::object([("id", Json::from("acme"))]);
        let automation = Json::object([("name", Json::from("Won deals"))]);
        use_it(&Context::new(&records, &account, &automation))
    }

    fn compile(source: &str, missing: Missing) -> Result<Template, Vec<String>> {
        Template::compile(source, Setting { scope: &Scope::Object("deal".to_owned()), missing })
    }

    fn render_as(source: &str, missing: Missing) -> Result<String, Reason> {
        with(|context| compile(source, missing).unwrap().render(context, 1000))
    }

    fn render(source: &str) -> String {
        render_as(source, Missing::Error).unwrap()
    }

    #[test]
    fn placeholders_reach_every_root() {
        assert_eq!(
            render(
                "{{ deal.title }}/{{previous.title}}/{{ event.id }}/{{ account.id }}/{{ automation.name }}"
            ),
            "Big \"one\"/Old/e1/acme/Won deals"
        );
        assert_eq!(render(r#"{{ deal.owner["odd key"] }} {{ previous.value }}"#), "1 1.10");
    }

    #[test]
    fn number_text_survives_what_does_not_compute() {
        for (source, expected) in [
            ("{{ deal.value }}", "1.10"),
            ("{{ deal.id }}", "12345678901234567890"),
            ("{{ deal.wide }}", "1234567890123456789012345678901234567890"),
            ("{{ deal.value ~ ' EUR' }}", "1.10 EUR"),
            ("{{ deal.value | default(0) }}", "1.10"),
            ("{{ [deal.value, deal.wide] }}", "[1.10,1234567890123456789012345678901234567890]"),
            ("{{ deal.value if deal.won else 0 }}", "1.10"),
            ("{{ {'v': deal.value} | json }}", r#"{"v":1.10}"#),
        ] {
            assert_eq!(render(source), expected, "{source}");
        }
    }

    #[test]
    fn arithmetic_works_on_numbers() {
        for (source, expected) in [
            ("{{ deal.count + 1 }}", "4"),
            ("{{ deal.id + 1 }}", "12345678901234567891"),
            ("{{ deal.value * 2 }}", "2.2"),
            ("{{ deal.value | round }}", "1.0"),
            ("{{ 'big' if deal.value > 1 else 'small' }}", "big"),
            ("{{ 'big' if deal.value == 1.1 else 'small' }}", "big"),
        ] {
            assert_eq!(render(source), expected, "{source}");
        }
    }

    #[test]
    fn values_show_as_their_json() {
        assert_eq!(render("{{ deal.won }}|{{ deal.none }}|{{ deal.tags }}"), r#"true||["a","b"]"#);
        assert_eq!(render("{{ deal.owner }}"), r#"{"name":"Ann","odd key":1}"#);
        assert_eq!(render("{{ deal.tags | join(', ') | upper }}"), "A, B");
        assert_eq!(render("{{ '<&>' | upper }}{{ deal.title | json }}"), r#"<&>"Big \"one\"""#);
    }

    #[test]
    fn missing_is_an_error_unless_it_may_be_empty() {
        for source in
            ["{{ deal.nope }}", "{{ deal.nope.deeper }}", "{{ deal.nope | upper }}", "{{ deal.none.x }}"]
        {
            assert!(
                matches!(render_as(source, Missing::Error), Err(Reason::Missing { .. })),
                "{source}: {:?}",
                render_as(source, Missing::Error)
            );
            assert_eq!(render_as(source, Missing::Empty).as_deref(), Ok(""), "{source}");
        }
        assert!(render_as("{{ 'a' ~ deal.nope }}", Missing::Error).is_err());
        assert_eq!(render_as("{{ 'a' ~ deal.nope }}", Missing::Empty).as_deref(), Ok("a"));
        assert_eq!(render("{{ deal.nope | default('x') }}"), "x");
    }

    #[test]
    fn what_is_no_expression_is_refused_when_saved() {
        for source in [
            "{% if deal.won %}x{% endif %}",
            "{# note #}",
            "{{ deal.title",
            "{{ }}",
            "{{- deal.title }}",
            "{{ deal.title -}}",
            "{{ deal. }}",
            "{{ person.name }}",
            "{{ title }}",
            "{{ deal.title | nope }}",
            "{{ deal.title | safe }}",
            "{{ deal.title is nope }}",
            "{{ deal.title.upper() }}",
            "{{ range(10) }}",
            "{{ deal['title']() }}",
            "{{ debug() }}",
            "{{ 'open }}",
        ] {
            assert!(compile(source, Missing::Error).is_err(), "{source}");
        }
        let both = compile("{{ person.name }} {{ deal.title | nope }}", Missing::Error).unwrap_err();
        assert_eq!(both.len(), 2, "{both:?}");
    }

    #[test]
    fn braces_in_text_and_in_strings_are_text() {
        assert_eq!(render(r#"{"a":{"b":"{{ deal.count }}"}}"#), r#"{"a":{"b":"3"}}"#);
        assert_eq!(render(r#"{{ "{{ }} {% %}" }}"#), "{{ }} {% %}");
        assert_eq!(render("{{ {'a': {'b': 1}} }}"), r#"{"a":{"b":1}}"#);
    }

    #[test]
    fn work_and_output_are_bounded() {
        assert!(matches!(
            render_as("{{ 'aaaaaaaaaa' * 10000000 }}", Missing::Error),
            Err(Reason::TooCostly { .. })
        ));
        assert_eq!(render_as("{{ 'a' * 2000 }}", Missing::Error), Err(Reason::TooLarge { limit: 1000 }));
        let many = "{{ deal.count }}".repeat(MAX_PLACEHOLDERS + 1);
        assert!(compile(&many, Missing::Error).is_err());
    }
}
