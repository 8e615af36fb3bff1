//! The first moves of ExplainEvent: which automation is asked about, with which event, whether the caller may ask, and
//! everything that can't be read.

use proto::evaluator::v1 as wire;
use sluice_auth::Principal;
use sluice_domain::{AutomationId, Timestamp, Violations};
use sluice_rpc::{AccountName, Fault, ResourceName};

use super::convert_automation::draft;
use super::convert_event::event;
use super::request::admin;
use crate::automation::{Draft, Part, check_fields};
use crate::event_check::{EventDraft, check_event};
use crate::worker::NewAutomation;

/// What is asked; the event is not checked yet.
#[derive(Debug)]
pub(super) enum Question {
    /// Of an automation as it stands.
    Stored(ResourceName<AutomationId>, EventDraft),
    /// Of a draft, which is not checked yet either.
    Draft(AccountName, Box<NewAutomation>, EventDraft),
}

/// A question asked `now`, which the caller may ask.
///
/// # Errors
/// The caller's refusal, before anything else is looked at. When it names nothing to ask about, or has no event: everything
/// that is wrong, as far as that can be said.
pub(super) fn question(
    sent: wire::ExplainEventRequest,
    caller: &Principal,
    now: Timestamp,
) -> Result<Question, Fault> {
    let wire::ExplainEventRequest { name, parent, automation, event: sent } = sent;
    if automation.is_none() && (parent.is_empty() || !name.is_empty()) {
        return stored(&name, &parent, sent, caller, now);
    }
    admin(caller)?;
    drafted(&name, &parent, automation, sent, caller, now)
}

type SentEvent = Option<proto::event::v1::Event>;

fn stored(
    name: &str,
    parent: &str,
    sent: SentEvent,
    caller: &Principal,
    now: Timestamp,
) -> Result<Question, Fault> {
    let mut found = Violations::new();
    let name = match name {
        "" => {
            found.add("name", "is required unless `parent` and `automation` are set");
            None
        }
        name => found.keep("name", name.parse::<ResourceName<AutomationId>>()),
    };
    if let Some(name) = &name {
        name.open_to(caller)?;
    }
    if !parent.is_empty() {
        found.add("parent", "must be empty unless `automation` is set");
    }
    let event = sent.map(|sent| event(name.as_ref().map(|name| name.account.clone()), sent));
    match (name, event) {
        (Some(name), Some(event)) if found.is_empty() => Ok(Question::Stored(name, event)),
        (_, event) => Err(with_event(found, event, now)),
    }
}

fn drafted(
    name: &str,
    parent: &str,
    automation: Option<wire::Automation>,
    sent: SentEvent,
    caller: &Principal,
    now: Timestamp,
) -> Result<Question, Fault> {
    let mut found = Violations::new();
    let parent = found.keep("parent", parent.parse::<AccountName>());
    if let Some(parent) = &parent {
        parent.open_to(caller)?;
    }
    if !name.is_empty() {
        found.add("name", "must be empty when `automation` is set");
    }
    let account = parent.as_ref().map(|AccountName(account)| account.clone());
    let draft = match automation {
        Some(automation) => draft(automation, &Part::ALL, account.as_ref(), &mut found),
        None => {
            found.add("automation", "is required when `parent` is set");
            Draft::default()
        }
    };
    match (parent, sent.map(|sent| event(account, sent))) {
        (Some(parent), Some(event)) => {
            let new = NewAutomation { draft, found, request: None };
            Ok(Question::Draft(parent, Box::new(new), event))
        }
        (_, event) => {
            check_fields(&draft, &mut found);
            Err(with_event(found, event, now))
        }
    }
}

/// The refusal for what was found, and for what is wrong with the event.
fn with_event(mut found: Violations, event: Option<EventDraft>, now: Timestamp) -> Fault {
    match event {
        None => found.add("event", "is required"),
        Some(event) => found.extend(check_event(event, now).err().into_iter().flatten()),
    }
    Fault::invalid(found)
}

#[cfg(test)]
mod tests {
    use sluice_auth::Role;

    use super::*;

    const NAME: &str = "accounts/acme/automations/au_01h455vb4pex5vsknk084sn02q";

    fn asked(name: &str, parent: &str, automation: bool, event: SentEvent) -> Result<Question, Vec<String>> {
        let sent = wire::ExplainEventRequest {
            name: name.to_owned(),
            parent: parent.to_owned(),
            automation: automation.then(wire::Automation::default),
            event,
        };
        let account = Some("acme".parse().unwrap());
        let caller = Principal::new(account, "u1".parse().unwrap(), [Role::GlobalAdmin], []);
        let told = |fault: Fault| -> Vec<String> {
            fault.violations().iter().map(|violation| violation.field.clone()).collect()
        };
        question(sent, &caller, Timestamp::EPOCH).map_err(told)
    }

    #[test]
    fn a_name_or_a_draft_is_asked_about() {
        let event = Some(proto::event::v1::Event::default());
        assert!(matches!(asked(NAME, "", false, event.clone()), Ok(Question::Stored(..))));
        let Ok(Question::Draft(_, new, _)) = asked(NAME, "accounts/acme", true, event) else {
            panic!("a draft")
        };
        let fields: Vec<&str> = new.found.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["name", "automation.trigger"], "what else is wrong with it is said later");
    }

    #[test]
    fn a_question_that_names_nothing_hides_nothing_that_is_wrong_with_it() {
        let event = Some(proto::event::v1::Event { id: "e1".to_owned(), ..Default::default() });
        let of_event = ["event.object", "event.action", "event.record_id"];
        let with = |fields: &[&str]| -> Vec<String> {
            fields.iter().chain(&of_event).map(|&field| field.to_owned()).collect()
        };
        assert_eq!(asked("", "", false, event.clone()).unwrap_err(), with(&["name"]));
        assert_eq!(asked("x", "x", false, event.clone()).unwrap_err(), with(&["name", "parent"]));
        assert_eq!(asked("", "x", false, event.clone()).unwrap_err(), with(&["parent", "automation"]));
        let draft = with(&["parent", "automation.trigger", "automation.display_name", "automation.steps"]);
        assert_eq!(asked("", "acme", true, event).unwrap_err(), draft);
        assert_eq!(asked(NAME, "", false, None).unwrap_err(), ["event"]);
    }
}
