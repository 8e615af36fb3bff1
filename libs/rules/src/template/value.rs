//! JSON into values of the expression engine, and back.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use crate::json::{Json, MAX_DEPTH, Number};

/// How an expression takes numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// As they are written, not to be computed with.
    Exact,
    /// As integers of 128 bits, or floating point.
    Machine,
}

/// A number that no machine number would write the same way.
#[derive(Debug)]
struct ExactNumber(Number);

impl Object for ExactNumber {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        let mantissa = self.0.as_str().split(['e', 'E']).next().unwrap_or_default();
        mantissa.contains(|c: char| c.is_ascii_digit() && c != '0')
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

pub(crate) fn to_value(json: &Json, numbers: Numbers) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => number_value(number, numbers),
        Json::String(text) => Value::from(text.as_str()),
        Json::List(items) => {
            Value::from(items.iter().map(|item| to_value(item, numbers)).collect::<Vec<_>>())
        }
        Json::Object(object) => Value::from_pairs(
            object.iter().map(|(name, member)| (name.to_owned(), to_value(member, numbers))),
        ),
    }
}

fn number_value(number: &Number, numbers: Numbers) -> Value {
    let text = number.as_str();
    if let Some(integer) = text.parse::<i128>().ok().filter(|integer| integer.to_string() == text) {
        return i64::try_from(integer).map_or_else(|_| Value::from(integer), Value::from);
    }
    match text.parse::<f64>() {
        Ok(float) if numbers == Numbers::Machine && float.is_finite() => Value::from(float),
        _ => Value::from_object(ExactNumber(number.clone())),
    }
}

/// The JSON of what an expression came to; `None` is a missing value.
pub(super) fn from_value(value: &Value) -> Result<Option<Json>, Error> {
    if value.is_undefined() { Ok(None) } else { convert(value, 0).map(Some) }
}

fn convert(value: &Value, depth: usize) -> Result<Json, Error> {
    let refuse = |what: &'static str| Error::new(ErrorKind::InvalidOperation, what);
    if depth > MAX_DEPTH {
        return Err(refuse("the value is nested too deep"));
    }
    if let Some(number) = value.downcast_object_ref::<ExactNumber>() {
        return Ok(Json::Number(number.0.clone()));
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(Json::Null),
        ValueKind::Bool => Ok(Json::Bool(value.is_true())),
        ValueKind::Number => Number::from_text(&value.to_string())
            .map(Json::Number)
            .ok_or_else(|| refuse("the number is infinite or not a number")),
        ValueKind::String => Ok(Json::from(value.as_str().unwrap_or_default())),
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter()?.map(|item| convert(&item, depth + 1)).collect::<Result<_, _>>().map(Json::List)
        }
        ValueKind::Map => {
            let members = value.try_iter()?.map(|name| {
                let text = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
                Ok((text, convert(&value.get_item(&name)?, depth + 1)?))
            });
            Ok(Json::object(members.collect::<Result<Vec<_>, Error>>()?))
        }
        _ => Err(refuse("the value has no JSON form")),
    }
}
