//! The messages the demo sends: its webhooks, its automation.

use proto::evaluator::v1 as evaluator;
use proto::evaluator::v1::{Operator, condition, operand, request_step, step};
use proto::event::v1::{Action, Subscription};
use proto::registry::v1::{CreateWebhookRequest, PutEntitlementsRequest, Webhook, WebhookKind};

/// The demo's account.
pub const ACCOUNT: &str = "demo";
/// The same as a resource name.
pub const PARENT: &str = "accounts/demo";
/// What the path of every request of the demo begins with.
pub const HOOK_PREFIX: &str = "/crm/";

/// Billing puts `plan` under `version`.
pub fn entitlements(plan: &str, version: i64) -> PutEntitlementsRequest {
    PutEntitlementsRequest {
        name: PARENT.to_owned(),
        plan: plan.to_owned(),
        version,
        ..PutEntitlementsRequest::default()
    }
}

/// A webhook for automations.
pub fn automation_webhook(display_name: &str, endpoint_url: &str) -> CreateWebhookRequest {
    webhook(display_name, endpoint_url, WebhookKind::Automation, None)
}

/// A webhook of the regular kind; it wants events of notes, which the demo does not send.
pub fn event_webhook(display_name: &str, endpoint_url: &str) -> CreateWebhookRequest {
    let notes = Subscription { object: "note".to_owned(), actions: Vec::new() };
    webhook(display_name, endpoint_url, WebhookKind::Event, Some(notes))
}

fn webhook(
    display_name: &str,
    endpoint_url: &str,
    kind: WebhookKind,
    subscription: Option<Subscription>,
) -> CreateWebhookRequest {
    CreateWebhookRequest {
        parent: PARENT.to_owned(),
        webhook: Some(Webhook {
            display_name: display_name.to_owned(),
            kind: kind.into(),
            endpoint_url: endpoint_url.to_owned(),
            subscription,
            ..Webhook::default()
        }),
        ..CreateWebhookRequest::default()
    }
}

/// When a deal's stage has changed to `won`: one request to `webhook`, its path and body from templates.
pub fn automation(webhook: &str) -> evaluator::CreateAutomationRequest {
    let comparison = evaluator::Comparison {
        path: "deal.stage".to_owned(),
        operator: Operator::HasChangedTo.into(),
        operands: vec![evaluator::Operand { kind: Some(operand::Kind::Text("won".to_owned())) }],
        ignore_case: false,
    };
    let body = r#"{"deal": {{ deal.id }}, "title": "{{ deal.title }}", "value": {{ deal.value }}, "stage": {"was": "{{ previous.stage }}", "is": "{{ deal.stage }}"}, "owner": "{{ deal.owner.name }}", "event": "{{ event.id }}"}"#;
    let request = evaluator::RequestStep {
        webhook: webhook.to_owned(),
        method: evaluator::Method::Post.into(),
        path: "deals/{{ deal.id }}/won".to_owned(),
        body: Some(request_step::Body::Raw(evaluator::RawBody {
            content_type: "application/json".to_owned(),
            template: body.to_owned(),
        })),
        ..evaluator::RequestStep::default()
    };
    evaluator::CreateAutomationRequest {
        parent: PARENT.to_owned(),
        automation: Some(evaluator::Automation {
            display_name: "Tell the shop about deals that are won".to_owned(),
            trigger: Some(Subscription { object: "deal".to_owned(), actions: vec![Action::Updated.into()] }),
            condition: Some(evaluator::Condition { kind: Some(condition::Kind::Comparison(comparison)) }),
            steps: vec![evaluator::Step { kind: Some(step::Kind::Request(request)) }],
            ..evaluator::Automation::default()
        }),
        request_id: String::new(),
    }
}
