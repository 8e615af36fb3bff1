//! Units that billing adds to the allowance of the period that runs, once for each request.

use sluice_domain::{Allowance, RequestId, Span};
use thiserror::Error;

/// A grant that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// How many units.
    pub units: Units,
    /// The caller's id of it.
    pub request: RequestId,
}

/// A number of units that can be granted: 1 to [`Allowance::MOST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units(i64);

/// The number can't be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be 1 to 1,000,000,000,000,000")]
pub struct UnitsError;

/// Why nothing is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GrantError {
    /// Billing was not heard of yet, so no period runs.
    #[error("the account's entitlements are not known yet")]
    Unknown,
    /// All grants of the period together would be more than [`Allowance::MOST`].
    #[error(
        "{granted} units are granted in this period already; all together must be at most 1,000,000,000,000,000"
    )]
    TooMuch {
        /// What was granted before.
        granted: i64,
    },
}

impl Grant {
    /// How long after its period a grant is remembered, so that a call repeated over the period's end does not grant anew.
    pub const REMEMBERED: Span = Span::from_secs(86_400);
}

impl Units {
    /// How many.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for Units {
    type Error = UnitsError;

    fn try_from(units: i64) -> Result<Self, UnitsError> {
        if (1..=Allowance::MOST).contains(&units) { Ok(Self(units)) } else { Err(UnitsError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_at_least_one_unit_and_has_an_end() {
        for units in [1, 2, Allowance::MOST] {
            assert_eq!(Units::try_from(units).unwrap().get(), units);
        }
        for units in [0, -1, i64::MIN, Allowance::MOST + 1, i64::MAX] {
            assert_eq!(Units::try_from(units), Err(UnitsError));
        }
    }
}
