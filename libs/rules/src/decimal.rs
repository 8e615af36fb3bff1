//! Decimals of at most 34 significant digits, compared exactly, without floating point.

use std::cmp::Ordering;

/// How many significant digits a number may have to be comparable (IEEE 754 decimal128 has as many).
pub const MAX_DIGITS: usize = 34;

/// Exponents beyond this are not comparable either; no field holds such numbers by intent.
const MAX_EXPONENT: i64 = 1_000_000;

/// A decimal number: `coefficient × 10^exponent`, the coefficient without trailing zeros.
///
/// `1`, `1.0` and `1e0` are the same decimal, so equality is that of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    coefficient: u128,
    exponent: i64,
}

impl Decimal {
    /// Reads a JSON number; `None` when it is none, or has more than [`MAX_DIGITS`] significant digits
    /// (leading and trailing zeros don't count) or an absurd exponent: such a number is not comparable.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        crate::json::Number::from_text(text).and_then(|number| Self::of(&number))
    }

    /// The decimal of a JSON number; `None` when it is not comparable.
    #[must_use]
    pub fn of(number: &crate::json::Number) -> Option<Self> {
        let text = number.as_str();
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (text, None),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let significant = format!("{whole}{fraction}");
        let significant = significant.trim_start_matches('0');
        let kept = significant.trim_end_matches('0');
        if kept.is_empty() {
            return Some(Self { negative: false, coefficient: 0, exponent: 0 });
        }
        if kept.len() > MAX_DIGITS {
            return None;
        }
        let dropped = i64::try_from(significant.len() - kept.len()).ok()?;
        let exponent = match exponent {
            Some(exponent) => exponent.parse::<i64>().ok().filter(|e| e.abs() <= MAX_EXPONENT)?,
            None => 0,
        };
        let exponent = exponent + dropped - i64::try_from(fraction.len()).ok()?;
        Some(Self { negative, coefficient: kept.parse().ok()?, exponent })
    }

    /// The exponent of the leading digit.
    fn magnitude(&self) -> i64 {
        self.exponent + i64::from(self.coefficient.ilog10())
    }

    fn cmp_abs(&self, other: &Self) -> Ordering {
        match (self.coefficient, other.coefficient) {
            (0, 0) => return Ordering::Equal,
            (0, _) => return Ordering::Less,
            (_, 0) => return Ordering::Greater,
            _ => {}
        }
        // With equal magnitudes both align within 34 digits, and 10^34 fits u128.
        self.magnitude().cmp(&other.magnitude()).then_with(|| {
            let lowest = self.exponent.min(other.exponent);
            let aligned = |decimal: &Self| {
                let shift = u32::try_from(decimal.exponent - lowest).unwrap_or(u32::MAX);
                10u128.checked_pow(shift).and_then(|power| decimal.coefficient.checked_mul(power))
            };
            aligned(self).cmp(&aligned(other))
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.cmp_abs(other),
            (true, true) => other.cmp_abs(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn spellings_of_one_number_are_equal() {
        for (a, b) in
            [("1", "1.0"), ("1", "1e0"), ("1", "10E-1"), ("0", "-0.00"), ("100", "1e2"), ("0.001", "1e-3")]
        {
            assert_eq!(decimal(a), decimal(b), "{a} {b}");
            assert_eq!(decimal(a).cmp(&decimal(b)), Ordering::Equal);
        }
    }

    #[test]
    fn order_is_that_of_the_numbers() {
        let ascending = [
            "-1e30",
            "-12",
            "-11.5",
            "-1",
            "-0.1",
            "0",
            "1e-30",
            "0.1",
            "0.11",
            "0.9",
            "1",
            "9.99",
            "10",
            "10.0001",
            "12345678901234567890",
            "12345678901234567891",
            "1e30",
            "1e1000",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(decimal(a).cmp(&decimal(b)), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn all_34_digits_count() {
        let a = "1234567890123456789012345678901234";
        let b = "1234567890123456789012345678901233";
        assert!(decimal(a) > decimal(b));
        assert!(decimal(&format!("0.{a}")) > decimal(&format!("0.{b}")));
        assert!(decimal("9") > decimal("1.234567890123456789012345678901234"));
    }

    #[test]
    fn more_than_34_digits_are_not_comparable() {
        assert!(Decimal::parse(&"9".repeat(35)).is_none());
        assert!(Decimal::parse(&format!("1{}", "0".repeat(60))).is_some());
        assert!(Decimal::parse(&format!("0.{}1", "0".repeat(60))).is_some());
        assert!(Decimal::parse("1e9999999999999999999").is_none());
        assert!(Decimal::parse("1e1000001").is_none());
        assert!(Decimal::parse("one").is_none());
    }
}
