//! The filters: each charges for what it reads and for what it makes, the latter before making it where it could
//! be more than it read.

use std::borrow::Cow;

use super::compute::{self, Machine};
use super::evaluate::{Evaluation, Failure, Found, STEP};
use super::language::{Expr, Filter};
use crate::json::{Json, Number};

const NO_NUMBER: Failure = Failure::Refused("a text that is no number");

fn made<'a>(json: Json) -> Found<'a> {
    Ok(Some(Cow::Owned(json)))
}

/// The value of `of | filter(arguments…)`, of which there are as many as the filter takes.
pub(super) fn apply<'a>(
    run: Evaluation<'a>,
    filter: Filter,
    of: &'a Expr,
    arguments: &'a [Expr],
) -> Found<'a> {
    match filter {
        // It takes values that are missing, and so is the evaluation's own.
        Filter::Default => run.find(of),
        Filter::First | Filter::Last => end(run, of, filter == Filter::First),
        Filter::Length => length(run, of),
        Filter::Join => join(run, of, arguments.first()),
        Filter::Split => split(run, of, arguments.first()),
        Filter::Json => made(Json::from(run.json(&*run.value(of)?)?)),
        Filter::String => made(Json::from(run.text(of)?.into_owned())),
        Filter::Abs => made(compute::absolute(run.number(of)?)?),
        Filter::Int => number(run, of, arguments.first(), compute::truncated),
        Filter::Float => number(run, of, arguments.first(), compute::floating),
        Filter::Round => round(run, of, arguments),
        Filter::Replace => replace(run, of, arguments),
        Filter::Trim => text(run, of, |text| text.trim().to_owned()),
        Filter::Lower => text(run, of, str::to_lowercase),
        Filter::Upper => text(run, of, str::to_uppercase),
        Filter::Capitalize => text(run, of, |text| cased(text, |_| false)),
        Filter::Title => text(run, of, |text| {
            cased(text, |c| matches!(c, '-' | '(' | '{' | '[' | '<') || c.is_whitespace())
        }),
    }
}

/// A filter from text to text, of which no character makes more than three.
fn text<'a>(run: Evaluation<'a>, of: &'a Expr, change: impl Fn(&str) -> String) -> Found<'a> {
    let text = run.text(of)?;
    run.charge(text.len() * 2)?;
    made(Json::from(change(&text)))
}

/// The text with a capital at its beginning and behind each separator, all else in lower case.
fn cased(text: &str, separates: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if separates(c) {
            out.push(c);
            begins = true;
        } else if std::mem::take(&mut begins) {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}

fn end<'a>(run: Evaluation<'a>, of: &'a Expr, first: bool) -> Found<'a> {
    let at = |items: &[Json]| if first { 0 } else { items.len().saturating_sub(1) };
    match run.value(of)? {
        Cow::Borrowed(Json::List(items)) => Ok(items.get(at(items)).map(Cow::Borrowed)),
        Cow::Owned(Json::List(mut items)) => {
            let at = at(&items);
            Ok((at < items.len()).then(|| Cow::Owned(items.swap_remove(at))))
        }
        value => match &*value {
            Json::Null => Ok(None),
            Json::String(text) => {
                let found = if first { text.chars().next() } else { text.chars().next_back() };
                Ok(found.map(|c| Cow::Owned(Json::from(c.to_string()))))
            }
            _ => Err(Failure::Refused("first and last take a list or a text")),
        },
    }
}

fn length<'a>(run: Evaluation<'a>, of: &'a Expr) -> Found<'a> {
    let value = run.value(of)?;
    let length = match &*value {
        Json::Null => 0,
        Json::String(text) => {
            run.charge(text.len())?;
            text.chars().count()
        }
        Json::List(items) => items.len(),
        Json::Object(object) => object.len(),
        Json::Bool(_) | Json::Number(_) => {
            return Err(Failure::Refused("numbers and booleans have no length"));
        }
    };
    made(Json::from(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn join<'a>(run: Evaluation<'a>, of: &'a Expr, separator: Option<&'a Expr>) -> Found<'a> {
    let separator = match separator {
        Some(separator) => run.text(separator)?,
        None => Cow::Borrowed(""),
    };
    let value = run.value(of)?;
    let items = match &*value {
        Json::List(items) => items.as_slice(),
        Json::Null => &[],
        _ => return Err(Failure::Refused("join takes a list")),
    };
    let mut out = String::new();
    for (index, item) in items.iter().enumerate() {
        let separator = if index == 0 { "" } else { &*separator };
        run.charge(STEP + separator.len())?;
        out.push_str(separator);
        match item {
            Json::Null => {}
            Json::String(text) => {
                run.charge(text.len())?;
                out.push_str(text);
            }
            other => out.push_str(&run.json(other)?),
        }
    }
    made(Json::from(out))
}

fn split<'a>(run: Evaluation<'a>, of: &'a Expr, separator: Option<&'a Expr>) -> Found<'a> {
    let text = run.text(of)?;
    let separator = match separator {
        Some(separator) => Some(run.text(separator)?),
        None => None,
    };
    let mut items = Vec::new();
    let mut add = |piece: &str| {
        run.charge(4 * STEP + piece.len())?;
        items.push(Json::from(piece));
        Ok(())
    };
    match separator {
        Some(separator) if separator.is_empty() => {
            return Err(Failure::Refused("split takes a separator that is not empty"));
        }
        Some(separator) => text.split(&*separator).try_for_each(&mut add)?,
        None => text.split_whitespace().try_for_each(&mut add)?,
    }
    made(Json::List(items))
}

fn replace<'a>(run: Evaluation<'a>, of: &'a Expr, arguments: &'a [Expr]) -> Found<'a> {
    let [from, to] = arguments else { return run.find(of) };
    let (text, from, to) = (run.text(of)?, run.text(from)?, run.text(to)?);
    if from.is_empty() {
        return Err(Failure::Refused("replace takes a text to be replaced that is not empty"));
    }
    let grown = text.matches(&*from).count().saturating_mul(to.len());
    run.charge(grown.saturating_add(text.len()))?;
    made(Json::from(text.replace(&*from, &to)))
}

fn round<'a>(run: Evaluation<'a>, of: &'a Expr, arguments: &'a [Expr]) -> Found<'a> {
    let places = match arguments.first() {
        Some(places) => run.number(places)?,
        None => Machine::Integer(0),
    };
    let method = match arguments.get(1) {
        Some(method) => run.text(method)?,
        None => Cow::Borrowed("common"),
    };
    made(compute::rounded(run.number(of)?, places, &method)?)
}

/// A number of a number, a text or a boolean; of anything else the default, if there is one.
fn number<'a>(
    run: Evaluation<'a>,
    of: &'a Expr,
    default: Option<&'a Expr>,
    change: fn(Machine) -> Result<Json, Failure>,
) -> Found<'a> {
    let value = run.value(of)?;
    let read = match &*value {
        Json::Null => Ok(Machine::Integer(0)),
        Json::Bool(value) => Ok(Machine::Integer(i128::from(*value))),
        Json::Number(number) => {
            run.charge(number.as_str().len())?;
            compute::machine(number)
        }
        Json::String(text) => {
            run.charge(text.len())?;
            Number::from_text(text.trim()).ok_or(NO_NUMBER).and_then(|number| compute::machine(&number))
        }
        Json::List(_) | Json::Object(_) => Err(Failure::Refused("lists and objects are no numbers")),
    };
    match (read.and_then(change), default) {
        (Err(Failure::Refused(_)), Some(default)) => run.find(default),
        (read, _) => made(read?),
    }
}
