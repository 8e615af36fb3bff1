//! Somebody with a token, who calls the public API over TCP and nothing else, each service at its own door.

use proto::dispatcher::v1 as dispatcher;
use proto::dispatcher::v1::execution_service_client::ExecutionServiceClient;
use proto::dispatcher::v1::quota_service_client::QuotaServiceClient;
use proto::evaluator::v1 as evaluator;
use proto::evaluator::v1::automation_service_client::AutomationServiceClient;
use proto::evaluator::v1::event_service_client::EventServiceClient;
use proto::event::v1::Event;
use proto::registry::v1 as registry;
use proto::registry::v1::account_service_client::AccountServiceClient;
use proto::registry::v1::webhook_service_client::WebhookServiceClient;
use sluice_auth::{Principal, Role, Scope, Signer};
use sluice_domain::Timestamp;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::premises::LIFETIME;
use crate::refusal::{Answer, opened};
use crate::service::Service;
use crate::watching::Watching;

/// The account of most tests.
pub const ACCOUNT: &str = "acme";
/// The same as a resource name.
pub const PARENT: &str = "accounts/acme";
/// Another account, for strangers.
pub const OTHER_ACCOUNT: &str = "globex";
/// The account that operational webhooks belong to.
pub const SYSTEM_ACCOUNT: &str = "_sluice";

/// A way to a server, a token in each call.
pub type Line = InterceptedService<Channel, Badge>;

/// Puts a token, if there is one, and a trace, if there is one, into each call.
#[derive(Debug, Clone, Default)]
pub struct Badge {
    token: Option<AsciiMetadataValue>,
    traceparent: Option<AsciiMetadataValue>,
}

impl Badge {
    /// With this token, whatever it is.
    pub fn of(token: &str) -> Self {
        let mut token: AsciiMetadataValue = format!("Bearer {token}").parse().expect("a token is ASCII");
        token.set_sensitive(true);
        Self { token: Some(token), traceparent: None }
    }
}

impl Interceptor for Badge {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        if let Some(traceparent) = &self.traceparent {
            request.metadata_mut().insert("traceparent", traceparent.clone());
        }
        Ok(request)
    }
}

/// Mints tokens for whoever is needed.
#[derive(Debug)]
pub struct People<'a> {
    /// The public listeners: the registry's, the evaluator's, the dispatcher's.
    pub(crate) doors: [Channel; 3],
    pub(crate) signer: &'a Signer,
    pub(crate) now: Timestamp,
}

/// A caller.
#[derive(Debug, Clone)]
pub struct Person {
    doors: [Channel; 3],
    badge: Badge,
}

impl People<'_> {
    /// The plan-billing system, for any account.
    pub fn billing(&self) -> Person {
        self.person(None, "billing", &[], &[Scope::EntitlementsWrite, Scope::AccountsAny])
    }

    /// A global admin of an account.
    pub fn admin(&self, account: &str) -> Person {
        self.person(Some(account), "ada", &[Role::GlobalAdmin], &[])
    }

    /// A member of an account.
    pub fn member(&self, account: &str, user: &str) -> Person {
        self.person(Some(account), user, &[Role::Member], &[])
    }

    /// The product that sends an account's events.
    pub fn producer(&self, account: &str) -> Person {
        self.person(Some(account), "crm", &[], &[Scope::EventsWrite])
    }

    /// Whoever holds this token, whatever it is.
    pub fn bearer_of(&self, token: &str) -> Person {
        Person { doors: self.doors.clone(), badge: Badge::of(token) }
    }

    /// A token of somebody in an account, or of a service that serves any.
    pub fn token(&self, account: Option<&str>, user: &str, roles: &[Role], scopes: &[Scope]) -> String {
        let account = account.map(|name| name.parse().expect("the account's name should be one"));
        let user = user.parse().expect("the user's name should be one");
        let who = Principal::new(account, user, roles.iter().copied(), scopes.iter().copied());
        self.signer.mint(&who, self.now, LIFETIME).expect("a token should be mintable")
    }

    fn person(&self, account: Option<&str>, user: &str, roles: &[Role], scopes: &[Scope]) -> Person {
        self.bearer_of(&self.token(account, user, roles, scopes))
    }
}

impl Person {
    /// The same caller, whose calls belong to this trace.
    #[must_use]
    pub fn tracing(mut self, traceparent: &str) -> Self {
        self.badge.traceparent = Some(traceparent.parse().expect("a traceparent is ASCII"));
        self
    }

    fn door(&self, service: Service) -> Channel {
        self.doors[service as usize].clone()
    }

    fn webhooks(&self) -> WebhookServiceClient<Line> {
        WebhookServiceClient::with_interceptor(self.door(Service::Registry), self.badge.clone())
    }

    fn automations(&self) -> AutomationServiceClient<Line> {
        AutomationServiceClient::with_interceptor(self.door(Service::Evaluator), self.badge.clone())
    }

    fn events(&self) -> EventServiceClient<Line> {
        EventServiceClient::with_interceptor(self.door(Service::Evaluator), self.badge.clone())
    }

    fn executions(&self) -> ExecutionServiceClient<Line> {
        ExecutionServiceClient::with_interceptor(self.door(Service::Dispatcher), self.badge.clone())
    }

    /// What an account may start, as whoever calls is let to ask for it.
    pub fn quotas(&self) -> QuotaServiceClient<Line> {
        QuotaServiceClient::with_interceptor(self.door(Service::Dispatcher), self.badge.clone())
    }

    /// Puts an account on a plan.
    pub async fn put_entitlements(
        &self,
        account: &str,
        plan: &str,
        version: i64,
    ) -> Answer<registry::Account> {
        let request = registry::PutEntitlementsRequest {
            name: format!("accounts/{account}"),
            plan: plan.to_owned(),
            version,
            period_anchor: None,
        };
        let mut accounts =
            AccountServiceClient::with_interceptor(self.door(Service::Registry), self.badge.clone());
        Ok(opened(accounts.put_entitlements(request).await)?.account.expect("the account"))
    }

    /// Registers a target.
    pub async fn create_webhook(
        &self,
        request: registry::CreateWebhookRequest,
    ) -> Answer<registry::CreateWebhookResponse> {
        opened(self.webhooks().create_webhook(request).await)
    }

    /// Reads a webhook.
    pub async fn get_webhook(&self, name: &str) -> Answer<registry::Webhook> {
        let request = registry::GetWebhookRequest { name: name.to_owned() };
        Ok(opened(self.webhooks().get_webhook(request).await)?.webhook.expect("the webhook"))
    }

    /// Lists webhooks, one page.
    pub async fn list_webhooks(&self, parent: &str) -> Answer<Vec<registry::Webhook>> {
        let request = registry::ListWebhooksRequest { parent: parent.to_owned(), ..Default::default() };
        Ok(opened(self.webhooks().list_webhooks(request).await)?.webhooks)
    }

    /// Changes the named fields of a webhook.
    pub async fn update_webhook(
        &self,
        webhook: registry::Webhook,
        fields: &[&str],
    ) -> Answer<registry::Webhook> {
        let paths = fields.iter().map(|&field| field.to_owned()).collect();
        let request = registry::UpdateWebhookRequest {
            webhook: Some(webhook),
            update_mask: Some(prost_types::FieldMask { paths }),
        };
        Ok(opened(self.webhooks().update_webhook(request).await)?.webhook.expect("the webhook"))
    }

    /// Switches a webhook on or off.
    pub async fn set_state(&self, name: &str, state: registry::WebhookState) -> Answer<registry::Webhook> {
        let webhook =
            registry::Webhook { name: name.to_owned(), state: state.into(), ..registry::Webhook::default() };
        self.update_webhook(webhook, &["state"]).await
    }

    /// Deletes a webhook.
    pub async fn delete_webhook(&self, name: &str) -> Answer<()> {
        let request = registry::DeleteWebhookRequest { name: name.to_owned(), etag: String::new() };
        opened(self.webhooks().delete_webhook(request).await).map(drop)
    }

    /// Creates an automation, inactive.
    pub async fn create_automation(
        &self,
        parent: &str,
        automation: evaluator::Automation,
    ) -> Answer<evaluator::Automation> {
        let request = evaluator::CreateAutomationRequest {
            parent: parent.to_owned(),
            automation: Some(automation),
            request_id: String::new(),
        };
        Ok(opened(self.automations().create_automation(request).await)?.automation.expect("the automation"))
    }

    /// Reads an automation.
    pub async fn get_automation(&self, name: &str) -> Answer<evaluator::Automation> {
        let request = evaluator::GetAutomationRequest { name: name.to_owned() };
        Ok(opened(self.automations().get_automation(request).await)?.automation.expect("the automation"))
    }

    /// Lists automations, one page; with a webhook, only those that name it.
    pub async fn list_automations(&self, parent: &str, webhook: &str) -> Answer<Vec<evaluator::Automation>> {
        let request = evaluator::ListAutomationsRequest {
            parent: parent.to_owned(),
            webhook: webhook.to_owned(),
            ..Default::default()
        };
        Ok(opened(self.automations().list_automations(request).await)?.automations)
    }

    /// Changes the named fields of an automation.
    pub async fn update_automation(
        &self,
        automation: evaluator::Automation,
        fields: &[&str],
    ) -> Answer<evaluator::Automation> {
        let paths = fields.iter().map(|&field| field.to_owned()).collect();
        let request = evaluator::UpdateAutomationRequest {
            automation: Some(automation),
            update_mask: Some(prost_types::FieldMask { paths }),
        };
        Ok(opened(self.automations().update_automation(request).await)?.automation.expect("the automation"))
    }

    /// Deletes an automation.
    pub async fn delete_automation(&self, name: &str) -> Answer<()> {
        let request = evaluator::DeleteAutomationRequest { name: name.to_owned(), etag: String::new() };
        opened(self.automations().delete_automation(request).await).map(drop)
    }

    /// Lets an automation fire.
    pub async fn activate(&self, name: &str) -> Answer<evaluator::Automation> {
        let request = evaluator::ActivateAutomationRequest { name: name.to_owned() };
        Ok(opened(self.automations().activate_automation(request).await)?.automation.expect("the automation"))
    }

    /// Keeps an automation from firing.
    pub async fn deactivate(&self, name: &str) -> Answer<evaluator::Automation> {
        let request = evaluator::DeactivateAutomationRequest { name: name.to_owned() };
        let answer = opened(self.automations().deactivate_automation(request).await)?;
        Ok(answer.automation.expect("the automation"))
    }

    /// Asks what an event would come to with an automation.
    pub async fn explain(&self, name: &str, event: Event) -> Answer<evaluator::ExplainEventResponse> {
        let request = evaluator::ExplainEventRequest {
            name: name.to_owned(),
            event: Some(event),
            ..Default::default()
        };
        opened(self.automations().explain_event(request).await)
    }

    /// Sends one event.
    pub async fn ingest(&self, parent: &str, event: Event) -> Answer<evaluator::IngestEventResponse> {
        let request = evaluator::IngestEventRequest { parent: parent.to_owned(), event: Some(event) };
        opened(self.events().ingest_event(request).await)
    }

    /// Sends some events.
    pub async fn ingest_batch(
        &self,
        parent: &str,
        events: Vec<Event>,
    ) -> Answer<Vec<evaluator::BatchIngestEventsResult>> {
        let request = evaluator::BatchIngestEventsRequest { parent: parent.to_owned(), events };
        Ok(opened(self.events().batch_ingest_events(request).await)?.results)
    }

    /// Reads one execution whole.
    pub async fn get_execution(&self, name: &str) -> Answer<dispatcher::Execution> {
        let request = dispatcher::GetExecutionRequest { name: name.to_owned() };
        Ok(opened(self.executions().get_execution(request).await)?.execution.expect("the execution"))
    }

    /// Lists executions as asked, one page.
    pub async fn list_executions(
        &self,
        request: dispatcher::ListExecutionsRequest,
    ) -> Answer<dispatcher::ListExecutionsResponse> {
        opened(self.executions().list_executions(request).await)
    }

    /// Lists executions as asked, all pages.
    pub async fn list_all_executions(
        &self,
        mut request: dispatcher::ListExecutionsRequest,
    ) -> Answer<Vec<dispatcher::Execution>> {
        let mut all = Vec::new();
        loop {
            let page = self.list_executions(request.clone()).await?;
            all.extend(page.executions);
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Watches executions.
    pub async fn watch(&self, request: dispatcher::WatchExecutionsRequest) -> Answer<Watching> {
        let stream = opened(self.executions().watch_executions(request).await)?;
        Ok(Watching::new(stream))
    }

    /// Ends an execution.
    pub async fn cancel(&self, name: &str) -> Answer<dispatcher::Execution> {
        let request = dispatcher::CancelExecutionRequest { name: name.to_owned() };
        Ok(opened(self.executions().cancel_execution(request).await)?.execution.expect("the execution"))
    }

    /// Opens what a filter means again, one answer of it.
    pub async fn retry_all(
        &self,
        request: dispatcher::RetryExecutionsRequest,
    ) -> Answer<dispatcher::RetryExecutionsResponse> {
        opened(self.executions().retry_executions(request).await)
    }

    /// Ends what a filter means, one answer of it.
    pub async fn cancel_all(
        &self,
        request: dispatcher::CancelExecutionsRequest,
    ) -> Answer<dispatcher::CancelExecutionsResponse> {
        opened(self.executions().cancel_executions(request).await)
    }

    /// Opens an execution again.
    pub async fn retry(&self, name: &str) -> Answer<dispatcher::Execution> {
        let request = dispatcher::RetryExecutionRequest { name: name.to_owned() };
        Ok(opened(self.executions().retry_execution(request).await)?.execution.expect("the execution"))
    }
}
