//! What is wrong with something somebody wants to save: every mistake at once, each with its field.

use std::fmt;

/// One broken rule, and the field that breaks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in the request, like `condition.all[2].comparison.values[0]`.
    pub field: String,
    /// The rule that is broken, in words for the author.
    pub description: String,
}

/// All broken rules of one check, in the order of the fields; as an error it is never empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// The violations in the order found.
    #[must_use]
    pub fn as_slice(&self) -> &[Violation] {
        &self.0
    }

    /// The violations in the order found.
    #[must_use]
    pub fn into_vec(self) -> Vec<Violation> {
        self.0
    }

    pub(crate) fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation { field: field.into(), description: description.into() });
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", violation.field, violation.description)?;
        }
        Ok(())
    }
}
