//! The standard envelope: the body that event webhooks get.
//!
//! ```json
//! {"meta": {"id": "evt-1", "account": "acme", "object": "deal", "action": "updated", "record_id": "42",
//!           "occurred_at": "2026-11-24T04:24:22Z", "actor": "u1", "version": 1},
//!  "data": {…}, "previous": {…}}
//! ```
//! `data` is the record now, null when it was deleted; `previous` is the whole record before, null when it was added. Both
//! are the producer's bytes as they came, so numbers keep their text. Only when the producer sent what changed and not the
//! whole old record, `previous` is put together from both (RFC 7396) and written anew: a receiver needs one reading only.

use sluice_rules::Json;

use crate::event_check::IncomingEvent;

/// The version of the envelope's shape, `meta.version`.
const VERSION: i64 = 1;

/// The envelope of an event, UTF-8 JSON without a final newline.
pub fn envelope(incoming: &IncomingEvent) -> Vec<u8> {
    let event = &incoming.event;
    let meta = Json::object([
        ("id", Json::from(event.id.as_str())),
        ("account", Json::from(event.account.as_str())),
        ("object", Json::from(event.object.as_str())),
        ("action", Json::from(event.action.as_str())),
        ("record_id", Json::from(event.record_id.as_str())),
        ("occurred_at", Json::from(event.occurred_at.to_rfc3339())),
        ("actor", event.actor.as_ref().map_or(Json::Null, |actor| Json::from(actor.as_str()))),
        ("version", Json::from(VERSION)),
    ]);
    let whole = event
        .previous_partial
        .then(|| incoming.records.previous().map_or_else(Vec::new, |record| record.to_string().into_bytes()));
    let previous = whole.as_ref().unwrap_or(&event.previous);
    let mut out = Vec::with_capacity(event.current.len() + previous.len() + 512);
    out.extend_from_slice(b"{\"meta\":");
    out.extend_from_slice(meta.to_string().as_bytes());
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(or_null(&event.current));
    out.extend_from_slice(b",\"previous\":");
    out.extend_from_slice(or_null(previous));
    out.push(b'}');
    out
}

fn or_null(record: &[u8]) -> &[u8] {
    if record.is_empty() { b"null" } else { record }
}

#[cfg(test)]
mod tests {
    use sluice_domain::Action;

    use super::*;
    use crate::event_check::EventDraft;
    use crate::event_check::tests::{checked, draft};

    fn text(draft: EventDraft) -> String {
        String::from_utf8(envelope(&checked(draft))).unwrap()
    }

    #[test]
    fn an_update_carries_both_records_as_they_came() {
        let sent = EventDraft {
            actor: "u1".to_owned(),
            current: br#"{ "value": 1.10, "id": 12345678901234567890, "title": "\u00fc\"" }"#.to_vec(),
            ..draft("evt \"1\"")
        };
        assert_eq!(
            text(sent),
            concat!(
                r#"{"meta":{"id":"evt \"1\"","account":"acme","object":"deal","action":"updated","record_id":"42","#,
                r#""occurred_at":"2026-11-18T11:06:40Z","actor":"u1","version":1},"#,
                r#""data":{ "value": 1.10, "id": 12345678901234567890, "title": "\u00fc\"" },"#,
                r#""previous":{"title":"Big one","stage":"new","value":1.10}}"#
            )
        );
    }

    #[test]
    fn what_is_not_there_is_null() {
        let added = EventDraft { action: Some(Action::Added), previous: vec![], ..draft("e1") };
        assert!(text(added).ends_with(r#","previous":null}"#));
        let deleted = EventDraft { action: Some(Action::Deleted), current: vec![], ..draft("e1") };
        assert!(text(deleted).contains(r#""actor":null,"version":1},"data":null,"previous":{"#));
    }

    #[test]
    fn a_partial_previous_is_made_whole() {
        let partial = EventDraft {
            previous: br#"{"stage":"new","value":null}"#.to_vec(),
            previous_partial: true,
            ..draft("e1")
        };
        assert!(text(partial).ends_with(r#""previous":{"title":"Big one","stage":"new"}}"#));
    }
}
