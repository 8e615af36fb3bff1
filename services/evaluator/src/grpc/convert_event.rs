//! Events and subscriptions between the wire and the nouns.

use proto::event::v1 as wire;
use sluice_domain::{AccountId, Action, Subscription, Violations};

use crate::event_check::{EventDraft, OccurredAt, VisibleTo};
use sluice_rpc::convert::from_timestamp;

const ACTIONS: [(wire::Action, Action); 3] = [
    (wire::Action::Added, Action::Added),
    (wire::Action::Updated, Action::Updated),
    (wire::Action::Deleted, Action::Deleted),
];

fn action(number: i32) -> Option<Action> {
    ACTIONS.iter().find(|(known, _)| *known as i32 == number).map(|(_, action)| *action)
}

fn action_out(action: Action) -> i32 {
    ACTIONS.iter().find(|(_, known)| *known == action).map_or(0, |(number, _)| *number as i32)
}

/// An event of the account as it was sent; the door checks it.
pub(super) fn event(account: Option<AccountId>, sent: wire::Event) -> EventDraft {
    EventDraft {
        account,
        id: sent.id,
        object: sent.object,
        action: action(sent.action),
        record_id: sent.record_id,
        occurred_at: match sent.occurred_at.map(|at| from_timestamp(&at)) {
            None => OccurredAt::Arrival,
            Some(Ok(at)) => OccurredAt::At(at),
            Some(Err(_)) => OccurredAt::OutOfRange,
        },
        actor: sent.actor,
        current: sent.current.into(),
        previous: sent.previous.into(),
        previous_partial: sent.previous_partial,
        cause: sent.cause,
        visible_to: sent.visible_to.map(|sent| VisibleTo { everyone: sent.everyone, users: sent.users }),
        suppress: sent.suppress,
    }
}

/// A subscription; `None` once something in it can't be one.
pub(super) fn subscription(
    sent: wire::Subscription,
    field: &str,
    found: &mut Violations,
) -> Option<Subscription> {
    let object = match sent.object.as_str() {
        "*" => Some(None),
        name => found.keep(&format!("{field}.object"), name.parse()).map(Some),
    };
    let mut actions = Vec::with_capacity(sent.actions.len());
    for (index, number) in sent.actions.iter().enumerate() {
        match action(*number) {
            None => found.add(format!("{field}.actions[{index}]"), "must be ADDED, UPDATED or DELETED"),
            Some(action) if actions.contains(&action) => {
                found.add(format!("{field}.actions[{index}]"), "is there twice");
            }
            Some(action) => actions.push(action),
        }
    }
    (actions.len() == sent.actions.len()).then_some(Subscription { object: object?, actions })
}

/// A subscription as it goes out.
pub(super) fn subscription_out(subscription: &Subscription) -> wire::Subscription {
    wire::Subscription {
        object: subscription.object.as_ref().map_or_else(|| "*".to_owned(), ToString::to_string),
        actions: subscription.actions.iter().map(|action| action_out(*action)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_name_what_is_wrong_with_them() {
        let mut found = Violations::new();
        let sent = wire::Subscription { object: "De al".to_owned(), actions: vec![1, 9, 1] };
        assert_eq!(subscription(sent, "trigger", &mut found), None);
        let fields: Vec<&str> = found.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["trigger.object", "trigger.actions[1]", "trigger.actions[2]"]);
        let any = wire::Subscription { object: "*".to_owned(), actions: vec![] };
        let mut found = Violations::new();
        let parsed = subscription(any.clone(), "trigger", &mut found).unwrap();
        assert_eq!(subscription_out(&parsed), any);
    }
}
