//! Words of the contract as people type them: `updated` for `ACTION_UPDATED`.

use prost_reflect::DescriptorPool;
use sluice_domain::{Span, Timestamp};
use sluice_runtime::HumanSpan;

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

/// In which order a webhook gets its requests.
pub(super) fn webhook_ordering(text: &str) -> Result<i32, String> {
    number("sluice.registry.v1.WebhookOrdering", "WEBHOOK_ORDERING_", text)
}

/// Whether an automation fires.
pub(super) fn automation_state(text: &str) -> Result<i32, String> {
    number("sluice.evaluator.v1.AutomationState", "AUTOMATION_STATE_", text)
}

/// Where an execution stands.
pub(super) fn execution_state(text: &str) -> Result<i32, String> {
    number("sluice.dispatcher.v1.ExecutionState", "EXECUTION_STATE_", text)
}

/// Why an execution ended otherwise than well.
pub(super) fn end_reason(text: &str) -> Result<i32, String> {
    number("sluice.dispatcher.v1.EndReason", "END_REASON_", text)
}

/// Why an execution is held back.
pub(super) fn pause_reason(text: &str) -> Result<i32, String> {
    number("sluice.dispatcher.v1.PauseReason", "PAUSE_REASON_", text)
}

/// A record: its id, and its kind where that is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The kind; empty for any.
    pub object: String,
    /// The id.
    pub id: String,
}

/// A record's id, or its kind and id with a slash between.
pub(super) fn record(text: &str) -> Result<Record, String> {
    let (object, id) = text.split_once('/').unwrap_or(("", text));
    if id.is_empty() {
        return Err("must be a record's id, such as 4711 or deal/4711".to_owned());
    }
    Ok(Record { object: object.to_owned(), id: id.to_owned() })
}

/// So many in such a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How many.
    pub units: u32,
    /// In which time.
    pub per: Span,
}

/// A number and a length with a slash between.
pub(super) fn pace(text: &str) -> Result<Pace, String> {
    let read = |(units, per): (&str, &str)| {
        Some(Pace { units: units.parse().ok()?, per: per.parse::<HumanSpan>().ok()?.0 })
    };
    text.split_once('/').and_then(read).ok_or_else(|| {
        "must be a number and a length with a slash between, such as 600/1m or 5/1s".to_owned()
    })
}

/// An instant, as people say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// That one.
    At(Timestamp),
    /// So long ago.
    Ago(Span),
}

impl When {
    /// The instant, said at `now`.
    pub fn said_at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now.minus(span),
        }
    }
}

/// An instant in RFC 3339, or how long ago.
pub(super) fn when(text: &str) -> Result<When, String> {
    let instant = text.parse::<prost_types::Timestamp>().ok();
    let instant = instant.and_then(|at| Timestamp::from_unix(at.seconds, at.nanos)).map(When::At);
    let ago = text.parse::<HumanSpan>().ok().map(|HumanSpan(span)| When::Ago(span));
    instant.or(ago).ok_or_else(|| {
        "must be an instant such as 2026-11-24T08:00:00Z, or how long ago, such as 90m or 7d".to_owned()
    })
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
    fn an_instant_is_one_or_a_time_ago_and_a_record_is_an_id_with_or_without_its_kind() {
        let now = Timestamp::from_micros(1_767_225_600_000_000);
        assert_eq!(when("2026-01-01T00:00:00Z").unwrap().said_at(Timestamp::EPOCH), now);
        assert_eq!(when("1h30m").unwrap().said_at(now), now.minus(Span::from_secs(5_400)));
        assert!(when("yesterday").is_err() && when("").is_err());
        let record_of = |object: &str, id: &str| Record { object: object.to_owned(), id: id.to_owned() };
        assert_eq!(record("4711"), Ok(record_of("", "4711")));
        assert_eq!(record("deal/47/11"), Ok(record_of("deal", "47/11")));
        assert!(record("deal/").is_err());
        assert!(end_reason("forbidden").is_ok() && pause_reason("quota").is_ok());
    }

    #[test]
    fn a_pace_is_a_number_in_a_length() {
        assert_eq!(pace("600/1m"), Ok(Pace { units: 600, per: Span::from_secs(60) }));
        for wrong in ["600", "600/", "/1m", "-1/1m", "600/minute"] {
            assert!(pace(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn another_word_is_refused_with_all_there_are() {
        assert_eq!(action("moved"), Err("must be one of added, updated, deleted".to_owned()));
        assert!(action("unspecified").is_err(), "what the contract calls never valid is no word");
    }
}
