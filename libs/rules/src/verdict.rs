//! How a comparison came out, and on what grounds.

/// What an operator says of what it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the comparison holds.
    pub holds: bool,
    /// Why.
    pub grounds: Grounds,
    /// The element of a list that decided, from 0, where one did.
    pub element: Option<usize>,
}

/// Why a comparison came out as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grounds {
    /// The values say so.
    Values,
    /// The field is missing; of `has changed from`, it was missing before.
    Missing,
    /// The operator says nothing of values of this type, or no operand has this type.
    WrongType,
    /// The number has more digits than can be compared.
    NotComparable,
    /// The value is the same as before.
    Unchanged,
    /// In this event nothing can have changed: the record is new or gone, the event is of another object, or it came
    /// without the old record.
    NoPast,
}

impl Verdict {
    /// What the values say.
    pub(crate) fn of(holds: bool) -> Self {
        Self::on(Grounds::Values, holds)
    }

    /// What follows from something else than the values.
    pub(crate) fn on(grounds: Grounds, holds: bool) -> Self {
        Self { holds, grounds, element: None }
    }

    /// What the element of a list decided, if one did.
    pub(crate) fn found_at(element: Option<usize>) -> Self {
        Self { element, ..Self::of(element.is_some()) }
    }

    /// The contrary, on the same grounds.
    pub(crate) fn contrary(self) -> Self {
        Self { holds: !self.holds, ..self }
    }
}
