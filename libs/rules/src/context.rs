//! The values that placeholders reach: the event's records, its account and its automation.

use std::sync::OnceLock;

use minijinja::Value;

use crate::json::Json;
use crate::path::Path;
use crate::records::Records;
use crate::scope::REQUEST_ROOTS;
use crate::template::{Numbers, to_value};

/// The values of one event that templates and body fields read.
#[derive(Debug)]
pub struct Context<'v> {
    records: &'v Records,
    account: &'v Json,
    automation: &'v Json,
    exact: OnceLock<Value>,
    machine: OnceLock<Value>,
}

impl<'v> Context<'v> {
    /// The context of one automation and one event; `account` and `automation` are objects such as
    /// `{"id": …, "name": …}`.
    #[must_use]
    pub fn new(records: &'v Records, account: &'v Json, automation: &'v Json) -> Self {
        Self { records, account, automation, exact: OnceLock::new(), machine: OnceLock::new() }
    }

    /// The value that `path` reads, if it is there.
    pub(crate) fn find(&self, path: &Path) -> Option<&'v Json> {
        path.find(self.root(path.root())?)
    }

    fn root(&self, name: &str) -> Option<&'v Json> {
        match name {
            name if name == self.records.object() => self.records.record(),
            "previous" => self.records.previous(),
            "event" => Some(self.records.event()),
            "account" => Some(self.account),
            "automation" => Some(self.automation),
            _ => None,
        }
    }

    /// All roots as one value of the expression engine, made once for each way to take numbers.
    pub(crate) fn values(&self, numbers: Numbers) -> Value {
        let cell = match numbers {
            Numbers::Exact => &self.exact,
            Numbers::Machine => &self.machine,
        };
        let names = std::iter::once(self.records.object()).chain(REQUEST_ROOTS);
        let roots = || {
            Value::from_pairs(
                names.filter_map(|name| Some((name.to_owned(), to_value(self.root(name)?, numbers)))),
            )
        };
        cell.get_or_init(roots).clone()
    }
}
