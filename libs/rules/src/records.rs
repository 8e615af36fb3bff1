//! The event as conditions and templates see it: which record a path reads, and what it was before.
//!
//! | action | the object's name reads | `previous` reads | has changed |
//! |---|---|---|---|
//! | added | `current` | nothing, whatever was sent | never |
//! | updated | `current` | the whole old record | where the two differ, absent counting as a value |
//! | deleted | the whole old record | the same | never |
//!
//! With `previous_partial` the event's `previous` holds only what changed, and the whole old record is made of
//! it and `current`: absent in `previous` means unchanged, `null` means it was not there, objects are gone
//! through member by member, lists and everything else are old values as they stand. That is a JSON merge patch
//! (RFC 7396) from the current record back to the old one. Without it, `null` is the old value `null`.
//!
//! An updated event that came without `previous` says nothing of the past: nothing is known to have changed.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::json::{Json, Object};
use crate::path::Path;

/// What happened to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is new.
    Added,
    /// It was changed.
    Updated,
    /// It is gone.
    Deleted,
}

/// An event as it came, to make [`Records`] of.
#[derive(Clone, Debug)]
pub struct EventView {
    /// The object's name, like `deal`: the root under which the record is read.
    pub object: String,
    /// What happened.
    pub action: Action,
    /// The record now.
    pub current: Option<Json>,
    /// The record before, or what changed of it.
    pub previous: Option<Json>,
    /// Whether `previous` holds only what changed.
    pub previous_partial: bool,
    /// What the root `event` reads: an object with the event's id, action, time and so on.
    pub event: Json,
}

/// The records of one event, ready to be read by paths.
#[derive(Clone, Debug)]
pub struct Records {
    object: String,
    action: Action,
    current: Option<Json>,
    previous: Option<Json>,
    event: Json,
}

impl Records {
    /// The records of an event; a partial `previous` is made whole.
    #[must_use]
    pub fn new(view: EventView) -> Self {
        let EventView { object, action, current, previous, previous_partial, event } = view;
        let previous = match (action, previous) {
            (Action::Added, _) => None,
            (Action::Updated, None) if previous_partial => current.clone(),
            (Action::Updated, Some(patch)) if previous_partial => Some(patched(current.clone(), patch)),
            (Action::Deleted, Some(patch)) if previous_partial => Some(patched(None, patch)),
            (_, previous) => previous,
        };
        Self { object, action, current, previous, event }
    }

    /// The object's name.
    #[must_use]
    pub fn object(&self) -> &str {
        &self.object
    }

    /// What happened.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// What the object's name reads: the current record, or of a deleted one the previous.
    #[must_use]
    pub fn record(&self) -> Option<&Json> {
        if self.action == Action::Deleted { self.previous.as_ref() } else { self.current.as_ref() }
    }

    /// What `previous` reads: the whole old record, or nothing for an added one.
    #[must_use]
    pub fn previous(&self) -> Option<&Json> {
        self.previous.as_ref()
    }

    /// What `event` reads.
    #[must_use]
    pub fn event(&self) -> &Json {
        &self.event
    }

    /// The value that `path` reads, if it is there. The object's name goes before `previous` and `event`.
    #[must_use]
    pub fn find(&self, path: &Path) -> Option<&Json> {
        let root = match path.root() {
            root if root == self.object => self.record()?,
            "previous" => self.previous.as_ref()?,
            "event" => &self.event,
            _ => return None,
        };
        path.find(root)
    }
}

/// RFC 7396, section 2, on values of at most the parser's depth.
fn patched(target: Option<Json>, patch: Json) -> Json {
    let Json::Object(patch) = patch else { return patch };
    let mut members: Vec<(String, Option<Json>)> = match target {
        Some(Json::Object(object)) => {
            object.into_members().map(|(name, value)| (name, Some(value))).collect()
        }
        _ => Vec::new(),
    };
    let mut places: HashMap<String, usize> =
        members.iter().enumerate().map(|(place, (name, _))| (name.clone(), place)).collect();
    for (name, value) in patch.into_members() {
        let place = places.get(&name).copied();
        let old = place.and_then(|place| members[place].1.take());
        let new = if value == Json::Null { None } else { Some(patched(old, value)) };
        match place {
            Some(place) => members[place].1 = new,
            None => {
                places.insert(name.clone(), members.len());
                members.push((name, new));
            }
        }
    }
    let kept = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Json::Object(Object::from_unique(kept.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    fn records(action: Action, current: &str, previous: &str, previous_partial: bool) -> Records {
        let side = |text: &str| (!text.is_empty()).then(|| json(text));
        Records::new(EventView {
            object: "deal".to_owned(),
            action,
            current: side(current),
            previous: side(previous),
            previous_partial,
            event: json(r#"{"action":"updated"}"#),
        })
    }

    fn find(records: &Records, path: &str) -> Option<String> {
        records.find(&Path::parse(path).unwrap()).map(ToString::to_string)
    }

    #[test]
    fn a_partial_previous_is_made_whole_from_the_current_record() {
        let current = r#"{"title":"B","value":2,"new":1,"owner":{"id":7,"name":"N"},"tags":["x","y"]}"#;
        let previous = r#"{"title":"A","new":null,"owner":{"name":"O","gone":1,"never":null},"tags":["x"],"lost":{"a":1,"b":null}}"#;
        let records = records(Action::Updated, current, previous, true);
        assert_eq!(
            records.previous().unwrap().to_string(),
            r#"{"title":"A","value":2,"owner":{"id":7,"name":"O","gone":1},"tags":["x"],"lost":{"a":1}}"#
        );
    }

    #[test]
    fn in_a_whole_previous_null_is_null_and_absent_is_absent() {
        let records = records(Action::Updated, r#"{"a":1,"b":2}"#, r#"{"a":null}"#, false);
        assert_eq!(find(&records, "previous.a").as_deref(), Some("null"));
        assert_eq!(find(&records, "previous.b"), None);
    }

    #[test]
    fn the_roots_of_each_action() {
        let updated = records(Action::Updated, r#"{"a":2}"#, r#"{"a":1}"#, false);
        assert_eq!(find(&updated, "deal.a").as_deref(), Some("2"));
        assert_eq!(find(&updated, "previous.a").as_deref(), Some("1"));
        assert_eq!(find(&updated, "event.action").as_deref(), Some("\"updated\""));
        assert_eq!(find(&updated, "person.a"), None);

        let deleted = records(Action::Deleted, r#"{"a":2}"#, r#"{"a":1,"b":null}"#, true);
        assert_eq!(find(&deleted, "deal.a").as_deref(), Some("1"));
        assert_eq!(find(&deleted, "deal.b"), None, "null in a partial previous was not there");

        let added = records(Action::Added, r#"{"a":2}"#, r#"{"a":1}"#, false);
        assert_eq!(find(&added, "previous.a"), None);
        assert_eq!(find(&added, "deal.a").as_deref(), Some("2"));
    }
}
