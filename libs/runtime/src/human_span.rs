//! Lengths of time as people write them: whole numbers with a unit, `250ms`, `15s`, `3d`, `1h30m`.
//!
//! For a field of type [`Span`] in a settings struct: `#[serde(with = "sluice_runtime::human_span")]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sluice_domain::Span;
use thiserror::Error;

/// The units, largest first, with their length in microseconds.
const UNITS: [(&str, i64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// A [`Span`] that reads and writes itself the way people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HumanSpan(pub Span);

/// The text is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("must be whole numbers with a unit (us, ms, s, m, h, d), such as 250ms, 15s or 1h30m")]
pub struct HumanSpanError;

impl FromStr for HumanSpan {
    type Err = HumanSpanError;

    fn from_str(text: &str) -> Result<Self, HumanSpanError> {
        let mut rest = text.trim();
        let mut micros = 0_i64;
        if rest.is_empty() {
            return Err(HumanSpanError);
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(HumanSpanError)?;
            let (number, tail) = rest.split_at(digits);
            let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_end);
            let (_, length) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(HumanSpanError)?;
            let number: i64 = number.parse().map_err(|_| HumanSpanError)?;
            micros = number
                .checked_mul(*length)
                .and_then(|part| micros.checked_add(part))
                .ok_or(HumanSpanError)?;
            rest = tail;
        }
        Ok(Self(Span::from_micros(micros)))
    }
}

impl fmt::Display for HumanSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_micros();
        if left == 0 {
            return f.write_str("0s");
        }
        for (unit, length) in UNITS {
            if left >= length {
                write!(f, "{}{unit}", left / length)?;
                left %= length;
            }
        }
        Ok(())
    }
}

impl From<HumanSpan> for Span {
    fn from(span: HumanSpan) -> Self {
        span.0
    }
}

impl Serialize for HumanSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Writes a span as people do, for `#[serde(with)]`.
pub fn serialize<S: Serializer>(span: &Span, serializer: S) -> Result<S::Ok, S::Error> {
    HumanSpan(*span).serialize(serializer)
}

/// Reads a span as people write it, for `#[serde(with)]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    HumanSpan::deserialize(deserializer).map(|span| span.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_with_every_unit_and_in_sums() {
        for (text, micros) in [
            ("7us", 7),
            ("250ms", 250_000),
            ("15s", 15_000_000),
            ("2m", 120_000_000),
            ("1h30m", 5_400_000_000),
            ("3d", 259_200_000_000),
            ("0s", 0),
        ] {
            assert_eq!(text.parse(), Ok(HumanSpan(Span::from_micros(micros))), "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        for micros in [0, 1, 999, 1_000, 1_500_000, 86_400_000_001, 3_661_000_000] {
            let span = HumanSpan(Span::from_micros(micros));
            assert_eq!(span.to_string().parse(), Ok(span), "{span}");
        }
        assert_eq!(HumanSpan(Span::from_millis(1_500)).to_string(), "1s500ms");
    }

    #[test]
    fn numbers_without_unit_signs_fractions_and_overflow_are_refused() {
        for text in
            ["", "15", "s", "-1s", "1.5s", "1 s", "1w", "1s2", "9999999999999999999s", "999999999999d"]
        {
            assert_eq!(text.parse::<HumanSpan>(), Err(HumanSpanError), "{text}");
        }
    }
}
