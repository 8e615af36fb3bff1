//! The door for events: what a producer sent becomes an [`IncomingEvent`] that can't be wrong, or every rule it breaks at once.

use std::str::FromStr;

use sluice_domain::{
    AccountId, Action, Event, ExecutionId, MAX_EVENT_BYTES, Timestamp, UserId, Violations, Visibility,
};
use sluice_rules::{EventView, Json, Records};

/// How many users `visible_to` may name.
pub const MAX_VISIBLE_USERS: usize = 1_000;

/// An event as it was sent, unchecked; what was not said is empty.
#[derive(Debug, Clone, Default)]
pub struct EventDraft {
    /// Whose it is; `None` when the request named no account that can be.
    pub account: Option<AccountId>,
    /// The producer's id.
    pub id: String,
    /// The kind of record.
    pub object: String,
    /// What was done; `None` when nothing known was named.
    pub action: Option<Action>,
    /// The record's id.
    pub record_id: String,
    /// When.
    pub occurred_at: OccurredAt,
    /// Who did it.
    pub actor: String,
    /// The record now.
    pub current: Vec<u8>,
    /// The record before.
    pub previous: Vec<u8>,
    /// Whether `previous` holds only what changed.
    pub previous_partial: bool,
    /// The execution that brought it about.
    pub cause: String,
    /// Who may see the record, if that was said.
    pub visible_to: Option<VisibleTo>,
    /// Whether nothing is to fire.
    pub suppress: bool,
}

/// When an event occurred, as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OccurredAt {
    /// It was not said: when the event arrives.
    #[default]
    Arrival,
    /// Then.
    At(Timestamp),
    /// At no time that can be.
    OutOfRange,
}

/// Who may see a record, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisibleTo {
    /// Everybody in the account.
    pub everyone: bool,
    /// These users.
    pub users: Vec<String>,
}

/// A checked event: its facts, and its records ready to be read by conditions and templates.
#[derive(Debug)]
pub struct IncomingEvent {
    /// The facts, with the bytes as they came.
    pub event: Event,
    /// The records, parsed; a partial `previous` made whole.
    pub records: Records,
}

/// Checks an event that arrived `now`. Fields are named from the item: `event.current`.
///
/// # Errors
/// Every rule it breaks. That the account is missing is the request's fault, and no rule of the event.
pub fn check_event(draft: EventDraft, now: Timestamp) -> Result<IncomingEvent, Violations> {
    let mut violations = Violations::new();
    let found = &mut violations;
    let id = found.keep("event.id", draft.id.parse());
    let object = found.keep("event.object", draft.object.parse());
    let action = found.keep("event.action", draft.action.ok_or("must be ADDED, UPDATED or DELETED"));
    let record_id = found.keep("event.record_id", draft.record_id.parse());
    let occurred_at = match draft.occurred_at {
        OccurredAt::Arrival => Some(now),
        OccurredAt::At(at) => Some(at),
        OccurredAt::OutOfRange => {
            found.add("event.occurred_at", "must be within the years 1 to 9999");
            None
        }
    };
    let actor = optional::<UserId>(&draft.actor, "event.actor", found);
    let cause = optional::<ExecutionId>(&draft.cause, "event.cause", found);
    let visibility = visibility(draft.visible_to.as_ref(), found);
    let (current, previous) = records(&draft, action, found);
    match (draft.account, id, object, action, record_id, occurred_at, visibility) {
        (
            Some(account),
            Some(id),
            Some(object),
            Some(action),
            Some(record_id),
            Some(occurred_at),
            Some(visibility),
        ) if violations.is_empty() => {
            let event = Event {
                id,
                account,
                object,
                action,
                record_id,
                occurred_at,
                actor,
                current: draft.current,
                previous: draft.previous,
                previous_partial: draft.previous_partial,
                cause,
                visibility,
                suppress: draft.suppress,
            };
            let view = EventView {
                object: event.object.as_str().to_owned(),
                action: rules_action(action),
                current,
                previous,
                previous_partial: event.previous_partial,
                event: shown(&event),
            };
            Ok(IncomingEvent { event, records: Records::new(view) })
        }
        _ => Err(violations),
    }
}

/// What the root `event` reads.
fn shown(event: &Event) -> Json {
    let text_or_null = |text: Option<String>| text.map_or(Json::Null, Json::from);
    Json::object([
        ("id", Json::from(event.id.as_str())),
        ("account", Json::from(event.account.as_str())),
        ("object", Json::from(event.object.as_str())),
        ("action", Json::from(event.action.as_str())),
        ("record_id", Json::from(event.record_id.as_str())),
        ("occurred_at", Json::from(event.occurred_at.to_rfc3339())),
        ("actor", text_or_null(event.actor.as_ref().map(ToString::to_string))),
        ("cause", text_or_null(event.cause.map(|cause| cause.to_string()))),
    ])
}

fn rules_action(action: Action) -> sluice_rules::Action {
    match action {
        Action::Added => sluice_rules::Action::Added,
        Action::Updated => sluice_rules::Action::Updated,
        Action::Deleted => sluice_rules::Action::Deleted,
    }
}

fn optional<T: FromStr>(text: &str, field: &str, found: &mut Violations) -> Option<T>
where
    T::Err: std::fmt::Display,
{
    if text.is_empty() { None } else { found.keep(field, text.parse()) }
}

fn visibility(told: Option<&VisibleTo>, found: &mut Violations) -> Option<Visibility> {
    let field = "event.visible_to.users";
    let Some(VisibleTo { everyone, users }) = told else { return Some(Visibility::Unstated) };
    match everyone {
        true if users.is_empty() => Some(Visibility::Everyone),
        true => {
            found.add(field, "must be empty when `everyone` is true");
            None
        }
        false if users.len() > MAX_VISIBLE_USERS => {
            found.add(field, format!("{} users; at most {MAX_VISIBLE_USERS} are allowed", users.len()));
            None
        }
        false => {
            let parsed: Vec<Option<UserId>> = users
                .iter()
                .enumerate()
                .map(|(index, user)| found.keep(&format!("{field}[{index}]"), user.parse()))
                .collect();
            parsed.into_iter().collect::<Option<Vec<_>>>().map(Visibility::Users)
        }
    }
}

/// The two records, and the rules of which must be there.
fn records(
    draft: &EventDraft,
    action: Option<Action>,
    found: &mut Violations,
) -> (Option<Json>, Option<Json>) {
    let together = draft.current.len() + draft.previous.len();
    if together > MAX_EVENT_BYTES {
        let rule =
            format!("together with `previous` {together} bytes; at most {MAX_EVENT_BYTES} are allowed");
        found.add("event.current", rule);
        return (None, None);
    }
    if let Some(action) = action {
        let current_needed = action != Action::Deleted;
        let previous_needed = action != Action::Added;
        presence("event.current", &draft.current, current_needed, action, found);
        presence("event.previous", &draft.previous, previous_needed, action, found);
        if draft.previous_partial && action != Action::Updated {
            found.add("event.previous_partial", "must be false unless the action is UPDATED");
        }
    }
    (record("event.current", &draft.current, found), record("event.previous", &draft.previous, found))
}

fn presence(field: &str, bytes: &[u8], needed: bool, action: Action, found: &mut Violations) {
    let action = action.as_str();
    match (bytes.is_empty(), needed) {
        (true, true) => found.add(field, format!("is required when the record was {action}")),
        (false, false) => found.add(field, format!("must be absent when the record was {action}")),
        _ => {}
    }
}

fn record(field: &str, bytes: &[u8], found: &mut Violations) -> Option<Json> {
    if bytes.is_empty() {
        return None;
    }
    let json = found.keep(field, Json::parse(bytes))?;
    if !matches!(json, Json::Object(_)) {
        found.add(field, "must be a JSON object");
        return None;
    }
    Some(json)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An update of deal 42 from stage `new` to `won`, visible to everyone.
    pub(crate) fn draft(id: &str) -> EventDraft {
        EventDraft {
            account: Some("acme".parse().unwrap()),
            id: id.to_owned(),
            object: "deal".to_owned(),
            action: Some(Action::Updated),
            record_id: "42".to_owned(),
            occurred_at: OccurredAt::At(Timestamp::from_micros(1_795_000_000_000_000)),
            current: br#"{"title":"Big one","stage":"won","value":1.10}"#.to_vec(),
            previous: br#"{"title":"Big one","stage":"new","value":1.10}"#.to_vec(),
            visible_to: Some(VisibleTo { everyone: true, users: vec![] }),
            ..EventDraft::default()
        }
    }

    pub(crate) fn checked(draft: EventDraft) -> IncomingEvent {
        check_event(draft, Timestamp::EPOCH).unwrap()
    }

    fn fields(draft: EventDraft) -> Vec<String> {
        let violations = check_event(draft, Timestamp::EPOCH).unwrap_err();
        violations.into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn a_sound_event_keeps_its_bytes_and_defaults_its_time_to_the_arrival() {
        let incoming = checked(EventDraft { occurred_at: OccurredAt::Arrival, ..draft("e1") });
        assert_eq!(incoming.event.occurred_at, Timestamp::EPOCH);
        assert_eq!(incoming.event.current, draft("e1").current);
        assert_eq!(incoming.records.event().get("actor"), Some(&Json::Null));
    }

    #[test]
    fn every_broken_rule_is_named_at_once() {
        let bad = EventDraft {
            actor: "a b".to_owned(),
            cause: "ex_1".to_owned(),
            occurred_at: OccurredAt::OutOfRange,
            visible_to: Some(VisibleTo { everyone: true, users: vec!["u1".to_owned()] }),
            current: b"[1]".to_vec(),
            previous: b"{".to_vec(),
            ..EventDraft::default()
        };
        assert_eq!(
            fields(bad),
            [
                "event.id",
                "event.object",
                "event.action",
                "event.record_id",
                "event.occurred_at",
                "event.actor",
                "event.cause",
                "event.visible_to.users",
                "event.current",
                "event.previous"
            ]
        );
    }

    #[test]
    fn records_are_there_exactly_when_the_action_has_them() {
        let with = |action, current: &str, previous: &str| EventDraft {
            action: Some(action),
            current: current.as_bytes().to_vec(),
            previous: previous.as_bytes().to_vec(),
            ..draft("e1")
        };
        for (action, current, previous) in
            [(Action::Added, "{}", ""), (Action::Updated, "{}", "{}"), (Action::Deleted, "", "{}")]
        {
            checked(with(action, current, previous));
        }
        assert_eq!(fields(with(Action::Added, "", "{}")), ["event.current", "event.previous"]);
        assert_eq!(fields(with(Action::Updated, "", "")), ["event.current", "event.previous"]);
        assert_eq!(fields(with(Action::Deleted, "{}", "")), ["event.current", "event.previous"]);
        let partial = EventDraft { previous_partial: true, ..with(Action::Deleted, "", "{}") };
        assert_eq!(fields(partial), ["event.previous_partial"]);
    }

    #[test]
    fn size_depth_and_visible_users_are_bounded() {
        let wide = format!(r#"{{"x":"{}"}}"#, "a".repeat(MAX_EVENT_BYTES));
        assert_eq!(fields(EventDraft { current: wide.into_bytes(), ..draft("e1") }), ["event.current"]);
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(32), "]".repeat(32));
        assert_eq!(fields(EventDraft { current: deep.into_bytes(), ..draft("e1") }), ["event.current"]);
        let users = vec!["u".to_owned(); MAX_VISIBLE_USERS + 1];
        assert_eq!(
            fields(EventDraft { visible_to: Some(VisibleTo { everyone: false, users }), ..draft("e1") }),
            ["event.visible_to.users"]
        );
    }
}
