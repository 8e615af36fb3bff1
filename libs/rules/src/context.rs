//! The values that placeholders reach: the event's records, its account and its automation.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::json::Json;
use crate::path::Path;
use crate::records::Records;

/// How much work all expressions of one context may take together, in bytes that they read or write.
pub const MAX_EFFORT: usize = 4 * 1024 * 1024;

/// The values of one event that templates and body fields read.
///
/// It also holds the effort that is left for them: an automation with one event never takes more, however many
/// templates it has.
#[derive(Debug)]
pub struct Context<'v> {
    records: &'v Records,
    account: &'v Json,
    automation: &'v Json,
    left: AtomicUsize,
}

impl<'v> Context<'v> {
    /// The context of one automation and one event; `account` and `automation` are objects such as
    /// `{"id": …, "name": …}`.
    #[must_use]
    pub fn new(records: &'v Records, account: &'v Json, automation: &'v Json) -> Self {
        Self { records, account, automation, left: AtomicUsize::new(MAX_EFFORT) }
    }

    /// The value that `path` reads, if it is there.
    pub(crate) fn find(&self, path: &Path) -> Option<&'v Json> {
        path.find(self.root(path.root())?)
    }

    /// The value of a root; the object's name goes before the others.
    pub(crate) fn root(&self, name: &str) -> Option<&'v Json> {
        match name {
            name if name == self.records.object() => self.records.record(),
            "previous" => self.records.previous(),
            "event" => Some(self.records.event()),
            "account" => Some(self.account),
            "automation" => Some(self.automation),
            _ => None,
        }
    }

    /// The effort that is left.
    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// Spends effort; `false` when there is not enough left, and from then on nothing is left.
    pub(crate) fn spend(&self, effort: usize) -> bool {
        let left = self.left().checked_sub(effort);
        self.left.store(left.unwrap_or(0), Ordering::Relaxed);
        left.is_some()
    }
}
