//! The line of one record at one webhook: where ordering is wanted, the deliveries about a record wait for one another.
//!
//! A delivery stands in line from when it is due until it is over, so a delay keeps nobody waiting and a retry does. The first of a
//! line is claimed like everything else; the others wait until it is over, however it ends.

use std::collections::HashSet;

use sluice_domain::{Timestamp, WebhookId};

use crate::execution::EventSummary;

/// When something is due that waits for its turn in a line: at no time that a clock ever shows.
pub const IN_LINE: Timestamp = Timestamp::from_micros(i64::MAX);

/// What a line is of: a record at a webhook, within an account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The webhook.
    pub webhook: WebhookId,
    /// The record, with its kind.
    pub record: String,
}

impl Key {
    /// The line of deliveries to this webhook about the event's record.
    pub fn of(webhook: WebhookId, event: &EventSummary) -> Self {
        // Neither holds control characters.
        Self { webhook, record: format!("{}\n{}", event.object, event.record_id) }
    }
}

/// The lines of an account in which somebody stands.
#[derive(Debug, Clone, Default)]
pub struct Lines(HashSet<Key>);

impl Lines {
    /// Notes that somebody stands in this one.
    pub fn occupy(&mut self, key: Key) {
        self.0.insert(key);
    }

    /// When a delivery is due that comes to this line now: at once where it is the first.
    pub fn join(&mut self, key: Key) -> Option<Timestamp> {
        (!self.0.insert(key)).then_some(IN_LINE)
    }
}
