//! Whoever calls the three processes, each with a token, each call at the door where its service is.

use proto::dispatcher::v1 as dispatcher;
use proto::dispatcher::v1::execution_service_client::ExecutionServiceClient;
use proto::evaluator::v1 as evaluator;
use proto::evaluator::v1::automation_service_client::AutomationServiceClient;
use proto::evaluator::v1::event_service_client::EventServiceClient;
use proto::event::v1::Event;
use proto::registry::v1 as registry;
use proto::registry::v1::account_service_client::AccountServiceClient;
use proto::registry::v1::webhook_service_client::WebhookServiceClient;
use sluice_tests::PARENT;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// A way to a server, a token in each call.
pub(crate) type Line = InterceptedService<Channel, Badge>;

/// Puts a token, if there is one, and a trace, if there is one, into each call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Badge {
    token: Option<AsciiMetadataValue>,
    traceparent: Option<AsciiMetadataValue>,
}

impl Badge {
    /// With this token.
    pub(crate) fn of(token: &str) -> Self {
        let token = format!("Bearer {token}").parse().expect("a token is ASCII");
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

/// Somebody with a token.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The public listeners: the registry's, the evaluator's, the dispatcher's.
    pub(crate) doors: [Channel; 3],
    pub(crate) badge: Badge,
}

impl Caller {
    /// The same caller, whose calls belong to this trace.
    #[must_use]
    pub(crate) fn tracing(mut self, traceparent: &str) -> Self {
        self.badge.traceparent = Some(traceparent.parse().expect("a traceparent is ASCII"));
        self
    }

    fn accounts(&self) -> AccountServiceClient<Line> {
        AccountServiceClient::with_interceptor(self.doors[0].clone(), self.badge.clone())
    }

    fn webhooks(&self) -> WebhookServiceClient<Line> {
        WebhookServiceClient::with_interceptor(self.doors[0].clone(), self.badge.clone())
    }

    fn automations(&self) -> AutomationServiceClient<Line> {
        AutomationServiceClient::with_interceptor(self.doors[1].clone(), self.badge.clone())
    }

    fn events(&self) -> EventServiceClient<Line> {
        EventServiceClient::with_interceptor(self.doors[1].clone(), self.badge.clone())
    }

    fn executions(&self) -> ExecutionServiceClient<Line> {
        ExecutionServiceClient::with_interceptor(self.doors[2].clone(), self.badge.clone())
    }

    /// Puts the account on a plan.
    pub(crate) async fn put_entitlements(&self, plan: &str, version: i64) -> Result<(), Status> {
        let request = registry::PutEntitlementsRequest {
            name: PARENT.to_owned(),
            plan: plan.to_owned(),
            version,
            period_anchor: None,
        };
        self.accounts().put_entitlements(request).await.map(drop)
    }

    /// Registers a webhook.
    pub(crate) async fn create_webhook(
        &self,
        request: registry::CreateWebhookRequest,
    ) -> Result<registry::CreateWebhookResponse, Status> {
        Ok(self.webhooks().create_webhook(request).await?.into_inner())
    }

    /// Creates an automation, inactive; its name.
    pub(crate) async fn create_automation(
        &self,
        automation: evaluator::Automation,
    ) -> Result<String, Status> {
        let request = evaluator::CreateAutomationRequest {
            parent: PARENT.to_owned(),
            automation: Some(automation),
            request_id: String::new(),
        };
        let created = self.automations().create_automation(request).await?.into_inner();
        Ok(created.automation.expect("the automation").name)
    }

    /// Lets an automation fire.
    pub(crate) async fn activate(&self, name: &str) -> Result<(), Status> {
        let request = evaluator::ActivateAutomationRequest { name: name.to_owned() };
        self.automations().activate_automation(request).await.map(drop)
    }

    /// Keeps an automation from firing.
    pub(crate) async fn deactivate(&self, name: &str) -> Result<(), Status> {
        let request = evaluator::DeactivateAutomationRequest { name: name.to_owned() };
        self.automations().deactivate_automation(request).await.map(drop)
    }

    /// Sends an event.
    pub(crate) async fn ingest(&self, event: Event) -> Result<evaluator::IngestEventResponse, Status> {
        let request = evaluator::IngestEventRequest { parent: PARENT.to_owned(), event: Some(event) };
        Ok(self.events().ingest_event(request).await?.into_inner())
    }

    /// Reads one execution whole.
    pub(crate) async fn get_execution(&self, name: &str) -> Result<dispatcher::Execution, Status> {
        let request = dispatcher::GetExecutionRequest { name: name.to_owned() };
        let found = self.executions().get_execution(request).await?.into_inner();
        Ok(found.execution.expect("the execution"))
    }

    /// The account's executions, newest first; at most a hundred.
    pub(crate) async fn history(&self) -> Result<Vec<dispatcher::Execution>, Status> {
        let request = dispatcher::ListExecutionsRequest {
            parent: PARENT.to_owned(),
            page_size: 100,
            ..Default::default()
        };
        Ok(self.executions().list_executions(request).await?.into_inner().executions)
    }
}
