//! A change of some parts of a definition.

use super::{Definition, Draft};

/// What an author writes of an automation, part by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The display name.
    DisplayName,
    /// The trigger.
    Trigger,
    /// The condition.
    Condition,
    /// The steps.
    Steps,
    /// What a placeholder without a value is.
    Missing,
}

/// The parts that are to change; of its draft the others are not looked at.
#[derive(Debug, Clone)]
pub struct Edit {
    /// What changes.
    pub parts: Vec<Part>,
    /// What it becomes.
    pub draft: Draft,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::DisplayName, Self::Trigger, Self::Condition, Self::Steps, Self::Missing];
}

impl Edit {
    /// The whole draft: the parts that change as they were sent, the others as they are.
    pub fn of(&self, current: &Definition) -> Draft {
        let mut whole = Draft::from(current.clone());
        for part in &self.parts {
            match part {
                Part::DisplayName => whole.display_name.clone_from(&self.draft.display_name),
                Part::Trigger => whole.trigger.clone_from(&self.draft.trigger),
                Part::Condition => whole.condition.clone_from(&self.draft.condition),
                Part::Steps => whole.steps.clone_from(&self.draft.steps),
                Part::Missing => whole.missing = self.draft.missing,
            }
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use sluice_rules::Missing;

    use super::super::tests::definition;
    use super::*;

    #[test]
    fn only_the_parts_named_change_and_one_that_can_not_be_read_stays_unread() {
        let draft =
            Draft { display_name: Some("New".to_owned()), missing: Missing::Empty, ..Draft::default() };
        let edit = Edit { parts: vec![Part::DisplayName, Part::Steps], draft };
        let whole = edit.of(&definition());
        assert_eq!((whole.display_name.as_deref(), whole.missing), (Some("New"), Missing::Error));
        assert_eq!((whole.trigger, whole.steps), (Some(definition().trigger), None));
    }
}
