//! Arithmetic: integers of 128 bits, exactly, or floating point; what does not fit is refused.

use super::evaluate::Failure;
use super::language::Compute;
use crate::json::{Json, Number};

/// A number to be computed with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Machine {
    Integer(i128),
    Float(f64),
}

const TOO_LARGE: Failure = Failure::Refused("a number is too large to be computed with");
const BY_ZERO: Failure = Failure::Refused("a division by zero");
const NO_INTEGER: Failure = Failure::Refused("an integer is needed");

/// How many digits behind the point `round` may keep.
const MAX_PLACES: i128 = 15;

/// The machine number of a JSON number.
pub(super) fn machine(number: &Number) -> Result<Machine, Failure> {
    let text = number.as_str();
    if let Ok(integer) = text.parse() {
        return Ok(Machine::Integer(integer));
    }
    text.parse().ok().filter(|float: &f64| float.is_finite()).map(Machine::Float).ok_or(TOO_LARGE)
}

/// The JSON of a machine number; a floating one is written without an exponent, at
/// most some 330 characters, and always shows that it is one, like `2.0`.
pub(super) fn json(machine: Machine) -> Result<Json, Failure> {
    let text = match machine {
        Machine::Integer(integer) => integer.to_string(),
        // Adding nothing makes of a negative zero a plain one.
        Machine::Float(float) if float.is_finite() => match (float + 0.0).to_string() {
            whole if !whole.contains('.') => whole + ".0",
            fraction => fraction,
        },
        Machine::Float(_) => return Err(TOO_LARGE),
    };
    Number::from_text(&text).map(Json::Number).ok_or(TOO_LARGE)
}

impl Machine {
    fn float(self) -> f64 {
        match self {
            // An integer of more than 53 bits is rounded, as in every language with both.
            #[expect(
                clippy::cast_precision_loss,
                reason = "computing with a float makes a float of the integer"
            )]
            Self::Integer(integer) => integer as f64,
            Self::Float(float) => float,
        }
    }
}

pub(super) fn compute(compute: Compute, left: Machine, right: Machine) -> Result<Json, Failure> {
    let by_zero = right.float() == 0.0;
    if by_zero && matches!(compute, Compute::Divide | Compute::FloorDivide | Compute::Remainder) {
        return Err(BY_ZERO);
    }
    if let (Machine::Integer(left), Machine::Integer(right)) = (left, right) {
        let exact = match compute {
            Compute::Add => left.checked_add(right),
            Compute::Subtract => left.checked_sub(right),
            Compute::Multiply => left.checked_mul(right),
            Compute::FloorDivide => floored(left, right).map(|(quotient, _)| quotient),
            Compute::Remainder => floored(left, right).map(|(_, remainder)| remainder),
            Compute::Divide => {
                return json(Machine::Float(
                    Machine::Integer(left).float() / Machine::Integer(right).float(),
                ));
            }
        };
        return json(Machine::Integer(exact.ok_or(TOO_LARGE)?));
    }
    let (left, right) = (left.float(), right.float());
    json(Machine::Float(match compute {
        Compute::Add => left + right,
        Compute::Subtract => left - right,
        Compute::Multiply => left * right,
        Compute::Divide => left / right,
        Compute::FloorDivide => ((left - float_remainder(left, right)) / right).round(),
        Compute::Remainder => float_remainder(left, right),
    }))
}

/// The remainder of a division rounded down, with the divisor's sign.
fn float_remainder(left: f64, right: f64) -> f64 {
    let remainder = left % right;
    if remainder != 0.0 && (remainder < 0.0) != (right < 0.0) { remainder + right } else { remainder }
}

/// Quotient and remainder, rounded down; the remainder has the divisor's sign.
fn floored(left: i128, right: i128) -> Option<(i128, i128)> {
    let (quotient, remainder) = (left.checked_div(right)?, left.checked_rem(right)?);
    if remainder != 0 && (remainder < 0) != (right < 0) {
        Some((quotient.checked_sub(1)?, remainder.checked_add(right)?))
    } else {
        Some((quotient, remainder))
    }
}

pub(super) fn negative(number: Machine) -> Result<Json, Failure> {
    match number {
        Machine::Integer(integer) => json(Machine::Integer(integer.checked_neg().ok_or(TOO_LARGE)?)),
        Machine::Float(float) => json(Machine::Float(-float)),
    }
}

pub(super) fn absolute(number: Machine) -> Result<Json, Failure> {
    match number {
        Machine::Integer(integer) => json(Machine::Integer(integer.checked_abs().ok_or(TOO_LARGE)?)),
        Machine::Float(float) => json(Machine::Float(float.abs())),
    }
}

/// The number without its fraction.
pub(super) fn truncated(number: Machine) -> Result<Json, Failure> {
    match number {
        Machine::Integer(_) => json(number),
        // Up to here every integer of a float fits.
        #[expect(clippy::cast_possible_truncation, reason = "checked to fit; the fraction is to go")]
        Machine::Float(float) if float.abs() < 1e38 => json(Machine::Integer(float as i128)),
        Machine::Float(_) => Err(TOO_LARGE),
    }
}

pub(super) fn floating(number: Machine) -> Result<Json, Failure> {
    json(Machine::Float(number.float()))
}

/// The number rounded to `places` digits behind the point; `common` rounds halves away from zero.
pub(super) fn rounded(number: Machine, places: Machine, method: &str) -> Result<Json, Failure> {
    let places = match places {
        Machine::Integer(places @ 0..=MAX_PLACES) => i32::try_from(places).map_err(|_| NO_INTEGER)?,
        _ => return Err(Failure::Refused("round takes 0 to 15 places")),
    };
    let round: fn(f64) -> f64 = match method {
        "common" => f64::round,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        _ => return Err(Failure::Refused("round takes the method common, ceil or floor")),
    };
    let float = match number {
        Machine::Integer(_) => return json(number),
        Machine::Float(float) => float,
    };
    let shifted = float * 10f64.powi(places);
    // From 2^53 on a float has no fraction.
    let whole = shifted.abs() >= 9_007_199_254_740_992.0;
    json(Machine::Float(if whole { float } else { round(shifted) / 10f64.powi(places) }))
}

pub(super) fn is_odd(number: Machine) -> Result<bool, Failure> {
    match number {
        Machine::Integer(integer) => Ok(integer % 2 != 0),
        Machine::Float(_) => Err(NO_INTEGER),
    }
}

/// Whether `number` is a multiple of `by`.
pub(super) fn divides(by: Machine, number: Machine) -> Result<bool, Failure> {
    match (by, number) {
        (Machine::Integer(0), _) => Err(BY_ZERO),
        (Machine::Integer(by), Machine::Integer(number)) => {
            Ok(number.checked_rem(by).is_none_or(|rest| rest == 0))
        }
        _ => Err(NO_INTEGER),
    }
}
