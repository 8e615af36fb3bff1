//! Automations between the wire and the noun.

use proto::evaluator::v1 as wire;
use proto::event::v1::Subscription;
use sluice_domain::{AccountId, Violations};
use sluice_rpc::ResourceName;
use sluice_rpc::convert::to_timestamp;
use sluice_rules::{Condition, Missing};

use super::convert_condition::{condition, condition_out};
use super::convert_event::{subscription, subscription_out};
use super::convert_step::{step_out, steps};
use crate::automation::{Automation, AutomationState, Definition, Draft, Part};

/// The parts of an automation that a caller writes, by their names in an update mask.
pub(super) const WRITABLE: [(&str, Part); 5] = [
    ("display_name", Part::DisplayName),
    ("trigger", Part::Trigger),
    ("condition", Part::Condition),
    ("steps", Part::Steps),
    ("missing", Part::Missing),
];

/// What these parts of an automation of `account` are to be; what can't be read is noted, the other parts are not looked at.
pub(super) fn draft(
    sent: wire::Automation,
    parts: &[Part],
    account: Option<&AccountId>,
    found: &mut Violations,
) -> Draft {
    let mut draft = Draft::default();
    for part in parts {
        match part {
            Part::DisplayName => draft.display_name = Some(sent.display_name.clone()),
            Part::Trigger => draft.trigger = trigger(sent.trigger.clone(), found),
            Part::Condition => {
                draft.condition = match sent.condition.clone() {
                    Some(sent) => condition(sent, "automation.condition", found),
                    None => Some(Condition::always()),
                }
            }
            Part::Steps => draft.steps = steps(sent.steps.clone(), account, "automation.steps", found),
            Part::Missing => draft.missing = missing(sent.missing, found),
        }
    }
    draft
}

fn trigger(sent: Option<Subscription>, found: &mut Violations) -> Option<sluice_domain::Subscription> {
    match sent {
        Some(sent) => subscription(sent, "automation.trigger", found),
        None => {
            found.add("automation.trigger", "is required");
            None
        }
    }
}

fn missing(sent: i32, found: &mut Violations) -> Missing {
    let known = match wire::MissingPolicy::try_from(sent) {
        Ok(wire::MissingPolicy::Unspecified | wire::MissingPolicy::Error) => Some(Missing::Error),
        Ok(wire::MissingPolicy::Empty) => Some(Missing::Empty),
        Err(_) => None,
    };
    found.keep("automation.missing", known.ok_or("must be ERROR or EMPTY")).unwrap_or_default()
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
        name: ResourceName { account: automation.account.clone(), id: automation.id }.to_string(),
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
        let sent = automation_out(&automation());
        let draft = draft(sent, &Part::ALL, Some(&automation().account), &mut found);
        assert!(found.is_empty(), "{found}");
        assert_eq!(draft.into_definition(), Some(definition()));
    }

    #[test]
    fn parts_that_are_not_asked_for_are_not_looked_at() {
        let sent = wire::Automation { display_name: "New".to_owned(), missing: 9, ..Default::default() };
        let mut found = Violations::new();
        let read = draft(sent.clone(), &[Part::DisplayName], None, &mut found);
        assert!(found.is_empty(), "{found}");
        assert_eq!((read.display_name.as_deref(), read.steps), (Some("New"), None));
        draft(sent, &[Part::Trigger, Part::Missing], None, &mut found);
        let fields: Vec<&str> = found.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["automation.trigger", "automation.missing"]);
    }
}
