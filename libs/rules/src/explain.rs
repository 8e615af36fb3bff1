//! The explanation of a condition: how every comparison came out and why, whatever the others said.
//!
//! Values are seen and comparisons judged by the matcher's own code ([`crate::matching`]); only the groups are put together
//! anew here, since the matcher stops at the first answer and an explanation never does.

use crate::condition::Comparison;
use crate::json::{Json, Shown};
use crate::matching::{Compiled, Node, Test};
use crate::records::Records;
use crate::verdict::Verdict;

/// How many bytes of JSON text are shown of a value.
pub const MAX_SHOWN_BYTES: usize = 1_024;

/// How a condition, or one within it, came out for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The condition's own path, like `condition.all[2]`.
    pub field: String,
    /// Whether it holds.
    pub holds: bool,
    /// What it is made of.
    pub explained: Explained,
}

/// What a condition is made of, each part explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Explained {
    /// It holds if all of these do.
    All(Vec<Explanation>),
    /// It holds if one of these does.
    Any(Vec<Explanation>),
    /// It holds if this does not.
    Not(Box<Explanation>),
    /// One comparison.
    Comparison(ExplainedComparison),
}

/// A comparison with what it saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedComparison {
    /// As its author wrote it.
    pub written: Comparison,
    /// The value at its path; `None` when the field is missing.
    pub now: Option<Shown>,
    /// For operators that read the past, the value before: `None` when it was missing or there is no past.
    pub before: Option<Shown>,
    /// How it came out.
    pub verdict: Verdict,
}

impl Compiled {
    /// How the condition comes out for the event, part by part; it holds exactly if [`Compiled::matches`] says so.
    ///
    /// `field` is the condition's own path, like `condition`.
    #[must_use]
    pub fn explain(&self, records: &Records, field: &str) -> Explanation {
        self.root.explain(records, field.to_owned())
    }
}

impl Node {
    fn explain(&self, records: &Records, field: String) -> Explanation {
        let each = |nodes: &[Self], group: &str| -> Vec<Explanation> {
            let path = |index: usize| format!("{field}.{group}[{index}]");
            nodes.iter().enumerate().map(|(index, node)| node.explain(records, path(index))).collect()
        };
        let (holds, explained) = match self {
            Self::All(nodes) => {
                let parts = each(nodes, "all");
                (parts.iter().all(|part| part.holds), Explained::All(parts))
            }
            Self::Any(nodes) => {
                let parts = each(nodes, "any");
                (parts.iter().any(|part| part.holds), Explained::Any(parts))
            }
            Self::Not(node) => {
                let part = node.explain(records, format!("{field}.not"));
                (!part.holds, Explained::Not(Box::new(part)))
            }
            Self::Test(test) => {
                let comparison = test.explain(records);
                (comparison.verdict.holds, Explained::Comparison(comparison))
            }
        };
        Explanation { field, holds, explained }
    }
}

impl Test {
    fn explain(&self, records: &Records) -> ExplainedComparison {
        let sight = self.sight(records);
        let shown = |value: &Json| value.shown(MAX_SHOWN_BYTES);
        let before = if self.written.operator.rule().reads_previous { sight.before.flatten() } else { None };
        ExplainedComparison {
            written: self.written.clone(),
            now: sight.now.map(shown),
            before: before.map(shown),
            verdict: self.judge(sight),
        }
    }
}
