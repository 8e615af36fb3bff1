//! One field of a request and the rule it breaks; requests are refused with all of them at once.

use std::fmt;

/// A field path as the caller wrote it (`webhook.endpoint_url`, `steps[2].request.path`) and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field from the root of the request.
    pub field: String,
    /// The rule, in words that name the limit.
    pub description: String,
}

impl Violation {
    /// What stands for violations that there is no room for: no field, and their number.
    pub fn left_out(count: usize) -> Self {
        Self { field: String::new(), description: format!("{count} more violations are left out") }
    }
}

/// The most violations of one request that are kept; of the others only their number is.
pub const MAX_VIOLATIONS: usize = 100;

/// The violations of one request, collected before it is refused.
///
/// A request can be wrong in a million places: the first [`MAX_VIOLATIONS`] are kept, and one more that says how many were left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    kept: Vec<Violation>,
    left_out: usize,
}

impl Violations {
    /// None yet.
    pub const fn new() -> Self {
        Self { kept: Vec::new(), left_out: 0 }
    }

    /// Adds one, or counts it once there is no more room.
    pub fn add(&mut self, field: impl Into<String>, description: impl fmt::Display) {
        if self.kept.len() < MAX_VIOLATIONS {
            self.kept.push(Violation { field: field.into(), description: description.to_string() });
            return;
        }
        self.left_out += 1;
        self.kept.truncate(MAX_VIOLATIONS);
        self.kept.push(Violation::left_out(self.left_out));
    }

    /// How many were found, with those that were left out.
    pub fn found(&self) -> usize {
        self.kept.len().min(MAX_VIOLATIONS) + self.left_out
    }

    /// Keeps the value of a parse that went well, or notes why it did not.
    pub fn keep<T, E: fmt::Display>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.add(field, error)).ok()
    }

    /// Whether the request is fine so far.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// `Ok` when nothing was found, else everything that was.
    ///
    /// # Errors
    /// Itself, when it holds at least one violation.
    pub fn into_result(self) -> Result<(), Self> {
        if self.kept.is_empty() { Ok(()) } else { Err(self) }
    }

    /// The violations in the order they were found; the last one may say how many were left out.
    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.kept.iter()
    }
}

impl IntoIterator for Violations {
    type Item = Violation;
    type IntoIter = std::vec::IntoIter<Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.kept.into_iter()
    }
}

impl Extend<Violation> for Violations {
    fn extend<I: IntoIterator<Item = Violation>>(&mut self, more: I) {
        more.into_iter().for_each(|violation| self.add(violation.field, violation.description));
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, violation) in self.kept.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", violation.field, violation.description)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_faults_take_the_room_of_a_hundred_and_are_counted() {
        let mut violations = Violations::new();
        for at in 0..1_000_000_u32 {
            violations.add("actions", at);
        }
        assert_eq!((violations.iter().len(), violations.found()), (MAX_VIOLATIONS + 1, 1_000_000));
        assert_eq!(violations.iter().nth(99).unwrap().description, "99");
        assert_eq!(violations.iter().last(), Some(&Violation::left_out(999_900)));

        let mut full = Violations::new();
        full.extend(violations.into_iter().take(MAX_VIOLATIONS));
        assert_eq!((full.iter().len(), full.found()), (MAX_VIOLATIONS, MAX_VIOLATIONS));
    }
}
