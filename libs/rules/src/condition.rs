//! The condition as somebody writes it: a tree of groups and comparisons, unchecked.
//!
//! Its stored JSON form, stable; one member names the kind of node:
//!
//! ```json
//! {"all": [
//!   {"comparison": {"path": "deal.stage", "operator": "has_changed_to", "values": [{"text": "won"}]}},
//!   {"any": [
//!     {"comparison": {"path": "deal.value", "operator": "greater_than", "values": [{"decimal": "1000"}]}},
//!     {"not": {"comparison": {"path": "deal.title", "operator": "contains",
//!                             "values": [{"text": "test"}], "ignore_case": true}}}
//!   ]}
//! ]}
//! ```
//!
//! Operands are `{"text": "…"}`, `{"decimal": "1.10"}`, `{"boolean": true}` and `"null"`; `values` and
//! `ignore_case` may be left out (none, and false).

use serde::{Deserialize, Serialize};

use crate::operator::Operator;

/// One node of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Every one of them holds. An empty one always holds, and may only be the whole condition.
    All(Vec<Condition>),
    /// At least one of them holds.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// What one field holds.
    Comparison(Comparison),
}

/// A field, an operator, and what to compare with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The field path, like `deal.title`; see [`crate::path`].
    pub path: String,
    /// How to compare.
    pub operator: Operator,
    /// The operands, as many as the operator takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Operand>,
    /// Whether text compares by Unicode simple folding; else by code point. Only where text is compared: see
    /// [`crate::Rule::compares_text`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_case: bool,
}

/// A typed operand. A decimal never equals a text that looks like it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operand {
    /// Text.
    Text(String),
    /// A number as JSON writes it, of at most 34 significant digits.
    Decimal(String),
    /// Yes or no.
    Boolean(bool),
    /// The value `null`, which a missing field is not.
    Null,
}

impl Condition {
    /// The condition that always holds.
    #[must_use]
    pub fn always() -> Self {
        Self::All(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_stays() {
        let stored = concat!(
            r#"{"all":[{"comparison":{"path":"deal.stage","operator":"has_changed_to","values":[{"text":"won"}]}},"#,
            r#"{"any":[{"not":{"comparison":{"path":"deal.title","operator":"is_empty"}}},"#,
            r#"{"comparison":{"path":"deal.x","operator":"in","values":[{"decimal":"1.10"},{"boolean":true},"null"],"#,
            r#""ignore_case":true}}]}]}"#
        );
        let condition: Condition = serde_json::from_str(stored).unwrap();
        assert_eq!(serde_json::to_string(&condition).unwrap(), stored);
    }

    #[test]
    fn unknown_members_and_operators_are_refused() {
        for stored in [
            r#"{"comparison":{"path":"deal.x","operator":"is_empty","colour":1}}"#,
            r#"{"comparison":{"path":"deal.x","operator":"rhymes_with"}}"#,
            r#"{"none":[]}"#,
        ] {
            assert!(serde_json::from_str::<Condition>(stored).is_err(), "{stored}");
        }
    }
}
