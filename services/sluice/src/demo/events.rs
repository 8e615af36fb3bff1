//! The demo's events: deals that change, some of them in the way the automation waits for.

use proto::event::v1::{Action, Event};
use serde_json::{Value, json};

/// What happens to a deal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// The stage becomes `won`: what the automation waits for.
    Won,
    /// The stage was `won` before; another field changes.
    StillWon,
    /// The stage becomes `lost`.
    Lost,
}

/// The events of the deals with these numbers: of ten, seven are won, two were won before, one is lost.
pub fn deal_events(numbers: std::ops::Range<u32>) -> Vec<Event> {
    numbers
        .map(|number| {
            let change = match number % 10 {
                0..=6 => Change::Won,
                7 | 8 => Change::StillWon,
                _ => Change::Lost,
            };
            event(number, change)
        })
        .collect()
}

/// Events of deals that are all won.
pub fn won_events(numbers: std::ops::Range<u32>) -> Vec<Event> {
    numbers.map(|number| event(number, Change::Won)).collect()
}

fn event(number: u32, change: Change) -> Event {
    let value = 1_000 + number;
    let (previous, current) = match change {
        Change::Won => (deal(number, "negotiation", value), deal(number, "won", value)),
        Change::StillWon => (deal(number, "won", value), deal(number, "won", value + 500)),
        Change::Lost => (deal(number, "negotiation", value), deal(number, "lost", value)),
    };
    Event {
        id: format!("demo-{number}"),
        object: "deal".to_owned(),
        action: Action::Updated.into(),
        record_id: number.to_string(),
        actor: "ada".to_owned(),
        current: current.to_string().into(),
        previous: previous.to_string().into(),
        ..Event::default()
    }
}

fn deal(number: u32, stage: &str, value: u32) -> Value {
    json!({
        "id": number,
        "title": format!("Deal \"{number}\" of the demo"),
        "stage": stage,
        "value": value,
        "owner": { "name": "Ada" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(event: &Event) -> (String, String) {
        let stage = |record: &[u8]| {
            let record: Value = serde_json::from_slice(record).unwrap();
            record["stage"].as_str().unwrap().to_owned()
        };
        (stage(&event.previous), stage(&event.current))
    }

    #[test]
    fn of_200_events_140_become_won_and_the_rest_do_not_change_to_it() {
        let events = deal_events(0..200);
        let became_won =
            events.iter().filter(|event| stages(event) == ("negotiation".into(), "won".into())).count();
        let was_won = events.iter().filter(|event| stages(event) == ("won".into(), "won".into())).count();
        let lost = events.iter().filter(|event| stages(event).1 == "lost").count();
        assert_eq!((became_won, was_won, lost), (140, 40, 20));
    }

    #[test]
    fn every_event_really_changes_its_record_and_has_its_own_id() {
        let events = deal_events(0..200);
        assert!(events.iter().all(|event| event.previous != event.current));
        let ids: std::collections::BTreeSet<_> = events.iter().map(|event| &event.id).collect();
        assert_eq!(ids.len(), 200);
    }
}
