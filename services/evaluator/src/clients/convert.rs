//! From the wire of the other services to our nouns, and back.

use proto::dispatcher::v1 as dispatcher;
use proto::event::v1 as event;
use proto::registry::v1 as registry;
use sluice_domain::{AccountId, Action, Allowance, Entitlements, Event, Rate, Span, Subscription, WebhookId};
use sluice_rpc::convert::{from_duration, from_timestamp, to_duration, to_timestamp};
use sluice_rpc::{AccountName, NameFormatError, ResourceName};
use thiserror::Error;

use super::registry::Told;
use crate::evaluate::{PlannedDelivery, PlannedExecution};
use crate::snapshot::{Change, Terms};
use crate::webhook::{Owner, Webhook, WebhookKind, is_appendable};

/// Something in a message can't be read.
#[derive(Debug, Error)]
#[error("{field}: {rule}")]
pub(super) struct Unreadable {
    field: &'static str,
    rule: String,
}

fn unreadable(field: &'static str, rule: impl ToString) -> Unreadable {
    Unreadable { field, rule: rule.to_string() }
}

/// A change of the feed.
pub(super) fn told(message: registry::WatchChangesResponse) -> Result<Told, Unreadable> {
    use registry::watch_changes_response::Change as Sent;
    match message.change {
        None => Err(unreadable("change", "is of an unknown kind")),
        Some(Sent::Synced(_)) => Ok(Told::Synced),
        Some(Sent::Account(sent)) => {
            let account = account_name(&sent.name)?;
            let sent = sent.entitlements.ok_or_else(|| unreadable("account.entitlements", "is missing"))?;
            Ok(Told::Change(Change::Terms(account, terms(sent)?)))
        }
        Some(Sent::Webhook(sent)) => {
            let (account, id) = webhook_name(&sent.name)?;
            Ok(Told::Change(Change::Webhook(account, webhook(id, sent)?)))
        }
        Some(Sent::WebhookDeleted(sent)) => {
            let (account, id) = webhook_name(&sent.name)?;
            Ok(Told::Change(Change::WebhookDeleted(account, id)))
        }
    }
}

fn account_name(name: &str) -> Result<AccountId, Unreadable> {
    let AccountName(account) = name.parse().map_err(|error: NameFormatError| unreadable("name", error))?;
    Ok(account)
}

fn webhook_name(name: &str) -> Result<(AccountId, WebhookId), Unreadable> {
    let ResourceName { account, id } =
        name.parse().map_err(|error: NameFormatError| unreadable("name", error))?;
    Ok((account, id))
}

fn webhook(id: WebhookId, sent: registry::Webhook) -> Result<Webhook, Unreadable> {
    let kind = match sent.kind() {
        registry::WebhookKind::Automation => WebhookKind::Automation,
        registry::WebhookKind::Event => WebhookKind::Event,
        registry::WebhookKind::Unspecified => return Err(unreadable("webhook.kind", "is unknown")),
    };
    let owner = if sent.owner_is_admin {
        Owner::Admin
    } else {
        Owner::Member(sent.owner.parse().map_err(|error| unreadable("webhook.owner", error))?)
    };
    let enabled = sent.state() != registry::WebhookState::Disabled;
    let ordered = sent.ordering() == registry::WebhookOrdering::Record;
    let subscription = sent.subscription.map(subscription).transpose()?;
    let appendable = is_appendable(&sent.endpoint_url);
    Ok(Webhook { id, kind, enabled, appendable, subscription, owner, ordered })
}

fn subscription(sent: event::Subscription) -> Result<Subscription, Unreadable> {
    let actions = sent.actions().map(|action| match action {
        event::Action::Added => Ok(Action::Added),
        event::Action::Updated => Ok(Action::Updated),
        event::Action::Deleted => Ok(Action::Deleted),
        event::Action::Unspecified => Err(unreadable("webhook.subscription.actions", "has an unknown one")),
    });
    let actions = actions.collect::<Result<Vec<_>, _>>()?;
    let object = match sent.object.as_str() {
        "*" => None,
        name => Some(name.parse().map_err(|error| unreadable("webhook.subscription.object", error))?),
    };
    Ok(Subscription { object, actions })
}

fn terms(mut sent: registry::Entitlements) -> Result<Terms, Unreadable> {
    let plan = std::mem::take(&mut sent.automations_plan);
    let automations_plan = (!plan.is_empty()).then_some(plan);
    Ok(Terms { entitlements: entitlements(sent)?, automations_plan })
}

fn entitlements(sent: registry::Entitlements) -> Result<Entitlements, Unreadable> {
    let allowance = match sent.allowance {
        None => None,
        Some(sent) => {
            let anchor = sent.anchor.and_then(|at| from_timestamp(&at).ok());
            let anchor = anchor
                .ok_or_else(|| unreadable("entitlements.allowance.anchor", "is missing or out of range"))?;
            Some(Allowance { amount: sent.amount, anchor })
        }
    };
    Ok(Entitlements {
        version: sent.version,
        plan: sent.plan,
        automations: sent.automations,
        active_automations: sent.active_automations,
        steps: sent.steps,
        delays: sent.delays,
        executions: rate(sent.executions),
        allowance,
        notifications: rate(sent.notifications),
        max_waiting: sent.max_waiting,
        history: span(sent.history),
    })
}

/// A rate; an absent one lets nothing start. The dispatcher enforces them, we only carry them.
fn rate(sent: Option<registry::Rate>) -> Rate {
    let sent = sent.unwrap_or_default();
    Rate { units: sent.units, per: span(sent.per), burst: sent.burst }
}

/// A length of time; an absent or impossible one is none.
fn span(sent: Option<prost_types::Duration>) -> Span {
    sent.and_then(|span| from_duration(&span).ok()).unwrap_or(Span::ZERO)
}

/// The summary of an event.
pub(super) fn summary(event: &Event) -> dispatcher::EventSummary {
    let action = match event.action {
        Action::Added => event::Action::Added,
        Action::Updated => event::Action::Updated,
        Action::Deleted => event::Action::Deleted,
    };
    dispatcher::EventSummary {
        id: event.id.to_string(),
        object: event.object.to_string(),
        action: action.into(),
        record_id: event.record_id.to_string(),
        occurred_at: Some(to_timestamp(event.occurred_at)),
        actor: event.actor.as_ref().map(ToString::to_string).unwrap_or_default(),
        cause: event.cause.map(|cause| cause.to_string()).unwrap_or_default(),
    }
}

/// An execution to be made.
pub(super) fn execution(planned: PlannedExecution) -> dispatcher::PlannedExecution {
    match planned {
        PlannedExecution::Notification(planned) => {
            dispatcher::PlannedExecution { deliveries: vec![delivery(planned)], ..Default::default() }
        }
        PlannedExecution::Automation { id, version, generation, deliveries } => {
            let (deliveries, rejection) = match deliveries {
                Ok(planned) => (planned.into_iter().map(delivery).collect(), None),
                Err(message) => (Vec::new(), Some(dispatcher::Rejection { message })),
            };
            dispatcher::PlannedExecution {
                automation: id.to_string(),
                automation_version: version,
                generation,
                deliveries,
                rejection,
            }
        }
    }
}

fn delivery(planned: PlannedDelivery) -> dispatcher::PlannedDelivery {
    dispatcher::PlannedDelivery {
        webhook: planned.webhook.to_string(),
        delay: (planned.delay > Span::ZERO).then(|| to_duration(planned.delay)),
        method: planned.method.to_owned(),
        url_suffix: planned.url_suffix,
        headers: planned.headers.into_iter().collect(),
        content_type: planned.content_type.unwrap_or_default(),
        body: planned.body,
        ordered: planned.ordered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> registry::Webhook {
        registry::Webhook {
            name: "accounts/acme/webhooks/wh_01h455vb4pex5vsknk084sn02q".to_owned(),
            kind: registry::WebhookKind::Event.into(),
            endpoint_url: "https://a.example.com/hook/".to_owned(),
            subscription: Some(event::Subscription { object: "*".to_owned(), actions: vec![2] }),
            owner: "u1".to_owned(),
            ..registry::Webhook::default()
        }
    }

    fn read(change: registry::watch_changes_response::Change) -> Result<Told, Unreadable> {
        told(registry::WatchChangesResponse { revision: 1, change: Some(change) })
    }

    #[test]
    fn a_members_webhook_is_read_as_such() {
        use registry::watch_changes_response::Change as Sent;
        let Ok(Told::Change(Change::Webhook(account, webhook))) = read(Sent::Webhook(sent())) else {
            panic!("readable")
        };
        assert_eq!(account.as_str(), "acme");
        assert_eq!((webhook.kind, webhook.enabled, webhook.appendable), (WebhookKind::Event, true, true));
        assert_eq!(webhook.owner, Owner::Member("u1".parse().unwrap()));
        assert_eq!(webhook.subscription, Some(Subscription { object: None, actions: vec![Action::Updated] }));
        let admins = registry::Webhook { owner_is_admin: true, owner: String::new(), ..sent() };
        assert!(matches!(
            read(Sent::Webhook(admins)),
            Ok(Told::Change(Change::Webhook(_, Webhook { owner: Owner::Admin, .. })))
        ));
    }

    #[test]
    fn what_we_do_not_know_is_unreadable_and_not_guessed() {
        use registry::watch_changes_response::Change as Sent;
        assert!(read(Sent::Webhook(registry::Webhook { kind: 9, ..sent() })).is_err());
        assert!(read(Sent::Webhook(registry::Webhook { name: "webhooks/1".to_owned(), ..sent() })).is_err());
        assert!(told(registry::WatchChangesResponse { revision: 1, change: None }).is_err());
    }
}
