//! A running evaluator with everything around it, and callers with tokens.

use std::sync::Arc;

use proto::dispatcher::v1::dispatch_service_server::DispatchServiceServer;
use proto::evaluator::v1 as wire;
use proto::evaluator::v1::automation_service_client::AutomationServiceClient;
use proto::evaluator::v1::event_service_client::EventServiceClient;
use proto::event::v1::{Event, Subscription, Visibility};
use proto::registry::v1::WebhookKind;
use proto::registry::v1::account_service_server::AccountServiceServer;
use proto::registry::v1::feed_service_server::FeedServiceServer;
use sluice_auth::{Access, AccessTable, Grant, Key, Principal, Role, Scope, Signer, Verifier};
use sluice_domain::{Reason, Secret, Span};
use sluice_rpc::{Refusal, Server, Transport, fault_of};
use sluice_runtime::{Entropy, Shutdown, Supervisor};
use sluice_testkit::{TestDatabase, sqlite};
use tokio::net::TcpListener;
use tonic::Status;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::dispatcher::FakeDispatcher;
use super::registry::{FakeRegistry, advanced, webhook};
use crate::service::{Config, Deps, Evaluator};

/// An AUTOMATION webhook of acme whose URL takes nothing appended.
pub(super) const HOOK: &str = "accounts/acme/webhooks/wh_01h455vb4pex5vsknk084sn02q";
/// An EVENT webhook of acme, owned by an admin, on deals.
pub(super) const EVENT_HOOK: &str = "accounts/acme/webhooks/wh_01h455vb4pex5vsknk084sn03r";

/// The house; the workers stop when it goes.
pub(super) struct House {
    pub(super) registry: FakeRegistry,
    pub(super) dispatcher: FakeDispatcher,
    pub(super) db: Arc<TestDatabase>,
    pub(super) evaluator: Evaluator,
    shutdown: Shutdown,
    address: String,
}

impl Drop for House {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

impl House {
    /// Acme on `advanced`, with both webhooks.
    pub(super) async fn open() -> Self {
        let registry = FakeRegistry::new();
        registry.account("acme", advanced());
        registry.webhook(webhook(HOOK, WebhookKind::Automation));
        registry.webhook(webhook(EVENT_HOOK, WebhookKind::Event));
        Self::with(registry, FakeDispatcher::new(), Arc::new(sqlite().await)).await
    }

    pub(super) async fn with(
        registry: FakeRegistry,
        dispatcher: FakeDispatcher,
        db: Arc<TestDatabase>,
    ) -> Self {
        let config = Config {
            catch_up: Span::from_millis(100),
            stops_interval: Span::from_millis(50),
            automations_per_account: 4,
        };
        Self::set_up(config, registry, dispatcher, db).await
    }

    pub(super) async fn set_up(
        config: Config,
        registry: FakeRegistry,
        dispatcher: FakeDispatcher,
        db: Arc<TestDatabase>,
    ) -> Self {
        let shutdown = Shutdown::new();
        let clock = db.time.clock();
        let deps = Deps {
            database: db.reconnect().await,
            clock: clock.clone(),
            entropy: Entropy::seeded(1),
            supervisor: Supervisor::new(shutdown.clone()),
            registry: in_process(
                Server::builder("registry")
                    .service(FeedServiceServer::new(registry.clone()))
                    .service(AccountServiceServer::new(registry.clone())),
                &[
                    "/sluice.registry.v1.AccountService/GetAccount",
                    "/sluice.registry.v1.AccountService/PutEntitlements",
                    "/sluice.registry.v1.FeedService/WatchChanges",
                    "/sluice.registry.v1.FeedService/DisableWebhook",
                    "/sluice.registry.v1.FeedService/ResolveTarget",
                ],
                &db,
            ),
            dispatcher: in_process(
                Server::builder("dispatcher").service(
                    DispatchServiceServer::new(dispatcher.clone())
                        .max_decoding_message_size(sluice_rpc::MAX_INTERNAL_BYTES),
                ),
                &[
                    "/sluice.dispatcher.v1.DispatchService/EnqueueExecutions",
                    "/sluice.dispatcher.v1.DispatchService/PutGate",
                ],
                &db,
            ),
        };
        let evaluator = Evaluator::start(&config, deps).await.unwrap();
        if !registry.is_away() {
            evaluator.ready().await;
        }

        let builder = Server::builder("public").descriptors(proto::DESCRIPTORS);
        let server = evaluator.add_public(builder).unwrap().build(verifier(), move || clock.now()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let stopping = shutdown.clone();
        tokio::spawn(server.serve(listener, async move { stopping.triggered().await }));
        Self { registry, dispatcher, db, evaluator, shutdown, address }
    }

    pub(super) fn transport(&self, principal: &Principal) -> Transport {
        let signer = Signer::from_hs256("tests", "k", &secret()).unwrap();
        let token = signer.mint(principal, self.db.time.now(), Span::from_secs(3600)).unwrap();
        Transport::connect(&self.address, Some(&Secret::new(token))).unwrap()
    }

    /// A user of the account.
    pub(super) fn user(&self, account: &str, role: Role) -> AutomationServiceClient<Transport> {
        let principal = Principal::new(Some(account.parse().unwrap()), "u1".parse().unwrap(), [role], []);
        AutomationServiceClient::new(self.transport(&principal))
    }

    pub(super) fn admin(&self) -> AutomationServiceClient<Transport> {
        self.user("acme", Role::GlobalAdmin)
    }

    /// A service that may send events of any account.
    pub(super) fn producer(&self) -> EventServiceClient<Transport> {
        let scopes = [Scope::EventsWrite, Scope::AccountsAny];
        EventServiceClient::new(self.transport(&Principal::new(None, "crm".parse().unwrap(), [], scopes)))
    }

    /// A service that may send events of one account.
    pub(super) fn producer_of(&self, account: &str) -> EventServiceClient<Transport> {
        let account = Some(account.parse().unwrap());
        let principal = Principal::new(account, "crm".parse().unwrap(), [], [Scope::EventsWrite]);
        EventServiceClient::new(self.transport(&principal))
    }

    /// What the public server says of the events' service to whoever asks.
    pub(super) async fn health(&self) -> ServingStatus {
        let mut client = HealthClient::new(Transport::connect(&self.address, None).unwrap());
        let request = HealthCheckRequest { service: "sluice.evaluator.v1.EventService".to_owned() };
        client.check(request).await.unwrap().into_inner().status()
    }

    pub(super) async fn create(&self, automation: wire::Automation) -> Result<wire::Automation, Status> {
        let request = create(automation);
        Ok(self.admin().create_automation(request).await?.into_inner().automation.unwrap())
    }

    pub(super) async fn activate(&self, name: &str) -> Result<wire::Automation, Status> {
        let request = wire::ActivateAutomationRequest { name: name.to_owned() };
        Ok(self.admin().activate_automation(request).await?.into_inner().automation.unwrap())
    }

    pub(super) async fn deactivate(&self, name: &str) -> Result<wire::Automation, Status> {
        let request = wire::DeactivateAutomationRequest { name: name.to_owned() };
        Ok(self.admin().deactivate_automation(request).await?.into_inner().automation.unwrap())
    }

    /// A new automation that fires.
    pub(super) async fn active(&self) -> wire::Automation {
        let created = self.create(automation()).await.unwrap();
        self.activate(&created.name).await.unwrap()
    }

    pub(super) async fn ingest(&self, event: Event) -> Result<wire::IngestEventResponse, Status> {
        Ok(self.producer().ingest_event(ingest(event)).await?.into_inner())
    }

    pub(super) async fn ingest_all(
        &self,
        events: Vec<Event>,
    ) -> Vec<wire::batch_ingest_events_result::Answer> {
        let request = wire::BatchIngestEventsRequest { parent: "accounts/acme".to_owned(), events };
        let response = self.producer().batch_ingest_events(request).await.unwrap().into_inner();
        response.results.into_iter().map(|result| result.answer.unwrap()).collect()
    }
}

fn in_process(builder: sluice_rpc::ServerBuilder, methods: &[&'static str], db: &TestDatabase) -> Transport {
    const INTERNAL: Access = Access::AnyOf(&[Grant::Scope(Scope::Internal)]);
    let table = AccessTable::new(methods.iter().map(|method| (*method, INTERNAL))).unwrap();
    let clock = db.time.clock();
    let server =
        builder.access(table).descriptors(proto::DESCRIPTORS).build(verifier(), move || clock.now()).unwrap();
    server.in_process("evaluator".parse().unwrap())
}

fn secret() -> Secret {
    Secret::new("s".repeat(32))
}

fn verifier() -> Verifier {
    Verifier::new("tests", vec![Key::hs256("k", &secret()).unwrap()]).unwrap()
}

/// Posts the title of a deal that has become `won`.
pub(super) fn automation() -> wire::Automation {
    let comparison = wire::Comparison {
        path: "deal.stage".to_owned(),
        operator: wire::Operator::HasChangedTo.into(),
        operands: vec![wire::Operand { kind: Some(wire::operand::Kind::Text("won".to_owned())) }],
        ignore_case: false,
    };
    wire::Automation {
        display_name: "Won deals".to_owned(),
        trigger: Some(Subscription { object: "deal".to_owned(), actions: Vec::new() }),
        condition: Some(wire::Condition { kind: Some(wire::condition::Kind::Comparison(comparison)) }),
        steps: vec![request_step("Won: {{ deal.title }}")],
        ..wire::Automation::default()
    }
}

pub(super) fn request_step(template: &str) -> wire::Step {
    let raw = wire::RawBody { content_type: "text/plain".to_owned(), template: template.to_owned() };
    let request = wire::RequestStep {
        webhook: HOOK.to_owned(),
        body: Some(wire::request_step::Body::Raw(raw)),
        ..wire::RequestStep::default()
    };
    wire::Step { kind: Some(wire::step::Kind::Request(request)) }
}

pub(super) fn delay_step(seconds: i64) -> wire::Step {
    let duration = Some(prost_types::Duration { seconds, nanos: 0 });
    wire::Step { kind: Some(wire::step::Kind::Delay(wire::DelayStep { duration })) }
}

pub(super) fn create(automation: wire::Automation) -> wire::CreateAutomationRequest {
    wire::CreateAutomationRequest {
        parent: "accounts/acme".to_owned(),
        automation: Some(automation),
        request_id: String::new(),
    }
}

/// Deal 42 of acme becomes `won`.
pub(super) fn event(id: &str) -> Event {
    Event {
        id: id.to_owned(),
        object: "deal".to_owned(),
        action: proto::event::v1::Action::Updated.into(),
        record_id: "42".to_owned(),
        current: br#"{"title":"Big one","stage":"won"}"#.as_slice().into(),
        previous: br#"{"title":"Big one","stage":"new"}"#.as_slice().into(),
        visible_to: Some(Visibility { everyone: true, users: Vec::new() }),
        ..Event::default()
    }
}

pub(super) fn ingest(event: Event) -> wire::IngestEventRequest {
    wire::IngestEventRequest { parent: "accounts/acme".to_owned(), event: Some(event) }
}

/// The refusal of a call, which must be for this reason.
#[track_caller]
pub(super) fn refused<T: std::fmt::Debug>(outcome: Result<T, Status>, reason: Reason) -> Refusal {
    let status = outcome.expect_err("the call should be refused");
    let refusal = fault_of(&status).unwrap_or_else(|| panic!("{status:?}"));
    assert_eq!(refusal.reason, reason.as_str(), "{status:?}");
    refusal
}
