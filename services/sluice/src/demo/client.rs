//! A gRPC client as anybody could write it: a TCP channel, a token with each call, the public API and nothing else.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;

use anyhow::Context;
use proto::dispatcher::v1 as dispatcher;
use proto::dispatcher::v1::execution_service_client::ExecutionServiceClient;
use proto::evaluator::v1 as evaluator;
use proto::evaluator::v1::automation_service_client::AutomationServiceClient;
use proto::evaluator::v1::event_service_client::EventServiceClient;
use proto::registry::v1 as registry;
use proto::registry::v1::account_service_client::AccountServiceClient;
use proto::registry::v1::webhook_service_client::WebhookServiceClient;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;

/// A call that was refused, as a client reads it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code:?} {reason}: {message}")]
pub struct Refused {
    /// The gRPC code.
    pub code: Code,
    /// The reason in `google.rpc.ErrorInfo`; empty when there is none.
    pub reason: String,
    /// The metadata beside the reason.
    pub metadata: HashMap<String, String>,
    /// The words for people.
    pub message: String,
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        let info = status.get_details_error_info();
        let (reason, metadata) = info.map(|info| (info.reason, info.metadata)).unwrap_or_default();
        Self { code: status.code(), reason, metadata, message: status.message().to_owned() }
    }
}

/// Somebody with a token.
#[derive(Clone)]
pub struct Caller(AsciiMetadataValue);

impl Caller {
    /// Whoever holds this token.
    ///
    /// # Errors
    /// When it can't stand in a header.
    pub fn new(token: &str) -> anyhow::Result<Self> {
        let mut value: AsciiMetadataValue = format!("Bearer {token}").parse().context("the token")?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    fn asks<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.0.clone());
        request
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller")
    }
}

/// The public API of a suite.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
}

type Answer<T> = Result<T, Refused>;

fn unwrap<T>(answered: Result<Response<T>, Status>) -> Answer<T> {
    Ok(answered?.into_inner())
}

impl Client {
    /// Connects over TCP.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        let channel = endpoint.connect().await.with_context(|| format!("can't connect to {address}"))?;
        Ok(Self { channel })
    }

    fn webhooks(&self) -> WebhookServiceClient<Channel> {
        WebhookServiceClient::new(self.channel.clone())
    }

    fn automations(&self) -> AutomationServiceClient<Channel> {
        AutomationServiceClient::new(self.channel.clone())
    }

    fn executions(&self) -> ExecutionServiceClient<Channel> {
        ExecutionServiceClient::new(self.channel.clone())
    }

    /// Billing says what an account may do.
    pub async fn put_entitlements(
        &self,
        caller: &Caller,
        message: registry::PutEntitlementsRequest,
    ) -> Answer<registry::PutEntitlementsResponse> {
        let mut accounts = AccountServiceClient::new(self.channel.clone());
        unwrap(accounts.put_entitlements(caller.asks(message)).await)
    }

    /// Registers a target.
    pub async fn create_webhook(
        &self,
        caller: &Caller,
        message: registry::CreateWebhookRequest,
    ) -> Answer<registry::CreateWebhookResponse> {
        unwrap(self.webhooks().create_webhook(caller.asks(message)).await)
    }

    /// Creates an automation.
    pub async fn create_automation(
        &self,
        caller: &Caller,
        message: evaluator::CreateAutomationRequest,
    ) -> Answer<evaluator::CreateAutomationResponse> {
        unwrap(self.automations().create_automation(caller.asks(message)).await)
    }

    /// Lets an automation fire.
    pub async fn activate_automation(
        &self,
        caller: &Caller,
        message: evaluator::ActivateAutomationRequest,
    ) -> Answer<evaluator::ActivateAutomationResponse> {
        unwrap(self.automations().activate_automation(caller.asks(message)).await)
    }

    /// Sends events.
    pub async fn ingest(
        &self,
        caller: &Caller,
        message: evaluator::BatchIngestEventsRequest,
    ) -> Answer<evaluator::BatchIngestEventsResponse> {
        let mut events = EventServiceClient::new(self.channel.clone());
        unwrap(events.batch_ingest_events(caller.asks(message)).await)
    }

    /// Reads one page of the history.
    pub async fn list_executions(
        &self,
        caller: &Caller,
        message: dispatcher::ListExecutionsRequest,
    ) -> Answer<dispatcher::ListExecutionsResponse> {
        unwrap(self.executions().list_executions(caller.asks(message)).await)
    }

    /// Reads one execution whole.
    pub async fn get_execution(
        &self,
        caller: &Caller,
        message: dispatcher::GetExecutionRequest,
    ) -> Answer<dispatcher::GetExecutionResponse> {
        unwrap(self.executions().get_execution(caller.asks(message)).await)
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    #[test]
    fn a_refusal_is_read_with_its_reason_and_metadata() {
        let metadata = HashMap::from([("plan_held".to_owned(), "essential".to_owned())]);
        let details = ErrorDetails::with_error_info("PLAN_REQUIRED", "sluice", metadata);
        let status = Status::with_error_details(Code::FailedPrecondition, "not on this plan", details);
        let refused = Refused::from(status);
        assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "PLAN_REQUIRED"));
        assert_eq!(refused.metadata["plan_held"], "essential");
        assert_eq!(Refused::from(Status::internal("x")).reason, "");
    }

    #[test]
    fn a_callers_token_is_not_in_its_debug_print() {
        let caller = Caller::new("s3cret").unwrap();
        assert!(!format!("{caller:?} {:?}", caller.asks(())).contains("s3cret"));
    }
}
