//! From what the evaluator enqueues to what the store accepts. Ids are minted here, when the thing is about to be accepted.

use std::sync::Arc;

use proto::dispatcher::v1 as wire;
use sluice_domain::{Action, AutomationId, DeliveryId, EventId, ExecutionId, Span, Timestamp, Violations};
use sluice_rpc::convert::{from_duration, from_timestamp};
use sluice_runtime::Entropy;
use sluice_telemetry::{TraceContext, current_trace_context};

use crate::execution::EventSummary;
use crate::plan::{Delivery, Plan};
use crate::store::{NewEvent, NewExecution, Work};

/// Mints ids.
pub(super) struct Mint<'a> {
    pub(super) now: Timestamp,
    pub(super) entropy: &'a Entropy,
}

/// One event with what it set off.
pub(super) fn new_event(item: wire::EnqueueItem, mint: &Mint<'_>) -> Result<NewEvent, Violations> {
    let mut broken = Violations::new();
    let account = broken.keep("account", item.account.parse());
    let event = match item.event {
        Some(event) => summary(event, mint, &mut broken),
        None => {
            broken.add("event", "is required");
            None
        }
    };
    let digest = <[u8; 32]>::try_from(item.digest.as_ref()).map_err(|_| "must be 32 bytes");
    let digest = broken.keep("digest", digest);
    let traceparent = match item.traceparent.parse::<TraceContext>() {
        Ok(trace) => trace,
        Err(_) => {
            if !item.traceparent.is_empty() {
                broken.add("traceparent", "must be a W3C traceparent, or empty");
            }
            current_trace_context().unwrap_or_else(|| TraceContext::root(false))
        }
    };
    if item.executions.is_empty() {
        broken.add("executions", "must hold at least one");
    }
    let planned = item.executions.into_iter().enumerate();
    let executions: Vec<NewExecution> = planned
        .filter_map(|(at, planned)| execution(planned, &format!("executions[{at}]"), mint, &mut broken))
        .collect();
    match (account, event, digest) {
        (Some(account), Some(event), Some(digest)) if broken.is_empty() => {
            Ok(NewEvent { account, event, digest, traceparent: traceparent.to_string(), executions })
        }
        _ => Err(broken),
    }
}

fn summary(event: wire::EventSummary, mint: &Mint<'_>, broken: &mut Violations) -> Option<EventSummary> {
    let action = match event.action() {
        proto::event::v1::Action::Added => Some(Action::Added),
        proto::event::v1::Action::Updated => Some(Action::Updated),
        proto::event::v1::Action::Deleted => Some(Action::Deleted),
        proto::event::v1::Action::Unspecified => {
            broken.add("event.action", "is required");
            None
        }
    };
    let id = broken.keep("event.id", event.id.parse::<EventId>());
    for (field, text) in [("record_id", &event.record_id), ("object", &event.object), ("actor", &event.actor)]
    {
        if text.chars().any(char::is_control) {
            broken.add(format!("event.{field}"), "must not hold control characters");
        }
    }
    let occurred_at = event.occurred_at.as_ref().map_or(Ok(mint.now), from_timestamp);
    let occurred_at = broken.keep("event.occurred_at", occurred_at);
    let cause = if event.cause.is_empty() {
        None
    } else {
        broken.keep("event.cause", event.cause.parse::<ExecutionId>())
    };
    Some(EventSummary {
        id: id?.into(),
        object: event.object,
        action: action?,
        record_id: event.record_id,
        occurred_at: occurred_at?,
        actor: (!event.actor.is_empty()).then_some(event.actor),
        cause,
    })
}

fn execution(
    planned: wire::PlannedExecution,
    field: &str,
    mint: &Mint<'_>,
    broken: &mut Violations,
) -> Option<NewExecution> {
    let automation: Option<AutomationId> = if planned.automation.is_empty() {
        None
    } else {
        Some(broken.keep(&format!("{field}.automation"), planned.automation.parse())?)
    };
    let work = match planned.rejection {
        // Not every database keeps control characters in text, and nobody needs them there.
        Some(rejection) => Work::Rejected(rejection.message.replace(char::is_control, " ")),
        None if planned.deliveries.is_empty() => {
            broken.add(format!("{field}.deliveries"), "must hold at least one, or rejection must be set");
            return None;
        }
        None => {
            let all = planned.deliveries.into_iter().enumerate();
            let deliveries = all.filter_map(|(at, planned)| {
                delivery(planned, &format!("{field}.deliveries[{at}]"), mint, broken)
            });
            Work::Deliver(Arc::new(Plan { deliveries: deliveries.collect() }))
        }
    };
    Some(NewExecution {
        id: ExecutionId::mint(mint.now, mint.entropy.bytes()),
        automation,
        automation_version: planned.automation_version,
        generation: planned.generation,
        work,
    })
}

fn delivery(
    planned: wire::PlannedDelivery,
    field: &str,
    mint: &Mint<'_>,
    broken: &mut Violations,
) -> Option<Delivery> {
    let webhook = broken.keep(&format!("{field}.webhook"), planned.webhook.parse());
    if planned.method.is_empty() {
        broken.add(format!("{field}.method"), "is required");
    }
    let delay = planned.delay.as_ref().map_or(Ok(Span::ZERO), from_duration);
    let delay = broken.keep(&format!("{field}.delay"), delay);
    let mut headers: Vec<(String, String)> = planned.headers.into_iter().collect();
    headers.sort_unstable();
    Some(Delivery {
        id: DeliveryId::mint(mint.now, mint.entropy.bytes()),
        webhook: webhook?,
        delay: delay?,
        ordered: planned.ordered,
        method: planned.method,
        url_suffix: planned.url_suffix,
        headers,
        content_type: planned.content_type,
        body: planned.body,
    })
}
