//! A template: text with placeholders, `Deal {{ deal.title }} was won`.
//!
//! A placeholder is an expression of minijinja's language (Jinja's), of the part of it that customers need:
//!
//! - fields: `deal.owner.name`, `deal["odd key"]`, `deal.tags[0]`, `deal.tags[-1]`
//! - texts, numbers, `true`, `false`, `none`, parentheses
//! - `~` joins texts; `+ - * / // %` and `-x` compute with numbers and nothing else
//! - `== != < <= > >=`, `in`, `not in`, one at a time; `and`, `or`, `not`; `a if b else c`
//! - filters: abs, capitalize, count, d, default, first, float, int, join, json, last, length, lower, replace, round,
//!   split, string, title, tojson, trim, upper
//! - tests: `is` (`not`) boolean, defined, divisibleby, endingwith, even, false, mapping, none, number, odd, sequence,
//!   startingwith, string, true, undefined
//!
//! There are no statements, comments, loops, calls or includes, so it is known when the template is saved where in the
//! text each value will stand, and whoever puts the parts together escapes for that place, once. Lists and objects
//! can't be written out, texts and lists can't be repeated, no operator grows numbers beyond 128 bits, and filters take
//! no filters: nothing makes much of little. What is left is bounded when it is saved ([`MAX_TEMPLATE_BYTES`],
//! [`MAX_PLACEHOLDERS`], [`MAX_TOKENS`], [`MAX_NESTING`]) and, all placeholders of an automation together, when it is
//! worked out ([`crate::MAX_EFFORT`]).
//!
//! **Numbers** keep their text, unless the expression computes (`+`, `round`): there they are integers of 128 bits or
//! floating point. They compare exactly, as decimals; values compare as in conditions: in type and value, and lists
//! and objects not at all.
//!
//! **Missing** values are an error or empty, as the automation says ([`Missing`]); `null` is not missing, and
//! as text it is empty. Booleans are `true` and `false`, lists and objects their JSON text.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::json::Json;
use crate::rejection::Reason;
use crate::scope::Scope;
use crate::violation::MAX_VIOLATIONS;

mod compute;
mod evaluate;
mod expression;
mod filter;
mod language;
mod parse;
mod scan;
mod unescape;

pub(crate) use expression::Expression;
pub use parse::MAX_NESTING;
pub use scan::MAX_TOKENS;

/// How many bytes a template may have, wherever it stands.
pub const MAX_TEMPLATE_BYTES: usize = 64 * 1024;
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
        if source.len() > MAX_TEMPLATE_BYTES {
            return Err(vec![format!("longer than {MAX_TEMPLATE_BYTES} bytes")]);
        }
        let pieces = scan::split(source).map_err(|error| vec![error.to_string()])?;
        let count = pieces.iter().filter(|piece| matches!(piece, scan::Piece::Placeholder(_))).count();
        if count > MAX_PLACEHOLDERS {
            return Err(vec![format!("{count} placeholders; at most {MAX_PLACEHOLDERS} are allowed")]);
        }
        let mut parts = Vec::with_capacity(pieces.len());
        let mut refusals = Vec::new();
        for piece in pieces {
            if refusals.len() > MAX_VIOLATIONS {
                break;
            }
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
                Part::Placeholder(expression) => out.push_str(&expression.text(context, limit)?),
            }
            if out.len() > limit {
                return Err(Reason::TooLarge { limit });
            }
        }
        Ok(out)
    }
}

/// A value as text: what a template shows of it. Lists and objects of more than `limit` bytes are not written.
pub(crate) fn text(value: Cow<'_, Json>, limit: usize) -> Result<Cow<'_, str>, Reason> {
    match value {
        Cow::Borrowed(Json::String(text)) => Ok(Cow::Borrowed(text)),
        Cow::Owned(Json::String(text)) => Ok(Cow::Owned(text)),
        Cow::Borrowed(Json::Number(number)) => Ok(Cow::Borrowed(number.as_str())),
        value if *value == Json::Null => Ok(Cow::Borrowed("")),
        value => value.text_within(limit).map(Cow::Owned).ok_or(Reason::TooLarge { limit }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Action, EventView, Records};

    const RECORD: &str = r#"{"title":"Big \"one\"","value":1.10,"id":12345678901234567890,"wide":1234567890123456789012345678901234567890,
        "won":true,"none":null,"tags":["a","b"],"owner":{"name":"Ann","odd key":1},"count":3,"numbers":[1.50,10.0]}"#;

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
            ("{{ deal.value if deal.won else 0 }}", "1.10"),
            ("{{ deal.numbers | json }}", "[1.50,10.0]"),
            ("{{ deal.numbers[-1] }}{{ deal.numbers.0 | string }}", "10.01.50"),
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
            ("{{ 7 // -2 }} {{ 7 % -2 }} {{ -7.5 // 2 }} {{ 7 / 2 }} {{ 1 - 2 - 3 }}", "-4 -1 -4.0 3.5 -4"),
            ("{{ 2 + 3 * 4 ~ '!' if false else 2 + 3 * 4 }}", "14"),
            (
                "{{ -deal.value | abs }} {{ '1.9' | int }} {{ 'x' | int(0) }} {{ true | float }}",
                "1.1 1 0 1.0",
            ),
            (
                "{{ 0.5 / 10000 }} {{ 1e21 + 0.0 }} {{ -7.5 % 2 }} {{ 7.5 // -2 }}",
                "0.00005 1000000000000000000000.0 0.5 -4.0",
            ),
            ("{{ 2.345 | round(2) }} {{ 2.1 | round(0, 'ceil') }} {{ 3 | round }}", "2.35 3.0 3"),
            (
                "{{ deal.id > 12345678901234567889.9 }} {{ 0.1 + 0.2 == 0.3 }} {{ 1 == 1.0 }}",
                "true false true",
            ),
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
    }

    #[test]
    fn truths_and_choices_are_those_of_the_language() {
        for (source, expected) in [
            ("{{ deal.none or deal.title }}", "Big \"one\""),
            ("{{ deal.won and 0 }}", "0"),
            ("{{ not deal.won or 'b' in deal.tags }}", "true"),
            ("{{ 'z' not in deal.tags and 'name' in deal.owner and 'ig' in deal.title }}", "true"),
            ("{{ 'a' if false }}{{ 1 if deal.none else 2 if 0.0 else 3 }}", "3"),
            (
                "{{ deal.nope is defined }} {{ deal.none is defined }} {{ deal.none is none }}",
                "false true true",
            ),
            (
                "{{ deal.count is odd }} {{ deal.count is not divisibleby(3) }} {{ deal.title is string }}",
                "true false true",
            ),
            ("{{ deal.title is startingwith('Big') and deal.tags is sequence }}", "true"),
            (
                "{{ deal.none | default('x') }}|{{ deal.none | default('x', true) }}|{{ deal.nope | d }}",
                "|x|",
            ),
            ("{{ deal.tags | first }}{{ deal.tags | last }}{{ deal.tags | length }}", "ab2"),
            ("{{ 'x,y' | split(',') | last }}{{ ' a  b ' | split | json }}", r#"y["a","b"]"#),
            (
                "{{ 'aXbX' | replace('X', '--') }} {{ 'o\\u00e9 o-o' | title }} {{ ' ab C ' | trim | capitalize }}",
                "a--b-- Oé O-O Ab c",
            ),
        ] {
            assert_eq!(render(source), expected, "{source}");
        }
    }

    #[test]
    fn values_that_do_not_fit_are_refused_without_being_told() {
        for source in [
            "{{ deal.title + 1 }}",
            "{{ deal.tags + deal.tags }}",
            "{{ deal.tags * 3 }}",
            "{{ deal.title * 3 }}",
            "{{ deal.tags == deal.tags }}",
            "{{ deal.title < 1 }}",
            "{{ 1 / 0 }}",
            "{{ 1 % 0.0 }}",
            "{{ 1 is divisibleby(0) }}",
            "{{ 170141183460469231731687303715884105727 + 1 }}",
            "{{ 170141183460469231731687303715884105727 * 2 }}",
            "{{ deal.wide > 1 }}",
            "{{ 1e308 * 10 }}",
            "{{ deal.title | int }}",
            "{{ deal.title | round }}",
            "{{ 1.5 | round(16) }}",
            "{{ 1.5 is even }}",
            "{{ deal.title | join }}",
            "{{ deal.title | replace('', 'x') }}",
        ] {
            let rejected = render_as(source, Missing::Error).unwrap_err();
            assert!(matches!(rejected, Reason::Evaluation { .. }), "{source}: {rejected:?}");
            assert!(!rejected.to_string().contains("one"), "{rejected}");
        }
    }

    #[test]
    fn what_makes_much_of_little_is_refused_when_saved() {
        for source in [
            "{{ [0] }}",
            "{{ {} }}",
            "{{ (1, 2) }}",
            "{{ () }}",
            "{{ 1, 2 }}",
            "{{ 2 ** 3 }}",
            "{{ deal.tags[0:1] }}",
            "{{ deal.tags | batch(2) }}",
            "{{ deal.tags | map('upper') }}",
            "{{ deal.tags | select('odd') }}",
            "{{ deal.tags | join(d=',') }}",
            "{{ deal.tags | join(*deal.tags) }}",
            "{{ deal[deal.title] }}",
            "{{ 1 < 2 < 3 }}",
            "{{ 1is divisibleby(3) }}",
            "{{ 0x10 }}",
            "{{ 1_0 }}",
            "{{ deal.title | upper('x') }}",
        ] {
            assert!(compile(source, Missing::Error).is_err(), "{source}");
        }
    }

    #[test]
    fn size_nesting_and_number_are_bounded_when_saved() {
        let many = "{{ deal.count }}".repeat(MAX_PLACEHOLDERS + 1);
        assert!(compile(&many, Missing::Error).is_err());
        assert!(compile(&"a".repeat(MAX_TEMPLATE_BYTES + 1), Missing::Error).is_err());
        for (open, close) in [("(", ")"), ("-", ""), ("not ", ""), ("1 if 1 else ", ""), ("1|d(", ")")] {
            let nested = |depth| format!("{{{{ {}1{} }}}}", open.repeat(depth), close.repeat(depth));
            assert!(compile(&nested(MAX_NESTING - 1), Missing::Error).is_ok(), "{open}");
            let refused = compile(&nested(MAX_NESTING), Missing::Error).unwrap_err();
            assert!(refused[0].contains("nested deeper than 16"), "{refused:?}");
        }
    }

    #[test]
    fn output_and_effort_are_bounded_when_rendered() {
        let long = format!("{{{{ '{}' }}}}", "a".repeat(1_001));
        assert_eq!(render_as(&long, Missing::Error), Err(Reason::TooLarge { limit: 1000 }));
        let doubled = format!("{{{{ 'a'{} | length }}}}", "|replace('a', 'aaaaaaaaaaaaaaaa')".repeat(6));
        assert!(matches!(render_as(&doubled, Missing::Error), Err(Reason::TooCostly { .. })));
    }

    #[test]
    fn messages_show_no_control_characters() {
        let refused = compile("{{ deal.\0title | \u{1b} }}", Missing::Error).unwrap_err();
        assert!(!refused.concat().contains(char::is_control), "{refused:?}");
        let rejected = render_as("{{ deal['\0'] }}", Missing::Error).unwrap_err();
        assert_eq!(rejected.to_string(), "deal['\\u{0}'] is missing in this event");
    }
}
