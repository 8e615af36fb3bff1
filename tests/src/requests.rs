//! Makers of webhooks, automations and events.

use proto::evaluator::v1::{
    Automation, Comparison, Condition, DelayStep, Operand, Operator, RawBody, RequestStep, Step, condition,
    operand, request_step, step,
};
use proto::event::v1::{Action, Event, Subscription};
use proto::registry::v1::authentication::Kind;
use proto::registry::v1::{Authentication, CreateWebhookRequest, Webhook, WebhookKind};
use serde_json::{Value, json};

use crate::people::PARENT;

/// A webhook for automations.
pub fn automation_webhook(display_name: &str, url: &str) -> CreateWebhookRequest {
    webhook(display_name, url, WebhookKind::Automation, None)
}

/// A webhook that wants the events of an object.
pub fn event_webhook(display_name: &str, url: &str, object: &str) -> CreateWebhookRequest {
    let wanted = Subscription { object: object.to_owned(), actions: Vec::new() };
    webhook(display_name, url, WebhookKind::Event, Some(wanted))
}

/// A webhook for automations that proves its requests.
pub fn authenticated_webhook(display_name: &str, url: &str, kind: Kind) -> CreateWebhookRequest {
    let mut request = automation_webhook(display_name, url);
    if let Some(webhook) = &mut request.webhook {
        webhook.authentication = Some(Authentication { kind: Some(kind) });
    }
    request
}

fn webhook(
    display_name: &str,
    url: &str,
    kind: WebhookKind,
    subscription: Option<Subscription>,
) -> CreateWebhookRequest {
    let webhook = Webhook {
        display_name: display_name.to_owned(),
        kind: kind.into(),
        endpoint_url: url.to_owned(),
        subscription,
        ..Webhook::default()
    };
    CreateWebhookRequest {
        parent: PARENT.to_owned(),
        webhook: Some(webhook),
        ..CreateWebhookRequest::default()
    }
}

/// An automation that fires when a deal's stage has changed to `won`.
pub fn automation(display_name: &str, steps: impl IntoIterator<Item = Step>) -> Automation {
    Automation {
        display_name: display_name.to_owned(),
        trigger: Some(Subscription { object: "deal".to_owned(), actions: vec![Action::Updated.into()] }),
        condition: Some(compare("deal.stage", Operator::HasChangedTo, &["won"])),
        steps: steps.into_iter().collect(),
        ..Automation::default()
    }
}

/// An automation that fires when a deal of this title is updated, and is called so.
pub fn titled(title: &str, steps: impl IntoIterator<Item = Step>) -> Automation {
    Automation { condition: Some(compare("deal.title", Operator::Is, &[title])), ..automation(title, steps) }
}

/// A deal of this title is updated.
pub fn deal(id: &str, title: &str) -> Event {
    updated(id, json!({"title": title}), json!({"title": title, "value": 1}))
}

/// A comparison with texts.
pub fn compare(path: &str, operator: Operator, operands: &[&str]) -> Condition {
    let text = |text: &&str| Operand { kind: Some(operand::Kind::Text((*text).to_owned())) };
    let comparison = Comparison {
        path: path.to_owned(),
        operator: operator.into(),
        operands: operands.iter().map(text).collect(),
        ignore_case: false,
    };
    Condition { kind: Some(condition::Kind::Comparison(comparison)) }
}

/// A step that posts JSON to a webhook.
pub fn post(webhook: &str, template: &str) -> Step {
    let raw = RawBody { content_type: "application/json".to_owned(), template: template.to_owned() };
    step(RequestStep {
        webhook: webhook.to_owned(),
        body: Some(request_step::Body::Raw(raw)),
        ..RequestStep::default()
    })
}

/// A step that sends a request.
pub fn step(request: RequestStep) -> Step {
    Step { kind: Some(step::Kind::Request(request)) }
}

/// A step that waits.
pub fn delay(seconds: i64) -> Step {
    let duration = Some(prost_types::Duration { seconds, nanos: 0 });
    Step { kind: Some(step::Kind::Delay(DelayStep { duration })) }
}

/// A deal becomes won: what the automations wait for.
pub fn won(id: &str) -> Event {
    updated(id, json!({"title": "Big one", "stage": "open"}), json!({"title": "Big one", "stage": "won"}))
}

/// A deal is updated.
pub fn updated(id: &str, previous: Value, current: Value) -> Event {
    Event {
        id: id.to_owned(),
        object: "deal".to_owned(),
        action: Action::Updated.into(),
        record_id: "42".to_owned(),
        actor: "ada".to_owned(),
        current: current.to_string().into(),
        previous: previous.to_string().into(),
        ..Event::default()
    }
}

/// A note is added.
pub fn noted(id: &str) -> Event {
    Event {
        id: id.to_owned(),
        object: "note".to_owned(),
        action: Action::Added.into(),
        record_id: "7".to_owned(),
        current: json!({"text": "call back"}).to_string().into(),
        ..Event::default()
    }
}
