//! Which events a trigger or an event webhook wants.

use serde::{Deserialize, Serialize};

use crate::event::{Action, ObjectName};

/// An object and some actions, each possibly "any".
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subscription {
    /// The object; `None` stands for any (`*` on the wire).
    pub object: Option<ObjectName>,
    /// The actions; empty stands for any.
    pub actions: Vec<Action>,
}

impl Subscription {
    /// Whether an event of this object and action is wanted.
    pub fn wants(&self, object: &ObjectName, action: Action) -> bool {
        self.object.as_ref().is_none_or(|wanted| wanted == object)
            && (self.actions.is_empty() || self.actions.contains(&action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_take_everything_and_names_take_themselves() {
        let deal: ObjectName = "deal".parse().unwrap();
        let note: ObjectName = "note".parse().unwrap();
        let any = Subscription { object: None, actions: vec![] };
        let updates = Subscription { object: Some(deal.clone()), actions: vec![Action::Updated] };
        assert!(any.wants(&note, Action::Deleted));
        assert!(updates.wants(&deal, Action::Updated));
        assert!(!updates.wants(&deal, Action::Added) && !updates.wants(&note, Action::Updated));
    }
}
