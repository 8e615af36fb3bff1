//! Automations between the wire and the noun.

use proto::evaluator::v1 as wire;
use sluice_domain::{AccountId, Violations};
use sluice_rpc::convert::to_timestamp;
use sluice_rules::{Condition, Missing};

use super::convert_condition::{condition, condition_out, step_out, steps};
use super::convert_event::{subscription, subscription_out};
use crate::automation::{Automation, AutomationState, Definition, Draft};

/// The fields of an automation that a caller writes, by their names in an update mask.
pub(super) const WRITABLE: [&str; 5] = ["display_name", "trigger", "condition", "steps", "missing"];

/// What a new automation is to be; what can't be read is noted. Fields are named from the automation.
pub(super) fn draft(sent: wire::Automation, account: &AccountId, found: &mut Violations) -> Draft {
    let trigger = match sent.trigger {
        Some(sent) => subscription(sent, "trigger", found),
        None => {
            found.add("trigger", "is required");
            None
        }
    };
    let condition = match sent.condition {
        Some(sent) => condition(sent, "condition", found),
        None => Some(Condition::always()),
    };
    let missing = match wire::MissingPolicy::try_from(sent.missing) {
        Ok(wire::MissingPolicy::Unspecified | wire::MissingPolicy::Error) => Some(Missing::Error),
        Ok(wire::MissingPolicy::Empty) => Some(Missing::Empty),
        Err(_) => None,
    };
    Draft {
        display_name: sent.display_name,
        trigger,
        condition,
        steps: steps(sent.steps, account, "steps", found),
        missing: found.keep("missing", missing.ok_or("must be ERROR or EMPTY")).unwrap_or_default(),
    }
}

/// What an existing automation is to be: the fields of the mask as sent, the others as they are.
pub(super) fn edited(
    sent: &wire::Automation,
    mask: &[String],
    current: &Automation,
    found: &mut Violations,
) -> Draft {
    let kept = automation_out(current);
    let mut sent = sent.clone();
    let takes = |field: &str| mask.iter().any(|path| path == field);
    if !takes("display_name") {
        sent.display_name = kept.display_name;
    }
    if !takes("trigger") {
        sent.trigger = kept.trigger;
    }
    if !takes("condition") {
        sent.condition = kept.condition;
    }
    if !takes("steps") {
        sent.steps = kept.steps;
    }
    if !takes("missing") {
        sent.missing = kept.missing;
    }
    draft(sent, &current.account, found)
}

/// An automation as it goes out.
pub(super) fn automation_out(automation: &Automation) -> wire::Automation {
    let Definition { display_name, trigger, condition, steps, missing } = &automation.definition;
    let missing = match missing {
        Missing::Error => wire::MissingPolicy::Error,
        Missing::Empty => wire::MissingPolicy::Empty,
    };
    let state = match automation.state {
        AutomationState::Inactive => wire::AutomationState::Inactive,
        AutomationState::Active => wire::AutomationState::Active,
    };
    wire::Automation {
        name: name(automation),
        display_name: display_name.clone(),
        trigger: Some(subscription_out(trigger)),
        condition: condition_out(condition),
        steps: steps.iter().map(|step| step_out(&automation.account, step)).collect(),
        missing: missing.into(),
        state: state.into(),
        version: automation.version,
        owner: automation.owner.to_string(),
        create_time: Some(to_timestamp(automation.created_at)),
        update_time: Some(to_timestamp(automation.updated_at)),
        etag: automation.etag(),
    }
}

/// `accounts/{account}/automations/{automation}`.
pub(super) fn name(automation: &Automation) -> String {
    format!("accounts/{}/automations/{}", automation.account, automation.id)
}

/// A field as the language names it, in the words of the wire.
pub(super) fn wire_field(field: &str) -> String {
    let mut field = field
        .replace(".all[", ".all.conditions[")
        .replace(".any[", ".any.conditions[")
        .replace(".comparison.values", ".comparison.operands")
        .replace(".body.key_value", ".key_value")
        .replace(".body.raw", ".raw");
    for (language, wire) in [(".text", ".template"), (".value", ".template"), (".literal", ".literal_json")] {
        if let Some(start) = field.strip_suffix(language) {
            field = format!("{start}{wire}");
        }
    }
    field
}

#[cfg(test)]
mod tests {
    use sluice_domain::{AutomationId, Timestamp};

    use super::*;
    use crate::automation::tests::definition;

    fn automation() -> Automation {
        let id = AutomationId::from_bytes([1; 16]);
        Automation::create(id, "acme".parse().unwrap(), definition(), "u1".parse().unwrap(), Timestamp::EPOCH)
    }

    #[test]
    fn a_definition_comes_back_as_it_went() {
        let mut found = Violations::new();
        let draft = draft(automation_out(&automation()), &automation().account, &mut found);
        assert!(found.is_empty(), "{found}");
        assert_eq!(draft.trigger, Some(definition().trigger));
        assert_eq!(draft.condition, Some(definition().condition));
        assert_eq!(draft.steps, Some(definition().steps));
    }

    #[test]
    fn only_fields_of_the_mask_are_taken() {
        let sent =
            wire::Automation { display_name: "New".to_owned(), missing: 2, ..wire::Automation::default() };
        let mut found = Violations::new();
        let draft = edited(&sent, &["display_name".to_owned()], &automation(), &mut found);
        assert!(found.is_empty(), "{found}");
        assert_eq!((draft.display_name.as_str(), draft.missing), ("New", Missing::Error));
        assert_eq!(draft.steps, Some(definition().steps));
    }

    #[test]
    fn the_languages_fields_are_renamed_to_the_wires() {
        for (language, wire) in [
            ("condition.all[2].comparison.values[0]", "condition.all.conditions[2].comparison.operands[0]"),
            ("steps[0].request.body.key_value.pairs[1].text", "steps[0].request.key_value.pairs[1].template"),
            ("steps[0].request.headers[3].value", "steps[0].request.headers[3].template"),
            ("steps[0].request.path", "steps[0].request.path"),
        ] {
            assert_eq!(wire_field(language), wire);
        }
    }
}
