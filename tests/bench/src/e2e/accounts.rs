//! The accounts of a run, each with a plan, a webhook and an automation.

use std::sync::Arc;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use proto::evaluator::v1::automation_service_client::AutomationServiceClient;
use proto::evaluator::v1::{
    ActivateAutomationRequest, Automation, Comparison, Condition, CreateAutomationRequest, Method,
    NamedTemplate, Operand, Operator, RawBody, RequestStep, Step, condition, operand, request_step, step,
};
use proto::event::v1::{Action, Subscription};
use proto::registry::v1::account_service_client::AccountServiceClient;
use proto::registry::v1::webhook_service_client::WebhookServiceClient;
use proto::registry::v1::{CreateWebhookRequest, PutEntitlementsRequest, Webhook, WebhookKind};
use sluice_auth::{Principal, Role, Scope};
use sluice_rpc::Transport;
use tonic::Code;

use super::house::Door;
use super::receiving::Receiving;
use crate::part::receiver::SENT;

/// Accounts made at once.
const AT_ONCE: usize = 16;
/// A quota that is metered and admits everything.
pub(crate) const PLANS: &str = "[[plan]]
name = \"bench\"
automations = true
active_automations = 10
steps = 10
delays = 3
executions = { units = 1_000_000, per_seconds = 1, burst = 1_000_000 }
executions_per_month = 1_000_000_000
notifications = { units = 600, per_seconds = 60, burst = 600 }
max_waiting = 10_000_000
history_days = 15
";

/// The name of an account, by number.
pub(crate) fn name(number: usize) -> String {
    format!("bench-{number}")
}

/// Makes them; the signing secret of each.
pub(crate) async fn prepare(
    door: &Arc<Door>,
    count: usize,
    receiving: &Receiving,
) -> anyhow::Result<Vec<String>> {
    let billing = door.transport(&Principal::new(
        None,
        "billing".parse()?,
        [],
        [Scope::EntitlementsWrite, Scope::AccountsAny],
    ))?;
    stream::iter(0..count)
        .map(|number| prepare_one(Arc::clone(door), billing.clone(), number, receiving.url(number)))
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

async fn prepare_one(
    door: Arc<Door>,
    billing: Transport,
    number: usize,
    url: String,
) -> anyhow::Result<String> {
    let account = name(number);
    let parent = format!("accounts/{account}");
    AccountServiceClient::new(billing)
        .put_entitlements(PutEntitlementsRequest {
            name: parent.clone(),
            plan: "bench".to_owned(),
            version: 1,
            ..PutEntitlementsRequest::default()
        })
        .await?;
    let admin =
        door.transport(&Principal::new(Some(account.parse()?), "ada".parse()?, [Role::GlobalAdmin], []))?;
    let webhook = Webhook {
        display_name: "Bench".to_owned(),
        kind: WebhookKind::Automation.into(),
        endpoint_url: url,
        ..Webhook::default()
    };
    let request = CreateWebhookRequest {
        parent: parent.clone(),
        webhook: Some(webhook),
        ..CreateWebhookRequest::default()
    };
    let created = WebhookServiceClient::new(admin.clone()).create_webhook(request).await?.into_inner();
    let webhook = created.webhook.context("the webhook")?.name;
    let mut automations = AutomationServiceClient::new(admin);
    let request =
        CreateAutomationRequest { parent, automation: Some(automation(webhook)), request_id: String::new() };
    let automation = loop {
        match automations.create_automation(request.clone()).await {
            Ok(created) => break created.into_inner().automation.context("the automation")?,
            // The evaluator has not read of the account yet; it does within moments.
            Err(refusal)
                if matches!(
                    refusal.code(),
                    Code::FailedPrecondition | Code::NotFound | Code::InvalidArgument | Code::Unavailable
                ) =>
            {
                tokio::task::yield_now().await;
            }
            Err(refusal) => return Err(refusal.into()),
        }
    };
    automations.activate_automation(ActivateAutomationRequest { name: automation.name }).await?;
    Ok(created.signing_secret)
}

/// One equality condition, a JSON body of about 1 KiB.
fn automation(webhook: String) -> Automation {
    let won = Comparison {
        path: "deal.status".to_owned(),
        operator: Operator::Is.into(),
        operands: vec![Operand { kind: Some(operand::Kind::Text("won".to_owned())) }],
        ignore_case: false,
    };
    let template = "{\"deal\":\"{{ deal.title }}\",\"value\":{{ deal.value }},\"note\":\"{{ deal.note }}\",\"event\":\"{{ event.id }}\"}";
    let request = RequestStep {
        webhook,
        method: Method::Post.into(),
        headers: vec![NamedTemplate { name: SENT.to_owned(), template: "{{ deal.sent }}".to_owned() }],
        body: Some(request_step::Body::Raw(RawBody {
            content_type: "application/json".to_owned(),
            template: template.to_owned(),
        })),
        ..RequestStep::default()
    };
    Automation {
        display_name: "Bench".to_owned(),
        trigger: Some(Subscription { object: "deal".to_owned(), actions: vec![Action::Updated.into()] }),
        condition: Some(Condition { kind: Some(condition::Kind::Comparison(won)) }),
        steps: vec![Step { kind: Some(step::Kind::Request(request)) }],
        ..Automation::default()
    }
}
