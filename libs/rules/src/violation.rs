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

/// How many broken rules are told; how many more there are stands in one last entry.
pub const MAX_VIOLATIONS: usize = 100;

/// All broken rules of one check, in the order of the fields; as an error it is never empty.
///
/// Beyond [`MAX_VIOLATIONS`] they are only counted: one last entry, with the field of the first that is left out, says
/// how many.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Violations {
    told: Vec<Violation>,
    more: usize,
}

impl Violations {
    /// The violations in the order found.
    #[must_use]
    pub fn as_slice(&self) -> &[Violation] {
        &self.told
    }

    /// The violations in the order found.
    #[must_use]
    pub fn into_vec(self) -> Vec<Violation> {
        self.told
    }

    pub(crate) fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        if self.told.len() < MAX_VIOLATIONS {
            self.told.push(Violation { field: field.into(), description: description.into() });
        } else {
            self.leave_out(1, field);
        }
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        if other.more > 0 {
            other.told.truncate(MAX_VIOLATIONS);
        }
        for violation in other.told {
            self.add(violation.field, violation.description);
        }
        if other.more > 0 {
            self.leave_out(other.more, "");
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    fn leave_out(&mut self, count: usize, field: impl Into<String>) {
        self.more += count;
        let description = format!("{} more broken rules are not listed", self.more);
        match self.told.get_mut(MAX_VIOLATIONS) {
            Some(last) => last.description = description,
            None => self.told.push(Violation { field: field.into(), description }),
        }
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.told.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", violation.field, violation.description)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(count: usize) -> Violations {
        let mut violations = Violations::default();
        for index in 0..count {
            violations.add(format!("f[{index}]"), "is wrong");
        }
        violations
    }

    #[test]
    fn beyond_the_limit_violations_are_counted() {
        assert_eq!(many(MAX_VIOLATIONS).as_slice().len(), MAX_VIOLATIONS);
        let found = many(500_000).into_vec();
        assert_eq!(found.len(), MAX_VIOLATIONS + 1);
        let last = Violation {
            field: "f[100]".to_owned(),
            description: "499900 more broken rules are not listed".to_owned(),
        };
        assert_eq!(found.last(), Some(&last));
    }

    #[test]
    fn appended_violations_count_too() {
        for (first, second, more) in [(60, 60, 20), (150, 1, 51), (0, 150, 50), (150, 150, 200)] {
            let mut all = many(first);
            all.append(many(second));
            assert_eq!(all.as_slice().len(), MAX_VIOLATIONS + 1, "{first} {second}");
            let last = &all.as_slice()[MAX_VIOLATIONS].description;
            assert_eq!(last, &format!("{more} more broken rules are not listed"), "{first} {second}");
        }
    }
}
