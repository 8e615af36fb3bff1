//! Working an expression out for one event: whatever reads or writes text is charged to the context's effort first.

use std::borrow::Cow;

use super::compute::{self, Machine};
use super::language::{Compare, Expr, Filter, Logic, Test};
use super::{Missing, filter};
use crate::context::Context;
use crate::decimal::Decimal;
use crate::json::Json;
use crate::operator::same;

/// Why an expression comes to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A value is missing that may not be.
    Missing,
    /// The context's effort is used up.
    TooCostly,
    /// The values are not what is asked for.
    Refused(&'static str),
}

pub(super) type Found<'a> = Result<Option<Cow<'a, Json>>, Failure>;

/// What expressions are worked out with.
#[derive(Clone, Copy)]
pub(super) struct Evaluation<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) missing: Missing,
}

const NOTHING: Json = Json::Null;

fn made<'a>(json: Json) -> Found<'a> {
    Ok(Some(Cow::Owned(json)))
}

impl<'a> Evaluation<'a> {
    /// Charges for `bytes` read or written.
    pub(super) fn charge(&self, bytes: usize) -> Result<(), Failure> {
        if self.context.spend(bytes) { Ok(()) } else { Err(Failure::TooCostly) }
    }

    /// The value, or `None` when it is missing.
    pub(super) fn find(&self, expr: &'a Expr) -> Found<'a> {
        self.charge(STEP)?;
        match expr {
            Expr::Literal(json) => Ok(Some(Cow::Borrowed(json))),
            Expr::Root(root) => Ok(self.context.root(root).map(Cow::Borrowed)),
            Expr::Member { of, name } => self.part(of, |json| json.get(name)),
            Expr::Element { of, place } => self.part(of, |json| element(json, *place)),
            Expr::Not(of) => made(Json::Bool(!self.truth(of)?)),
            Expr::Negative(of) => made(compute::negative(self.number(of)?)?),
            Expr::Logic { logic, sides } => self.logic(*logic, sides),
            Expr::Compare { compare, sides } => self.compare(*compare, sides),
            Expr::Compute { compute, sides } => {
                made(compute::compute(*compute, self.number(&sides[0])?, self.number(&sides[1])?)?)
            }
            Expr::Concatenate { sides } => self.concatenate(sides),
            Expr::Choice { condition, then, otherwise } => match (self.truth(condition)?, otherwise) {
                (true, _) => self.find(then),
                (false, Some(otherwise)) => self.find(otherwise),
                (false, None) => made(Json::Null),
            },
            Expr::Filter { filter: Filter::Default, of, arguments } => self.default(of, arguments),
            Expr::Filter { filter, of, arguments } => filter::apply(*self, *filter, of, arguments),
            Expr::Test { test, negated, of, arguments } => {
                made(Json::Bool(self.test(*test, of, arguments)? != *negated))
            }
        }
    }

    /// The value; one that may be missing is null.
    pub(super) fn value(&self, expr: &'a Expr) -> Result<Cow<'a, Json>, Failure> {
        match (self.find(expr)?, self.missing) {
            (Some(value), _) => Ok(value),
            (None, Missing::Empty) => Ok(Cow::Borrowed(&NOTHING)),
            (None, Missing::Error) => Err(Failure::Missing),
        }
    }

    /// The value as text.
    pub(super) fn text(&self, expr: &'a Expr) -> Result<Cow<'a, str>, Failure> {
        self.as_text(self.value(expr)?)
    }

    /// A value as text: null is empty, lists and objects are their JSON.
    pub(super) fn as_text(&self, value: Cow<'a, Json>) -> Result<Cow<'a, str>, Failure> {
        match value {
            Cow::Borrowed(Json::Null) => Ok(Cow::Borrowed("")),
            Cow::Borrowed(Json::String(text)) => {
                self.charge(text.len()).map(|()| Cow::Borrowed(text.as_str()))
            }
            Cow::Borrowed(Json::Number(number)) => {
                self.charge(number.as_str().len()).map(|()| Cow::Borrowed(number.as_str()))
            }
            Cow::Owned(Json::String(text)) => self.charge(text.len()).map(|()| Cow::Owned(text)),
            Cow::Owned(Json::Null) => Ok(Cow::Borrowed("")),
            other => self.json(&other).map(Cow::Owned),
        }
    }

    /// A value as JSON text.
    pub(super) fn json(&self, value: &Json) -> Result<String, Failure> {
        let text = value.text_within(self.context.left()).ok_or(Failure::TooCostly)?;
        self.charge(text.len()).map(|()| text)
    }

    pub(super) fn number(&self, expr: &'a Expr) -> Result<Machine, Failure> {
        match &*self.value(expr)? {
            Json::Number(number) => {
                self.charge(number.as_str().len())?;
                compute::machine(number)
            }
            _ => Err(Failure::Refused("something that is no number is computed with")),
        }
    }

    /// Whether the value is anything but null, false, 0 or empty.
    pub(super) fn truth(&self, expr: &'a Expr) -> Result<bool, Failure> {
        self.is_true(&*self.value(expr)?)
    }

    fn is_true(&self, value: &Json) -> Result<bool, Failure> {
        match value {
            Json::Bool(value) => Ok(*value),
            Json::Number(number) => {
                self.charge(number.as_str().len())?;
                let mantissa = number.as_str().split(['e', 'E']).next().unwrap_or_default();
                Ok(mantissa.contains(|c: char| matches!(c, '1'..='9')))
            }
            other => Ok(!other.is_empty()),
        }
    }

    fn part(&self, of: &'a Expr, part: impl Fn(&Json) -> Option<&Json>) -> Found<'a> {
        match self.find(of)? {
            None => Ok(None),
            Some(Cow::Borrowed(value)) => Ok(part(value).map(Cow::Borrowed)),
            Some(Cow::Owned(value)) => match part(&value) {
                None => Ok(None),
                Some(found) => {
                    // Only made lists get here, and they have texts in them.
                    self.json(found)?;
                    made(found.clone())
                }
            },
        }
    }

    fn logic(&self, logic: Logic, sides: &'a [Expr; 2]) -> Found<'a> {
        let left = self.value(&sides[0])?;
        if self.is_true(&left)? == (logic == Logic::Or) { Ok(Some(left)) } else { self.find(&sides[1]) }
    }

    fn concatenate(&self, sides: &'a [Expr; 2]) -> Found<'a> {
        let left = self.text(&sides[0])?;
        let right = self.text(&sides[1])?;
        self.charge(left.len() + right.len())?;
        made(Json::from(format!("{left}{right}")))
    }

    fn default(&self, of: &'a Expr, arguments: &'a [Expr]) -> Found<'a> {
        let lax = match arguments.get(1) {
            Some(lax) => self.truth(lax)?,
            None => false,
        };
        let found = match self.find(of)? {
            Some(value) if !lax || self.is_true(&value)? => Some(value),
            _ => None,
        };
        match (found, arguments.first()) {
            (Some(value), _) => Ok(Some(value)),
            (None, Some(other)) => self.find(other),
            (None, None) => made(Json::from("")),
        }
    }

    fn compare(&self, compare: Compare, sides: &'a [Expr; 2]) -> Found<'a> {
        let (left, right) = (self.value(&sides[0])?, self.value(&sides[1])?);
        let holds = match compare {
            Compare::Equal => self.equal(&left, &right)?,
            Compare::NotEqual => !self.equal(&left, &right)?,
            Compare::In => self.contains(&right, &left)?,
            Compare::NotIn => !self.contains(&right, &left)?,
            Compare::Less => self.order(&left, &right)?.is_lt(),
            Compare::LessOrEqual => self.order(&left, &right)?.is_le(),
            Compare::Greater => self.order(&left, &right)?.is_gt(),
            Compare::GreaterOrEqual => self.order(&left, &right)?.is_ge(),
        };
        made(Json::Bool(holds))
    }

    /// Equal as conditions have it: in type and value, numbers as decimals.
    fn equal(&self, left: &Json, right: &Json) -> Result<bool, Failure> {
        match (left, right) {
            (Json::List(_) | Json::Object(_), _) | (_, Json::List(_) | Json::Object(_)) => {
                Err(Failure::Refused("lists and objects can't be compared"))
            }
            _ => {
                self.charge(length(left) + length(right))?;
                Ok(same(left, right, false))
            }
        }
    }

    fn order(&self, left: &Json, right: &Json) -> Result<std::cmp::Ordering, Failure> {
        self.charge(length(left) + length(right))?;
        match (left, right) {
            (Json::String(left), Json::String(right)) => Ok(left.cmp(right)),
            (Json::Number(left), Json::Number(right)) => match (Decimal::of(left), Decimal::of(right)) {
                (Some(left), Some(right)) => Ok(left.cmp(&right)),
                _ => Err(Failure::Refused("a number has too many digits to be compared")),
            },
            _ => Err(Failure::Refused("only two numbers or two texts have an order")),
        }
    }

    fn contains(&self, container: &Json, value: &Json) -> Result<bool, Failure> {
        match (container, value) {
            (Json::List(items), _) => {
                for item in items {
                    self.charge(STEP)?;
                    if !matches!(item, Json::List(_) | Json::Object(_)) && self.equal(item, value)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (Json::String(text), Json::String(part)) => {
                self.charge(text.len() + part.len())?;
                Ok(text.contains(part.as_str()))
            }
            (Json::Object(object), Json::String(name)) => {
                self.charge(name.len())?;
                Ok(object.get(name).is_some())
            }
            _ => Err(Failure::Refused("'in' asks a text of a text or an object, or a value of a list")),
        }
    }

    fn test(&self, test: Test, of: &'a Expr, arguments: &'a [Expr]) -> Result<bool, Failure> {
        match test {
            Test::Defined => return Ok(self.find(of)?.is_some()),
            Test::Undefined => return Ok(self.find(of)?.is_none()),
            Test::Even | Test::Odd => return Ok(compute::is_odd(self.number(of)?)? == (test == Test::Odd)),
            Test::DivisibleBy => {
                let Some(by) = arguments.first() else { return Ok(false) };
                return compute::divides(self.number(by)?, self.number(of)?);
            }
            Test::StartingWith | Test::EndingWith => {
                let Some(part) = arguments.first() else { return Ok(false) };
                let (text, part) = (self.text(of)?, self.text(part)?);
                return Ok(match test {
                    Test::StartingWith => text.starts_with(&*part),
                    _ => text.ends_with(&*part),
                });
            }
            _ => {}
        }
        let value = self.value(of)?;
        Ok(match (test, &*value) {
            (Test::Boolean, value) => matches!(value, Json::Bool(_)),
            (Test::True, value) => matches!(value, Json::Bool(true)),
            (Test::False, value) => matches!(value, Json::Bool(false)),
            (Test::None, value) => matches!(value, Json::Null),
            (Test::Number, value) => matches!(value, Json::Number(_)),
            (Test::String, value) => matches!(value, Json::String(_)),
            (Test::Sequence, value) => matches!(value, Json::List(_)),
            (Test::Mapping, value) => matches!(value, Json::Object(_)),
            _ => false,
        })
    }
}

/// What one step of an expression costs beside the text it reads or writes.
pub(super) const STEP: usize = 32;

/// The length of a text or number.
fn length(value: &Json) -> usize {
    match value {
        Json::String(text) => text.len(),
        Json::Number(number) => number.as_str().len(),
        _ => 1,
    }
}

/// The element at `place`, from the end where it is negative.
fn element(json: &Json, place: i64) -> Option<&Json> {
    let Json::List(items) = json else { return None };
    let place = if place < 0 { i64::try_from(items.len()).ok()?.checked_add(place)? } else { place };
    items.get(usize::try_from(place).ok()?)
}
