//! The registry as the dispatcher needs it.

use std::sync::Arc;

use proto::event::v1 as event;
use proto::registry::v1 as wire;
use proto::registry::v1::feed_service_client::FeedServiceClient;
use proto::registry::v1::watch_changes_response::Change as WireChange;
use sluice_domain::{
    AccountId, Action, Allowance, Entitlements, Rate, ReceiverLimits, Secret, Span, Subscription, WebhookId,
};
use sluice_rpc::{AccountName, ResourceName, Transport, convert};
use tonic::{Code, Status, Streaming};

use crate::breaker::{Standing, Why};
use crate::feed::{Change, Feed, FeedError};
use crate::notice::Subscriber;
use crate::target::{ResolveError, Target};

/// How long one look-up may take.
const RESOLVE_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// The registry's internal service. Cheap to clone.
#[derive(Clone)]
pub struct RegistryClient(FeedServiceClient<Transport>);

/// What changes, one after another.
pub struct Changes(Streaming<wire::WatchChangesResponse>);

impl RegistryClient {
    /// The registry behind this transport.
    pub fn new(transport: Transport) -> Self {
        Self(FeedServiceClient::new(transport))
    }

    /// Where requests to a webhook go, as it is now.
    ///
    /// # Errors
    /// When there is no such webhook, it can't be used, or the registry does not answer.
    pub async fn resolve(&self, account: &AccountId, webhook: WebhookId) -> Result<Target, ResolveError> {
        let name = ResourceName { account: account.clone(), id: webhook }.to_string();
        let mut client = self.0.clone();
        let asked = client.resolve_target(wire::ResolveTargetRequest { name });
        let answer =
            tokio::time::timeout(RESOLVE_WITHIN, asked).await.map_err(|_| ResolveError::Unavailable)?;
        match answer {
            Ok(response) => target(response.into_inner()),
            Err(status) if status.code() == Code::NotFound => Err(ResolveError::Deleted),
            Err(status) if status.code() == Code::FailedPrecondition => {
                Err(ResolveError::Unusable(status.message().to_owned()))
            }
            Err(_) => Err(ResolveError::Unavailable),
        }
    }

    /// Has a webhook disabled in the name of the system, unless it was changed since this version. Says how it stands, and as of which
    /// revision; 0 where it is gone.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub async fn disable(
        &self,
        account: &AccountId,
        webhook: WebhookId,
        version: i64,
        why: Why,
    ) -> Result<(Standing, i64), FeedError> {
        let name = ResourceName { account: account.clone(), id: webhook }.to_string();
        let mut request = wire::DisableWebhookRequest { name, version, ..Default::default() };
        request.set_reason(match why {
            Why::Gone => wire::DisableReason::Gone,
            Why::Failing => wire::DisableReason::Failing,
        });
        let mut client = self.0.clone();
        let asked = tokio::time::timeout(RESOLVE_WITHIN, client.disable_webhook(request)).await;
        match asked.map_err(|_| FeedError::Unavailable("it took too long".into()))? {
            Ok(answer) => {
                let answer = answer.into_inner();
                Ok((standing(answer.state(), answer.disable_reason()), answer.revision))
            }
            Err(status) if status.code() == Code::NotFound => Ok((Standing::Gone, 0)),
            Err(status) => Err(broken(&status)),
        }
    }

    /// Watches what changes after a cursor; 0 begins with the present state.
    ///
    /// # Errors
    /// When the registry does not answer or no longer has the cursor.
    pub async fn watch(&self, cursor: i64) -> Result<Changes, FeedError> {
        let stream = self.0.clone().watch_changes(wire::WatchChangesRequest { cursor }).await;
        stream.map(|response| Changes(response.into_inner())).map_err(|status| broken(&status))
    }
}

impl Changes {
    /// The next change that can be read; `None` when the registry ended the stream.
    ///
    /// # Errors
    /// When the stream broke.
    pub async fn next(&mut self) -> Result<Option<Feed>, FeedError> {
        loop {
            let Some(message) = self.0.message().await.map_err(|status| broken(&status))? else {
                return Ok(None);
            };
            let revision = message.revision;
            match change(message) {
                Ok(Some(change)) => return Ok(Some(Feed { revision, change })),
                Ok(None) => {}
                // One that can't be read must not keep everybody from all the others.
                Err(error) => {
                    tracing::error!(feed.revision = revision, error = %error, "a change of the feed is left out")
                }
            }
        }
    }
}

fn broken(status: &Status) -> FeedError {
    match status.code() {
        Code::OutOfRange => FeedError::CursorTooOld,
        code => FeedError::Unavailable(format!("{code:?}: {}", status.message())),
    }
}

fn target(answer: wire::ResolveTargetResponse) -> Result<Target, ResolveError> {
    let unusable = |what: &str| ResolveError::Unusable(format!("the webhook's {what} can't be read"));
    let secrets = answer.signing_secrets.iter().map(|text| sluice_signing::Secret::parse(text));
    let signing: Vec<_> = secrets.collect::<Result<_, _>>().map_err(|_| unusable("signing secret"))?;
    Ok(Target {
        endpoint: answer.endpoint_url.parse().map_err(|_| unusable("endpoint URL"))?,
        disabled: answer.state() == wire::WebhookState::Disabled,
        authentication: answer.authentication.map(|header| (header.name, Secret::new(header.value))),
        signing: Arc::from(signing),
        version: answer.version,
    })
}

/// What a message means to the dispatcher; `None` for what it has no use for.
fn change(message: wire::WatchChangesResponse) -> Result<Option<Change>, FeedError> {
    let Some(change) = message.change else { return Ok(None) };
    Ok(Some(match change {
        WireChange::Account(account) => {
            let name = account_of(&account.name)?;
            let entitlements =
                account.entitlements.and_then(entitlements).ok_or_else(|| misread("entitlements"))?;
            Change::Entitlements(name, Box::new(entitlements))
        }
        WireChange::Webhook(webhook) => {
            let (account, id) = webhook_of(&webhook.name)?;
            let standing = standing(webhook.state(), webhook.disable_reason());
            let limits =
                ReceiverLimits { max_in_flight: webhook.max_in_flight, rate: webhook.rate.and_then(rate) };
            let ordered = webhook.ordering() == wire::WebhookOrdering::Record;
            let wanted = webhook.subscription.filter(|_| account.is_system() && webhook.owner_is_admin);
            let subscription = wanted.and_then(|wanted| {
                let read = subscription(wanted);
                read.inspect_err(|error| tracing::error!(webhook.id = %id, %error, "it gets no notices")).ok()
            });
            let subscriber = subscription.map(|subscription| Subscriber { subscription, ordered });
            Change::Webhook { account, webhook: id, standing, limits, subscriber }
        }
        WireChange::WebhookDeleted(deleted) => {
            let (account, webhook) = webhook_of(&deleted.name)?;
            Change::WebhookDeleted(account, webhook)
        }
        WireChange::Synced(_) => Change::Synced,
    }))
}

fn standing(state: wire::WebhookState, reason: wire::DisableReason) -> Standing {
    match (state, reason) {
        (wire::WebhookState::Disabled, wire::DisableReason::Gone) => Standing::DisabledBySystem(Why::Gone),
        (wire::WebhookState::Disabled, wire::DisableReason::Failing) => {
            Standing::DisabledBySystem(Why::Failing)
        }
        (wire::WebhookState::Disabled, _) => Standing::DisabledByHand,
        _ => Standing::Enabled,
    }
}

fn subscription(wire: event::Subscription) -> Result<Subscription, FeedError> {
    let action = |action| match action {
        event::Action::Added => Ok(Action::Added),
        event::Action::Updated => Ok(Action::Updated),
        event::Action::Deleted => Ok(Action::Deleted),
        event::Action::Unspecified => Err(misread("action")),
    };
    let actions = wire.actions().map(action).collect::<Result<_, _>>()?;
    let object = match wire.object.as_str() {
        "*" => None,
        name => Some(name.parse().map_err(|_| misread("object"))?),
    };
    Ok(Subscription { object, actions })
}

fn misread(what: &str) -> FeedError {
    FeedError::Unavailable(format!("the feed's {what} can't be read"))
}

fn account_of(name: &str) -> Result<AccountId, FeedError> {
    name.parse::<AccountName>().map(|name| name.0).map_err(|_| misread("account name"))
}

fn webhook_of(name: &str) -> Result<(AccountId, WebhookId), FeedError> {
    let name = name.parse::<ResourceName<WebhookId>>().map_err(|_| misread("webhook name"))?;
    Ok((name.account, name.id))
}

fn entitlements(wire: wire::Entitlements) -> Option<Entitlements> {
    let allowance = match wire.allowance {
        None => None,
        Some(allowance) => {
            let anchor = convert::from_timestamp(allowance.anchor.as_ref()?).ok()?;
            Some(Allowance { amount: allowance.amount, anchor })
        }
    };
    Some(Entitlements {
        version: wire.version,
        plan: wire.plan,
        automations: wire.automations,
        active_automations: wire.active_automations,
        steps: wire.steps,
        delays: wire.delays,
        executions: rate(wire.executions?)?,
        allowance,
        notifications: rate(wire.notifications?)?,
        max_waiting: wire.max_waiting,
        history: span(wire.history.as_ref())?,
    })
}

fn rate(wire: wire::Rate) -> Option<Rate> {
    Some(Rate { units: wire.units, per: span(wire.per.as_ref())?, burst: wire.burst })
}

fn span(duration: Option<&prost_types::Duration>) -> Option<Span> {
    convert::from_duration(duration?).ok()
}
