//! Things that wait for events, found by object and action without looking at the others.

use std::collections::HashMap;

use sluice_domain::{Action, ObjectName, Subscription};

/// The places of those that want each action.
type Slots = [Vec<usize>; 3];

/// A list in an order of its own, and where in it the takers of each object and action stand.
#[derive(Debug)]
pub struct TriggerIndex<T> {
    items: Vec<T>,
    named: HashMap<ObjectName, Slots>,
    any: Slots,
}

impl<T> Default for TriggerIndex<T> {
    fn default() -> Self {
        Self { items: Vec::new(), named: HashMap::new(), any: Slots::default() }
    }
}

impl<T> TriggerIndex<T> {
    /// Puts one behind those that are there.
    pub fn push(&mut self, subscription: &Subscription, item: T) {
        let place = self.items.len();
        self.items.push(item);
        let slots = match &subscription.object {
            Some(object) => self.named.entry(object.clone()).or_default(),
            None => &mut self.any,
        };
        for action in [Action::Added, Action::Updated, Action::Deleted] {
            if subscription.actions.is_empty() || subscription.actions.contains(&action) {
                slots[slot(action)].push(place);
            }
        }
    }

    /// Those that an event of this object and action could concern, with their places, in order.
    pub fn candidates(&self, object: &ObjectName, action: Action) -> impl Iterator<Item = (usize, &T)> {
        let named = self.named.get(object).map_or(&[][..], |slots| &slots[slot(action)]);
        let mut places = [named, &self.any[slot(action)]].concat();
        places.sort_unstable();
        places.into_iter().map(|place| (place, &self.items[place]))
    }

    /// The place of the first that is meant.
    pub fn place(&self, meant: impl Fn(&T) -> bool) -> Option<usize> {
        self.items.iter().position(meant)
    }

    /// How many there are in all.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

const fn slot(action: Action) -> usize {
    match action {
        Action::Added => 0,
        Action::Updated => 1,
        Action::Deleted => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_and_wildcard_takers_come_in_their_common_order() {
        let mut index = TriggerIndex::default();
        let object = |name: &str| Some(name.parse::<ObjectName>().unwrap());
        index.push(&Subscription { object: None, actions: vec![Action::Updated] }, "a");
        index.push(&Subscription { object: object("deal"), actions: vec![] }, "b");
        index.push(&Subscription { object: object("note"), actions: vec![] }, "c");
        index.push(&Subscription { object: None, actions: vec![] }, "d");
        let found = |name: &str, action| -> Vec<(usize, &str)> {
            index.candidates(&name.parse().unwrap(), action).map(|(place, item)| (place, *item)).collect()
        };
        assert_eq!(found("deal", Action::Updated), [(0, "a"), (1, "b"), (3, "d")]);
        assert_eq!(found("deal", Action::Added), [(1, "b"), (3, "d")]);
        assert_eq!(found("person", Action::Deleted), [(3, "d")]);
        assert_eq!(index.len(), 4);
    }
}
