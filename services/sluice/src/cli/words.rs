//! Words of the contract as people type them: `updated` for `ACTION_UPDATED`.

use prost_reflect::DescriptorPool;

/// The number of an enum's value by its word: its name without the prefix, in any case.
pub(super) fn number(full_name: &str, prefix: &str, text: &str) -> Result<i32, String> {
    let pool = DescriptorPool::decode(proto::DESCRIPTORS).map_err(|error| error.to_string())?;
    let words =
        pool.get_enum_by_name(full_name).ok_or_else(|| format!("{full_name} is not in the contract"))?;
    let word = |name: &str| name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase();
    let known: Vec<_> = words.values().filter(|value| value.number() != 0).collect();
    if let Some(value) = known.iter().find(|value| word(value.name()) == text.to_ascii_lowercase()) {
        return Ok(value.number());
    }
    let all: Vec<_> = known.iter().map(|value| word(value.name())).collect();
    Err(format!("must be one of {}", all.join(", ")))
}

/// What was done to a record.
pub(super) fn action(text: &str) -> Result<i32, String> {
    number("sluice.event.v1.Action", "ACTION_", text)
}

/// What a webhook is for.
pub(super) fn webhook_kind(text: &str) -> Result<i32, String> {
    number("sluice.registry.v1.WebhookKind", "WEBHOOK_KIND_", text)
}

/// Whether a webhook is in use.
pub(super) fn webhook_state(text: &str) -> Result<i32, String> {
    number("sluice.registry.v1.WebhookState", "WEBHOOK_STATE_", text)
}

/// Whether an automation fires.
pub(super) fn automation_state(text: &str) -> Result<i32, String> {
    number("sluice.evaluator.v1.AutomationState", "AUTOMATION_STATE_", text)
}

/// Where an execution stands.
pub(super) fn execution_state(text: &str) -> Result<i32, String> {
    number("sluice.dispatcher.v1.ExecutionState", "EXECUTION_STATE_", text)
}

#[cfg(test)]
mod tests {
    use proto::dispatcher::v1::ExecutionState;
    use proto::event::v1::Action;

    use super::*;

    #[test]
    fn a_word_in_any_case_is_the_value_of_the_contract() {
        assert_eq!(action("updated"), Ok(Action::Updated.into()));
        assert_eq!(execution_state("PAUSED"), Ok(ExecutionState::Paused.into()));
        assert!(webhook_kind("event").is_ok() && webhook_state("disabled").is_ok());
        assert!(automation_state("active").is_ok());
    }

    #[test]
    fn another_word_is_refused_with_all_there_are() {
        assert_eq!(action("moved"), Err("must be one of added, updated, deleted".to_owned()));
        assert!(action("unspecified").is_err(), "what the contract calls never valid is no word");
    }
}
