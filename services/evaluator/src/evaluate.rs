//! The judgement: one event, one state of the account, and the executions that come of it. Pure.

use bytes::Bytes;
use sluice_domain::{AutomationId, Span, Visibility, WebhookId};
use sluice_rules::{Context, Json, Planned};

use crate::automation::CompiledAutomation;
use crate::envelope::envelope;
use crate::event_check::IncomingEvent;
use crate::snapshot::{AccountView, AutomationSet};
use crate::webhook::{Owner, Webhook};

/// What all rendered requests of one event may come to, in bytes of method, suffix, headers and body.
pub const MAX_RENDERED_BYTES: usize = 8 * 1024 * 1024;

/// What an event comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It was marked `suppress`.
    Suppressed,
    /// It sets nothing off.
    NoMatch,
    /// It sets these off, in order: automations by creation, then event webhooks by creation.
    Fires(Vec<PlannedExecution>),
    /// Its requests are more than [`MAX_RENDERED_BYTES`].
    TooWide,
}

/// One execution to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedExecution {
    /// An automation fired.
    Automation {
        /// Which.
        id: AutomationId,
        /// The version that fired.
        version: i64,
        /// The generation that fired.
        generation: i64,
        /// Its requests in order, or why they can't be made: it then ends as `FAILED` without a request.
        deliveries: Result<Vec<PlannedDelivery>, String>,
    },
    /// An event webhook is notified.
    Notification(PlannedDelivery),
}

/// One rendered request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedDelivery {
    /// Where to.
    pub webhook: WebhookId,
    /// How long to wait after the one before it, or after acceptance.
    pub delay: Span,
    /// The HTTP method.
    pub method: &'static str,
    /// Path and query to append to the webhook's URL, encoded.
    pub url_suffix: String,
    /// Own headers.
    pub headers: Vec<(String, String)>,
    /// The content type, where there is a body.
    pub content_type: Option<String>,
    /// The body; event webhooks share one.
    pub body: Bytes,
    /// Whether it waits for those to the same webhook about the same record.
    pub ordered: bool,
}

impl PlannedDelivery {
    fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.method.len() + self.url_suffix.len() + headers + self.body.len()
    }
}

/// Judges an event by the account's state.
///
/// On a plan without automations, none fires; beyond the plan's number of active ones, the newest don't.
pub fn evaluate(incoming: &IncomingEvent, view: &AccountView, automations: &AutomationSet) -> Judgement {
    if incoming.event.suppress {
        return Judgement::Suppressed;
    }
    let mut fires = Fires { executions: Vec::new(), bytes: 0 };
    let account = account_shown(incoming);
    for automation in firing(incoming, view, automations) {
        if !fires.add(automated(automation, incoming, &account, view)) {
            return Judgement::TooWide;
        }
    }
    let mut body: Option<Bytes> = None;
    for webhook in notified(incoming, view) {
        let body = body.get_or_insert_with(|| envelope(incoming).into());
        if !fires.add(PlannedExecution::Notification(notification(webhook, body))) {
            return Judgement::TooWide;
        }
    }
    if fires.executions.is_empty() { Judgement::NoMatch } else { Judgement::Fires(fires.executions) }
}

/// What came together so far.
struct Fires {
    executions: Vec<PlannedExecution>,
    bytes: usize,
}

impl Fires {
    /// Whether there was room for it.
    fn add(&mut self, execution: PlannedExecution) -> bool {
        self.bytes += match &execution {
            PlannedExecution::Automation { deliveries: Ok(deliveries), .. } => {
                deliveries.iter().map(PlannedDelivery::size).sum()
            }
            PlannedExecution::Automation { deliveries: Err(message), .. } => message.len(),
            PlannedExecution::Notification(delivery) => delivery.size(),
        };
        self.executions.push(execution);
        self.bytes <= MAX_RENDERED_BYTES
    }
}

fn firing<'s>(
    incoming: &IncomingEvent,
    view: &AccountView,
    automations: &'s AutomationSet,
) -> impl Iterator<Item = &'s CompiledAutomation> {
    let allowed = allowed(view);
    automations
        .active()
        .candidates(&incoming.event.object, incoming.event.action)
        .filter(move |(place, automation)| {
            *place < allowed && automation.condition.matches(&incoming.records)
        })
        .map(|(_, automation)| automation)
}

/// How many of the active automations, counted from the oldest, the plan lets fire.
pub(crate) fn allowed(view: &AccountView) -> usize {
    match view.entitlements() {
        Some(entitlements) if entitlements.automations => entitlements.active_automations as usize,
        _ => 0,
    }
}

/// What the placeholder root `account` reads.
pub(crate) fn account_shown(incoming: &IncomingEvent) -> Json {
    Json::object([("id", Json::from(incoming.event.account.as_str()))])
}

fn automated(
    automation: &CompiledAutomation,
    incoming: &IncomingEvent,
    account: &Json,
    view: &AccountView,
) -> PlannedExecution {
    let context = Context::new(&incoming.records, account, &automation.shown);
    let plan = automation.steps.plan(&context).map_err(|rejection| rejection.to_string());
    PlannedExecution::Automation {
        id: automation.id,
        version: automation.version,
        generation: automation.generation,
        deliveries: plan
            .and_then(|requests| requests.into_iter().map(|planned| delivery(planned, view)).collect()),
    }
}

fn delivery(planned: Planned, view: &AccountView) -> Result<PlannedDelivery, String> {
    let Planned { delay_micros, webhook, request } = planned;
    let webhook: WebhookId = webhook.parse().map_err(|error| format!("webhook {webhook}: {error}"))?;
    Ok(PlannedDelivery {
        webhook,
        ordered: view.webhook(webhook).is_some_and(|webhook| webhook.ordered),
        delay: Span::from_micros(delay_micros),
        method: request.method.as_str(),
        url_suffix: request.path_and_query_suffix,
        headers: request.headers,
        content_type: request.content_type,
        body: request.body.into(),
    })
}

/// The event webhooks that want it and may have it. One that is disabled gets its execution too: it waits in the dispatcher.
fn notified<'s>(incoming: &IncomingEvent, view: &'s AccountView) -> impl Iterator<Item = &'s Webhook> {
    let visibility: &Visibility = &incoming.event.visibility;
    view.notified()
        .candidates(&incoming.event.object, incoming.event.action)
        .map(|(_, webhook)| webhook.as_ref())
        .filter(move |webhook| match &webhook.owner {
            Owner::Admin => true,
            Owner::Member(user) => visibility.includes(user),
        })
}

fn notification(webhook: &Webhook, body: &Bytes) -> PlannedDelivery {
    PlannedDelivery {
        webhook: webhook.id,
        delay: Span::ZERO,
        method: "POST",
        url_suffix: String::new(),
        headers: Vec::new(),
        content_type: Some("application/json".to_owned()),
        body: body.clone(),
        ordered: webhook.ordered,
    }
}

#[cfg(test)]
pub(crate) mod tests;
