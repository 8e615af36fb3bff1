//! The matcher: a checked condition, and whether it holds of an event.

use crate::condition::Comparison;
use crate::operator::{Sight, Target};
use crate::path::Path;
use crate::records::{Action, Records};
use crate::verdict::Verdict;

/// A checked condition, ready to be matched; made by [`crate::check`].
#[derive(Clone, Debug)]
pub struct Compiled {
    pub(crate) root: Node,
}

#[derive(Clone, Debug)]
pub(crate) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Test(Test),
}

/// A comparison made ready.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    /// As its author wrote it.
    pub(crate) written: Comparison,
    pub(crate) path: Path,
    pub(crate) targets: Vec<Target>,
}

impl Compiled {
    pub(crate) fn new(root: Node) -> Self {
        Self { root }
    }

    /// Whether the condition holds of the event.
    #[must_use]
    pub fn matches(&self, records: &Records) -> bool {
        self.root.matches(records)
    }
}

impl Node {
    fn matches(&self, records: &Records) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.matches(records)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(records)),
            Self::Not(node) => !node.matches(records),
            Self::Test(test) => test.judge(test.sight(records)).holds,
        }
    }
}

impl Test {
    /// What the comparison sees of the event.
    pub(crate) fn sight<'j>(&self, records: &'j Records) -> Sight<'j> {
        let before = match (records.action(), records.previous()) {
            (Action::Updated, Some(previous)) if self.path.root() == records.object() => {
                Some(self.path.find(previous))
            }
            _ => None,
        };
        Sight { now: records.find(&self.path), before, ignore_case: self.written.ignore_case }
    }

    /// The one place where a comparison is evaluated.
    pub(crate) fn judge(&self, sight: Sight<'_>) -> Verdict {
        self.written.operator.judge(sight, &self.targets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use crate::condition::Condition;
    use crate::json::Json;
    use crate::records::EventView;
    use crate::scope::Scope;

    fn holds(condition: &str) -> bool {
        let condition: Condition = serde_json::from_str(condition).unwrap();
        let records = Records::new(EventView {
            object: "deal".to_owned(),
            action: Action::Updated,
            current: Some(Json::parse(r#"{"title":"Straße","value":5}"#.as_bytes()).unwrap()),
            previous: None,
            previous_partial: false,
            event: Json::object([("actor", Json::from("u1"))]),
        });
        check(&condition, &Scope::Object("deal".to_owned()), "condition").unwrap().matches(&records)
    }

    #[test]
    fn groups_combine() {
        let yes = r#"{"comparison":{"path":"deal.value","operator":"is","values":[{"decimal":"5.0"}]}}"#;
        let no = r#"{"comparison":{"path":"deal.value","operator":"is","values":[{"text":"5"}]}}"#;
        for (condition, expected) in [
            (format!(r#"{{"all":[{yes},{yes}]}}"#), true),
            (format!(r#"{{"all":[{yes},{no}]}}"#), false),
            (format!(r#"{{"any":[{no},{yes}]}}"#), true),
            (format!(r#"{{"any":[{no},{no}]}}"#), false),
            (format!(r#"{{"not":{no}}}"#), true),
            (format!(r#"{{"not":{{"any":[{no},{yes}]}}}}"#), false),
            (r#"{"all":[]}"#.to_owned(), true),
        ] {
            assert_eq!(holds(&condition), expected, "{condition}");
        }
    }

    #[test]
    fn case_counts_unless_told_otherwise() {
        let with = |value: &str, ignore: bool| {
            holds(&format!(
                r#"{{"comparison":{{"path":"deal.title","operator":"is","values":[{{"text":"{value}"}}],"ignore_case":{ignore}}}}}"#
            ))
        };
        assert!(with("Straße", false));
        assert!(!with("straße", false));
        assert!(with("STRAẞE", true));
        assert!(!with("STRASSE", true));
    }

    #[test]
    fn the_event_itself_can_be_asked() {
        assert!(holds(r#"{"comparison":{"path":"event.actor","operator":"is","values":[{"text":"u1"}]}}"#));
    }

    #[test]
    fn a_change_is_only_asked_of_the_object_that_is_named() {
        for (object, operator, expected) in [
            ("deal", "has_changed", true),
            ("person", "has_changed", false),
            ("deal", "has_changed_from", true),
            ("person", "has_changed_from", false),
        ] {
            let records = Records::new(EventView {
                object: object.to_owned(),
                action: Action::Updated,
                current: Some(Json::object([("stage", Json::from("won"))])),
                previous: Some(Json::object([("stage", Json::from("open"))])),
                previous_partial: false,
                event: Json::Null,
            });
            let values = if operator == "has_changed" { "[]" } else { r#"[{"text":"open"}]"# };
            let condition = format!(
                r#"{{"comparison":{{"path":"deal.stage","operator":"{operator}","values":{values}}}}}"#
            );
            let condition: Condition = serde_json::from_str(&condition).unwrap();
            let compiled = check(&condition, &Scope::AnyObject, "condition").unwrap();
            assert_eq!(compiled.matches(&records), expected, "{object} {operator}");
        }
    }
}
