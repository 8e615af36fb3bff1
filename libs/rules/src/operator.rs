//! The operators: what each takes, and what it says of a value. A new operator is a variant, a row in
//! [`Operator::rule`] and an arm in [`Operator::judge`].
//!
//! **Case.** With `ignore_case` a comparison sees all text folded: the field's, within lists and objects too, and the
//! operands'. So `has changed` does not hold when `won` has become `WON`, nor does `has changed to` then; names of
//! members always count as they are. Operators that compare no text refuse it ([`Rule::compares_text`]).

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::decimal::Decimal;
use crate::fold::{fold, folded};
use crate::json::{Json, Number};
use crate::verdict::{Grounds, Verdict};

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// Equals the operand, in type and value. Lists and objects equal no operand.
    Is,
    /// Does not equal it; holds on a missing field.
    IsNot,
    /// Text that has the operand's text in it, or a list that has an element which is the operand.
    Contains,
    /// Text that begins with the operand's.
    StartsWith,
    /// Missing, `null`, `""`, `[]` or `{}`.
    IsEmpty,
    /// Anything else.
    IsNotEmpty,
    /// A number above the operand.
    GreaterThan,
    /// A number below the operand.
    LessThan,
    /// A number from the first operand to the second, both included.
    Between,
    /// Equals one of the operands.
    In,
    /// The value is another than before, absent counting as a value.
    HasChanged,
    /// It is another than before and now is the operand.
    HasChangedTo,
    /// It is another than before and was the operand.
    HasChangedFrom,
}

/// How many operands an operator takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// Exactly this many.
    Exactly(usize),
    /// One, up to this many.
    UpTo(usize),
}

/// The type of an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperandType {
    /// Text.
    Text,
    /// A decimal number.
    Decimal,
    /// Yes or no.
    Boolean,
    /// `null`.
    Null,
}

/// What an operator takes, and what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// How many operands.
    pub arity: Arity,
    /// Of which types each of them may be.
    pub types: &'static [OperandType],
    /// Whether it reads the old record too, and so only takes paths into the record itself.
    pub reads_previous: bool,
    /// Whether text is compared, so that case may be ignored.
    pub compares_text: bool,
}

/// An operand made ready: text folded where case is ignored, numbers as decimals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Text(String),
    Decimal(Decimal),
    Boolean(bool),
    Null,
}

/// What an operator judges: the value now and before.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'j> {
    pub(crate) now: Option<&'j Json>,
    /// `None` for an event in which nothing can have changed; else the old value, if there was one.
    pub(crate) before: Option<Option<&'j Json>>,
    pub(crate) ignore_case: bool,
}

const SCALARS: &[OperandType] =
    &[OperandType::Text, OperandType::Decimal, OperandType::Boolean, OperandType::Null];

/// How many operands `in` takes.
pub const MAX_IN: usize = 100;

impl Operator {
    /// Every operator.
    pub const ALL: [Self; 13] = [
        Self::Is,
        Self::IsNot,
        Self::Contains,
        Self::StartsWith,
        Self::IsEmpty,
        Self::IsNotEmpty,
        Self::GreaterThan,
        Self::LessThan,
        Self::Between,
        Self::In,
        Self::HasChanged,
        Self::HasChangedTo,
        Self::HasChangedFrom,
    ];

    /// What the operator takes.
    #[must_use]
    pub fn rule(self) -> Rule {
        let rule = |arity, types, reads_previous, compares_text| Rule {
            arity,
            types,
            reads_previous,
            compares_text,
        };
        match self {
            Self::Is | Self::IsNot => rule(Arity::Exactly(1), SCALARS, false, true),
            Self::Contains => rule(Arity::Exactly(1), SCALARS, false, true),
            Self::StartsWith => rule(Arity::Exactly(1), &[OperandType::Text], false, true),
            Self::IsEmpty | Self::IsNotEmpty => rule(Arity::Exactly(0), &[], false, false),
            Self::GreaterThan | Self::LessThan => {
                rule(Arity::Exactly(1), &[OperandType::Decimal], false, false)
            }
            Self::Between => rule(Arity::Exactly(2), &[OperandType::Decimal], false, false),
            Self::In => rule(Arity::UpTo(MAX_IN), SCALARS, false, true),
            Self::HasChanged => rule(Arity::Exactly(0), &[], true, true),
            Self::HasChangedTo | Self::HasChangedFrom => rule(Arity::Exactly(1), SCALARS, true, true),
        }
    }

    /// What the operator says of what it sees. `targets` are as many and of the types that its rule says.
    pub(crate) fn judge(self, sight: Sight<'_>, targets: &[Target]) -> Verdict {
        let seen = match self {
            Self::HasChanged | Self::HasChangedTo | Self::HasChangedFrom => {
                let change = sight.change();
                if !change.holds || self == Self::HasChanged {
                    return change;
                }
                if self == Self::HasChangedTo { sight.now } else { sight.before.flatten() }
            }
            _ => sight.now,
        };
        match seen {
            None => Verdict::on(Grounds::Missing, matches!(self, Self::IsEmpty | Self::IsNot)),
            Some(value) => self.judge_value(value, targets, sight.ignore_case),
        }
    }

    fn judge_value(self, value: &Json, targets: &[Target], ignore_case: bool) -> Verdict {
        match (self, value, targets) {
            (Self::IsEmpty, value, _) => Verdict::of(value.is_empty()),
            (Self::IsNotEmpty, value, _) => Verdict::of(!value.is_empty()),
            (Self::IsNot, value, targets) => equality(value, targets, ignore_case).contrary(),
            (Self::Is | Self::In | Self::HasChangedTo | Self::HasChangedFrom, value, targets) => {
                equality(value, targets, ignore_case)
            }
            (Self::Contains, Json::String(text), [Target::Text(part)]) => Verdict::of(if ignore_case {
                fold(text).contains(part.as_str())
            } else {
                text.contains(part.as_str())
            }),
            (Self::Contains, Json::List(items), targets) => {
                Verdict::found_at(items.iter().position(|item| equality(item, targets, ignore_case).holds))
            }
            (Self::StartsWith, Json::String(text), [Target::Text(start)]) => {
                Verdict::of(begins(text, start, ignore_case))
            }
            (Self::GreaterThan, Json::Number(number), [Target::Decimal(bound)]) => {
                ordered(number, |number| number > *bound)
            }
            (Self::LessThan, Json::Number(number), [Target::Decimal(bound)]) => {
                ordered(number, |number| number < *bound)
            }
            (Self::Between, Json::Number(number), [Target::Decimal(low), Target::Decimal(high)]) => {
                ordered(number, |number| *low <= number && number <= *high)
            }
            _ => Verdict::on(Grounds::WrongType, false),
        }
    }
}

impl Target {
    /// Whether the value has the operand's type.
    fn is_typed_as(&self, value: &Json) -> bool {
        matches!(
            (self, value),
            (Self::Text(_), Json::String(_))
                | (Self::Decimal(_), Json::Number(_))
                | (Self::Boolean(_), Json::Bool(_))
                | (Self::Null, Json::Null)
        )
    }
}

impl Sight<'_> {
    /// Whether the value is another than before.
    fn change(&self) -> Verdict {
        let Some(before) = self.before else { return Verdict::on(Grounds::NoPast, false) };
        let unchanged = match (before, self.now) {
            (None, None) => true,
            (Some(before), Some(now)) => same(before, now, self.ignore_case),
            _ => false,
        };
        if unchanged { Verdict::on(Grounds::Unchanged, false) } else { Verdict::of(true) }
    }
}

/// Whether the text begins with an operand, looking no further than that.
fn begins(text: &str, start: &str, ignore_case: bool) -> bool {
    if !ignore_case {
        return text.starts_with(start);
    }
    let mut found = folded(text);
    start.chars().all(|c| found.next() == Some(c))
}

/// Whether the text is the operand, looking no further than to the first difference.
fn equals(text: &str, wanted: &str, ignore_case: bool) -> bool {
    if ignore_case { folded(text).eq(wanted.chars()) } else { text == wanted }
}

fn ordered(number: &Number, test: impl Fn(Decimal) -> bool) -> Verdict {
    Decimal::of(number).map_or(Verdict::on(Grounds::NotComparable, false), |number| Verdict::of(test(number)))
}

/// Whether the value is one of the targets. A number of too many digits is none: no target has as many.
fn equality(value: &Json, targets: &[Target], ignore_case: bool) -> Verdict {
    let mut grounds = Grounds::Values;
    let equal = match value {
        Json::Null => targets.contains(&Target::Null),
        Json::Bool(value) => targets.contains(&Target::Boolean(*value)),
        Json::Number(number) => match Decimal::of(number) {
            Some(number) => targets.contains(&Target::Decimal(number)),
            None => {
                grounds = Grounds::NotComparable;
                false
            }
        },
        Json::String(text) => targets
            .iter()
            .any(|target| matches!(target, Target::Text(wanted) if equals(text, wanted, ignore_case))),
        Json::List(_) | Json::Object(_) => false,
    };
    if !equal && !targets.iter().any(|target| target.is_typed_as(value)) {
        grounds = Grounds::WrongType;
    }
    Verdict::on(grounds, equal)
}

/// Whether two values are the same: numbers as decimals (by their text where they can't be compared), objects
/// whatever the order of their members, text by code point or folded.
pub(crate) fn same(a: &Json, b: &Json, ignore_case: bool) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => {
            a == b
                || matches!((Decimal::of(a), Decimal::of(b)), (Some(a), Some(b)) if a.cmp(&b) == Ordering::Equal)
        }
        (Json::String(a), Json::String(b)) => a == b || (ignore_case && folded(a).eq(folded(b))),
        (Json::List(a), Json::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, ignore_case))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b, ignore_case)))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_same_in_another_spelling_is_the_same() {
        for (a, b, expected) in [
            ("1", "1.0", true),
            ("1", "\"1\"", false),
            ("null", "false", false),
            (r#"{"a":1,"b":[1.50]}"#, r#"{"b":[1.5],"a":1}"#, true),
            ("[1,2]", "[2,1]", false),
            (r#"{"a":1}"#, r#"{"a":1,"b":null}"#, false),
            ("\"A\"", "\"a\"", false),
            ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999", true),
            ("99999999999999999999999999999999999999", "99999999999999999999999999999999999998", false),
        ] {
            assert_eq!(same(&json(a), &json(b), false), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_number_of_too_many_digits_is_explained() {
        let huge = json("99999999999999999999999999999999999999");
        let sight = Sight { now: Some(&huge), before: None, ignore_case: false };
        let bound = [Target::Decimal(Decimal::parse("1").unwrap())];
        for (operator, holds) in
            [(Operator::GreaterThan, false), (Operator::Is, false), (Operator::IsNot, true)]
        {
            let verdict = operator.judge(sight, &bound);
            assert_eq!((verdict.holds, verdict.grounds), (holds, Grounds::NotComparable), "{operator:?}");
        }
    }

    #[test]
    fn a_change_of_case_is_none_where_case_is_ignored() {
        let (before, now) = (json(r#"{"a":["Straße"]}"#), json(r#"{"a":["STRAẞE"]}"#));
        let (was, is) = (json("\"Won\""), json("\"WON\""));
        let won = [Target::Text("won".to_owned())];
        for ignore_case in [false, true] {
            let sight = |before, now| Sight { now: Some(now), before: Some(Some(before)), ignore_case };
            assert_eq!(Operator::HasChanged.judge(sight(&before, &now), &[]).holds, !ignore_case);
            assert!(!Operator::HasChangedTo.judge(sight(&was, &is), &won).holds);
            assert!(!Operator::HasChangedFrom.judge(sight(&was, &is), &won).holds);
            let open = json("\"open\"");
            assert_eq!(Operator::HasChangedTo.judge(sight(&open, &is), &won).holds, ignore_case);
            assert_eq!(Operator::HasChangedFrom.judge(sight(&is, &open), &won).holds, ignore_case);
        }
        assert!(!same(&json(r#"{"A":1}"#), &json(r#"{"a":1}"#), true), "names count as they are");
    }

    #[test]
    fn text_is_compared_to_its_end_in_either_case() {
        for (text, operand, is, starts) in [
            ("ab", "ab", true, true),
            ("AB", "ab", true, true),
            ("abc", "ab", false, true),
            ("a", "ab", false, false),
            ("", "", true, true),
            ("b", "a", false, false),
        ] {
            assert_eq!((equals(text, operand, true), begins(text, operand, true)), (is, starts), "{text}");
            let exact = text.to_lowercase();
            assert_eq!(
                (equals(&exact, operand, false), begins(&exact, operand, false)),
                (is, starts),
                "{text}"
            );
        }
    }
}
