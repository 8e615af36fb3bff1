//! From nouns to the wire: accounts, webhooks without secrets, changes and targets.

use proto::event::v1 as event;
use proto::registry::v1 as wire;
use sluice_domain::{Action, Allowance, Catalogue, Entitlements, Rate, Subscription};
use sluice_rpc::convert::{to_duration, to_timestamp};

use crate::access::Caller;
use crate::authentication::Scheme;
use crate::entitlements::Account;
use crate::feed::{Change, Subject};
use crate::store::Target;
use crate::webhook::{Kind, Ordering, State, Webhook, Why};

/// A webhook as this caller is shown it: whole, or enough to pick it by.
pub(crate) fn webhook_for(caller: &Caller, shown: &Webhook) -> wire::Webhook {
    let whole = webhook(shown);
    if caller.sees_whole(shown) {
        return whole;
    }
    wire::Webhook {
        name: whole.name,
        display_name: whole.display_name,
        kind: whole.kind,
        state: whole.state,
        create_time: whole.create_time,
        update_time: whole.update_time,
        ..wire::Webhook::default()
    }
}

/// A webhook as those who see everything are shown it: secrets are left empty.
pub(crate) fn webhook(webhook: &Webhook) -> wire::Webhook {
    wire::Webhook {
        name: webhook.name(),
        display_name: webhook.display_name.to_string(),
        kind: kind_number(webhook.kind),
        endpoint_url: webhook.endpoint.as_str().to_owned(),
        authentication: authentication(&webhook.scheme),
        subscription: webhook.subscription.as_ref().map(subscription),
        state: state_number(webhook.state()),
        owner: webhook.owner.to_string(),
        owner_is_admin: webhook.owner_is_admin,
        create_time: Some(to_timestamp(webhook.created_at)),
        update_time: Some(to_timestamp(webhook.updated_at)),
        etag: webhook.etag(),
        disable_reason: reason_number(webhook),
        disable_time: webhook.disabled.map(|disabled| to_timestamp(disabled.at)),
        max_in_flight: webhook.limits.max_in_flight,
        rate: webhook.limits.rate.map(rate),
        ordering: ordering_number(webhook.ordering),
    }
}

fn ordering_number(ordering: Ordering) -> i32 {
    match ordering {
        Ordering::None => wire::WebhookOrdering::None.into(),
        Ordering::Record => wire::WebhookOrdering::Record.into(),
    }
}

fn reason_number(webhook: &Webhook) -> i32 {
    let reason = match webhook.disabled.map(|disabled| disabled.why) {
        None => wire::DisableReason::Unspecified,
        Some(Why::ByHand) => wire::DisableReason::ByHand,
        Some(Why::Gone) => wire::DisableReason::Gone,
        Some(Why::Failing) => wire::DisableReason::Failing,
    };
    reason.into()
}

/// How a webhook stands that was to be disabled.
pub(crate) fn given_up(webhook: &Webhook, revision: i64) -> wire::DisableWebhookResponse {
    let (state, disable_reason) = (state_number(webhook.state()), reason_number(webhook));
    wire::DisableWebhookResponse { revision, state, disable_reason }
}

fn kind_number(kind: Kind) -> i32 {
    match kind {
        Kind::Automation => wire::WebhookKind::Automation.into(),
        Kind::Event => wire::WebhookKind::Event.into(),
    }
}

fn state_number(state: State) -> i32 {
    match state {
        State::Enabled => wire::WebhookState::Enabled.into(),
        State::Disabled => wire::WebhookState::Disabled.into(),
    }
}

fn authentication(scheme: &Scheme) -> Option<wire::Authentication> {
    use wire::authentication::Kind as Given;
    let kind = match scheme {
        Scheme::None => return None,
        Scheme::Basic { username } => {
            Given::Basic(wire::BasicAuthentication { username: username.clone(), password: String::new() })
        }
        Scheme::Bearer => Given::Bearer(wire::BearerAuthentication { token: String::new() }),
        Scheme::ApiKey { header } => {
            Given::ApiKey(wire::ApiKeyAuthentication { header: header.clone(), key: String::new() })
        }
    };
    Some(wire::Authentication { kind: Some(kind) })
}

fn subscription(subscription: &Subscription) -> event::Subscription {
    let number = |action: &Action| match action {
        Action::Added => event::Action::Added.into(),
        Action::Updated => event::Action::Updated.into(),
        Action::Deleted => event::Action::Deleted.into(),
    };
    event::Subscription {
        object: subscription.object.as_ref().map_or("*", |object| object.as_str()).to_owned(),
        actions: subscription.actions.iter().map(number).collect(),
    }
}

fn rate(rate: Rate) -> wire::Rate {
    wire::Rate { units: rate.units, per: Some(to_duration(rate.per)), burst: rate.burst }
}

fn allowance(allowance: Allowance) -> wire::Allowance {
    wire::Allowance { amount: allowance.amount, anchor: Some(to_timestamp(allowance.anchor)) }
}

fn entitlements(entitlements: &Entitlements, catalogue: &Catalogue) -> wire::Entitlements {
    wire::Entitlements {
        version: entitlements.version,
        plan: entitlements.plan.clone(),
        automations: entitlements.automations,
        active_automations: entitlements.active_automations,
        steps: entitlements.steps,
        delays: entitlements.delays,
        executions: Some(rate(entitlements.executions)),
        allowance: entitlements.allowance.map(allowance),
        notifications: Some(rate(entitlements.notifications)),
        max_waiting: entitlements.max_waiting,
        history: Some(to_duration(entitlements.history)),
        automations_plan: catalogue.first_with_automations().unwrap_or_default().to_owned(),
    }
}

pub(crate) fn account(account: &Account, catalogue: &Catalogue) -> wire::Account {
    wire::Account {
        name: account.name(),
        entitlements: Some(entitlements(&account.entitlements, catalogue)),
        update_time: Some(to_timestamp(account.updated_at)),
    }
}

pub(crate) fn change(change: Change, catalogue: &Catalogue) -> wire::WatchChangesResponse {
    use wire::watch_changes_response::Change as Told;
    let told = match change.subject {
        Subject::Account(changed) => Told::Account(account(&changed, catalogue)),
        Subject::Webhook(changed) => Told::Webhook(webhook(&changed)),
        Subject::Deleted(account, id) => {
            Told::WebhookDeleted(wire::WebhookDeleted { name: format!("accounts/{account}/webhooks/{id}") })
        }
        Subject::Synced => Told::Synced(wire::Synced {}),
    };
    wire::WatchChangesResponse { revision: change.revision, change: Some(told) }
}

/// The one answer with secrets in clear.
pub(crate) fn target(target: Target) -> wire::ResolveTargetResponse {
    let header = target
        .header
        .map(|(name, value)| wire::AuthenticationHeader { name, value: value.expose().to_owned() });
    wire::ResolveTargetResponse {
        endpoint_url: target.webhook.endpoint.as_str().to_owned(),
        authentication: header,
        signing_secrets: target.signing_secrets.iter().map(|secret| secret.expose().to_owned()).collect(),
        state: state_number(target.webhook.state()),
        kind: kind_number(target.webhook.kind),
        version: target.webhook.version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_leave_secrets_empty() {
        let scheme = Scheme::Basic { username: "ann".into() };
        let shown = authentication(&scheme).unwrap().kind.unwrap();
        let expected = wire::BasicAuthentication { username: "ann".into(), password: String::new() };
        assert_eq!(shown, wire::authentication::Kind::Basic(expected));
        assert_eq!(authentication(&Scheme::None), None);
    }
}
