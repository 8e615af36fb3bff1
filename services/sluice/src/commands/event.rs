//! `sluice event`: what a product does.

mod explanation;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use bytes::Bytes;
use proto::evaluator::v1::{ExplainEventRequest, IngestEventRequest, IngestEventResponse};
use proto::event::v1::{Event, Visibility};
use serde_json::value::RawValue;
use sluice_domain::{Id, Kind};
use sluice_runtime::{Clock, Entropy};

use super::automation;
use crate::cli::{self, EventExplain, EventFields, Noun};
use crate::client::sheet::{Sheet, id_of, word};
use crate::client::{Connection, Part, Usage, printable, text_in, wire};

const EVENT: &str = "sluice.event.v1.Event";
/// The fields that hold JSON of their own.
const RECORDS: [&str; 2] = ["current", "previous"];

/// Runs one command.
///
/// # Errors
/// Why it could not be done, and what to do next.
pub async fn run(Noun { client, verb }: Noun<cli::Event>) -> anyhow::Result<()> {
    match &verb {
        cli::Event::Send(wish) => send(&Connection::open(&client, Part::Product, None)?, wish).await,
        cli::Event::Explain(wish) => {
            explain(&Connection::open(&client, Part::Admin, wish.automation.as_deref())?, wish).await
        }
    }
}

#[allow(
    clippy::print_stderr,
    reason = "an id must be known before the event is sent, to send it again when no answer comes"
)]
async fn send(connection: &Connection, wish: &EventFields) -> anyhow::Result<()> {
    let mut event = event(wish)?;
    if event.id.is_empty() {
        event.id = mint();
        eprintln!("sluice: the event's id is {}", event.id);
    }
    let id = event.id.clone();
    let request = IngestEventRequest { parent: connection.account()?.to_string(), event: Some(event) };
    let answer = connection.answer(connection.events().ingest_event(request).await)?;
    connection.show("sluice.evaluator.v1.IngestEventResponse", &answer, |answer| text(&id, answer))
}

async fn explain(connection: &Connection, wish: &EventExplain) -> anyhow::Result<()> {
    let mut event = event(&wish.event)?;
    if event.id.is_empty() {
        event.id = mint();
    }
    let mut request = ExplainEventRequest { event: Some(event), ..ExplainEventRequest::default() };
    match (&wish.automation, &wish.draft) {
        (Some(given), _) => request.name = connection.automation_name(given).await?,
        (None, Some(path)) => {
            let (mut draft, _) = automation::file("--draft", path)?;
            automation::resolve_webhooks(connection, &mut draft).await?;
            request.parent = connection.account()?.to_string();
            request.automation = Some(draft);
        }
        (None, None) => bail!(Usage("which automation? Name it, or give a --draft".to_owned())),
    }
    let answer = connection.answer(connection.automations().explain_event(request).await)?;
    connection.show("sluice.evaluator.v1.ExplainEventResponse", &answer, explanation::text)
}

/// An id that nobody else makes.
fn mint() -> String {
    enum EventKind {}
    impl Kind for EventKind {
        const PREFIX: &'static str = "evt";
        const NOUN: &'static str = "event";
    }
    Id::<EventKind>::mint(Clock::system().now(), Entropy::system().bytes()).to_string()
}

fn event(wish: &EventFields) -> anyhow::Result<Event> {
    let mut event = match &wish.file {
        Some(path) => file(path)?,
        None => Event::default(),
    };
    let text = |field: &mut String, given: &Option<String>| {
        if let Some(given) = given {
            field.clone_from(given);
        }
    };
    text(&mut event.id, &wish.id);
    text(&mut event.object, &wish.object);
    text(&mut event.record_id, &wish.record_id);
    text(&mut event.actor, &wish.actor);
    text(&mut event.cause, &wish.cause);
    event.action = wish.action.unwrap_or(event.action);
    for (field, given) in [(&mut event.current, &wish.current), (&mut event.previous, &wish.previous)] {
        if let Some(given) = given {
            *field = Bytes::from(given.clone());
        }
    }
    event.previous_partial |= wish.previous_partial;
    event.suppress |= wish.suppress;
    if !wish.visible_to.is_empty() {
        let everyone = wish.visible_to.iter().any(|user| user == "*");
        let users = if everyone { Vec::new() } else { wish.visible_to.clone() };
        event.visible_to = Some(Visibility { everyone, users });
    }
    Ok(event)
}

fn file(path: &Path) -> anyhow::Result<Event> {
    let text = text_in(path).context("--file")?;
    Ok(read(&text).map_err(|error| Usage(format!("--file: {} {error}", path.display())))?)
}

/// Reads an event whose records may stand as the objects they are: their text is taken as it is, so that numbers keep theirs.
fn read(text: &str) -> Result<Event, wire::ReadError> {
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_str(text).map_err(|error| wire::syntax(&error))?;
    let is_record = |key: &str, value: &RawValue| RECORDS.contains(&key) && value.get().starts_with('{');
    let (records, rest): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|(key, value)| is_record(key, value));
    let rest: BTreeMap<_, _> = rest.into_iter().collect();
    let rest = serde_json::to_string(&rest).map_err(|error| wire::syntax(&error))?;
    let (mut event, _) = wire::read::<Event>(EVENT, &rest)?;
    for (key, record) in records {
        let record = Bytes::from(record.get().to_owned());
        if key == "current" { event.current = record } else { event.previous = record }
    }
    Ok(event)
}

fn text(id: &str, answer: &IngestEventResponse) -> String {
    let mut sheet = Sheet::default();
    sheet.field("event", id).field("outcome", word(answer.outcome().as_str_name(), "INGEST_OUTCOME_"));
    for execution in &answer.executions {
        sheet.field("execution", printable::line(id_of(execution)));
    }
    sheet.text().to_owned()
}

#[cfg(test)]
mod tests {
    use proto::event::v1::Action;

    use super::*;

    #[test]
    fn records_stand_as_objects_or_as_base64_and_numbers_keep_their_text() {
        let text = r#"{"id": "e", "action": "ACTION_UPDATED", "recordId": "42",
            "current": {"value": 1.10, "n": 12345678901234567890123, "e": 1E5}, "previous": "e30="}"#;
        let event = read(text).unwrap();
        assert_eq!(event.current, r#"{"value": 1.10, "n": 12345678901234567890123, "e": 1E5}"#);
        assert_eq!((event.action(), event.previous.as_ref()), (Action::Updated, b"{}".as_slice()));
    }

    #[test]
    fn what_does_not_fit_is_told_by_its_path() {
        let said = read(r#"{"current": [1], "colour": "red"}"#).unwrap_err().to_string();
        assert!(said.contains("current: must be") && said.contains("colour: no such field"), "{said}");
        assert!(read("[]").unwrap_err().to_string().contains("a JSON object is expected"));
    }

    #[test]
    fn ids_that_are_made_differ() {
        assert!(mint() != mint() && mint().starts_with("evt_"));
    }
}
