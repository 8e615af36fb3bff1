//! Which calls are let in at which listener.

use proto::dispatcher::v1::dispatch_service_client::DispatchServiceClient;
use proto::dispatcher::v1::execution_service_client::ExecutionServiceClient;
use proto::dispatcher::v1::{EnqueueExecutionsRequest, ListExecutionsRequest, PutGateRequest};
use proto::evaluator::v1::IngestEventRequest;
use proto::evaluator::v1::event_service_client::EventServiceClient;
use proto::registry::v1::account_service_client::AccountServiceClient;
use proto::registry::v1::feed_service_client::FeedServiceClient;
use proto::registry::v1::webhook_service_client::WebhookServiceClient;
use proto::registry::v1::{
    DeleteWebhookRequest, ListWebhooksRequest, PutEntitlementsRequest, ResolveTargetRequest,
    WatchChangesRequest,
};
use sluice_auth::{Principal, Role, Scope, generate_ed25519};
use sluice_domain::Span;
use sluice_runtime::Clock;
use sluice_tests::requests::{automation_webhook, won};
use sluice_tests::{Backend, Badge, Deployment, House, PARENT, Service, on_each_backend, signer};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

on_each_backend!(
    internal_calls_are_not_served_in_public,
    nobody_but_our_own_services_is_let_in_inside,
    our_own_services_token_opens_nothing_in_public,
);

fn code<T>(answer: Result<Response<T>, Status>) -> Code {
    answer.err().map_or(Code::Ok, |refused| refused.code())
}

fn internal_badge(house: &House) -> Badge {
    Badge::of(&house.token("probe", &[], &[Scope::Internal, Scope::AccountsAny]))
}

/// Every internal call, at these listeners of the registry and the dispatcher.
async fn internal_calls(registry: &Channel, dispatcher: &Channel, badge: &Badge, webhook: &str) -> [Code; 4] {
    let mut feed = FeedServiceClient::with_interceptor(registry.clone(), badge.clone());
    let mut dispatch = DispatchServiceClient::with_interceptor(dispatcher.clone(), badge.clone());
    [
        code(feed.resolve_target(ResolveTargetRequest { name: webhook.to_owned() }).await),
        code(feed.watch_changes(WatchChangesRequest { cursor: 0 }).await),
        code(dispatch.enqueue_executions(EnqueueExecutionsRequest { items: Vec::new() }).await),
        code(dispatch.put_gate(PutGateRequest::default()).await),
    ]
}

async fn internal_calls_are_not_served_in_public(backend: Backend) {
    let house = House::open(Deployment::three_processes(backend)).await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", "http://127.0.0.1:8080/in")).await;
    let public = |service| house.channels(service).remove(0);
    let inside = |service| house.channels(service).remove(1);
    let ours = internal_badge(&house);
    // The same calls are let in where they belong; the dispatcher then finds the empty gate wrong.
    let (registry, dispatcher) = (inside(Service::Registry), inside(Service::Dispatcher));
    let codes = internal_calls(&registry, &dispatcher, &ours, &webhook).await;
    assert_eq!(codes, [Code::Ok, Code::Ok, Code::Ok, Code::InvalidArgument]);

    let admin = Badge::of(&house.token("ada", &[Role::GlobalAdmin], &[]));
    for badge in [&ours, &admin, &Badge::default()] {
        let (registry, dispatcher) = (public(Service::Registry), public(Service::Dispatcher));
        let codes = internal_calls(&registry, &dispatcher, badge, &webhook).await;
        assert_eq!(codes, [Code::Unimplemented; 4]);
        let evaluator = public(Service::Evaluator);
        let codes = internal_calls(&evaluator, &evaluator, badge, &webhook).await;
        assert_eq!(codes, [Code::Unimplemented; 4]);
    }
}

async fn nobody_but_our_own_services_is_let_in_inside(backend: Backend) {
    let house = House::open(Deployment::three_processes(backend)).await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", "http://127.0.0.1:8080/in")).await;
    let inside = |service| house.channels(service).remove(1);
    let (registry, dispatcher) = (inside(Service::Registry), inside(Service::Dispatcher));
    let outsiders = [
        house.token("ada", &[Role::GlobalAdmin], &[]),
        house.token("crm", &[], &[Scope::EventsWrite, Scope::AccountsAny]),
        house.token("billing", &[], &[Scope::EntitlementsWrite, Scope::AccountsAny]),
    ];
    for token in outsiders {
        let codes = internal_calls(&registry, &dispatcher, &Badge::of(&token), &webhook).await;
        assert_eq!(codes, [Code::PermissionDenied; 4]);
    }
    let (another_key, _) = generate_ed25519().unwrap();
    let pretender = Principal::service("dispatcher".parse().unwrap());
    let forged = signer(&another_key).mint(&pretender, Clock::system().now(), Span::from_secs(60)).unwrap();
    for badge in [Badge::default(), Badge::of(&forged)] {
        let codes = internal_calls(&registry, &dispatcher, &badge, &webhook).await;
        assert_eq!(codes, [Code::Unauthenticated; 4]);
    }
    // What users call in public is there to be read by our own services, and by nobody to be written.
    let list = || ListWebhooksRequest { parent: PARENT.to_owned(), ..Default::default() };
    let delete = || DeleteWebhookRequest { name: webhook.clone(), etag: String::new() };
    for (badge, reading) in [
        (internal_badge(&house), Code::Ok),
        (Badge::of(&house.token("ada", &[Role::GlobalAdmin], &[])), Code::PermissionDenied),
    ] {
        let mut webhooks = WebhookServiceClient::with_interceptor(registry.clone(), badge);
        assert_eq!(code(webhooks.list_webhooks(list()).await), reading);
        assert_eq!(code(webhooks.delete_webhook(delete()).await), Code::PermissionDenied);
    }
}

async fn our_own_services_token_opens_nothing_in_public(backend: Backend) {
    let house = House::open(Deployment::three_processes(backend)).await;
    let public = |service| house.channels(service).remove(0);
    let ours = internal_badge(&house);
    let mut webhooks = WebhookServiceClient::with_interceptor(public(Service::Registry), ours.clone());
    let mut accounts = AccountServiceClient::with_interceptor(public(Service::Registry), ours.clone());
    let mut events = EventServiceClient::with_interceptor(public(Service::Evaluator), ours.clone());
    let mut executions = ExecutionServiceClient::with_interceptor(public(Service::Dispatcher), ours);
    let list = ListWebhooksRequest { parent: PARENT.to_owned(), ..Default::default() };
    let put = PutEntitlementsRequest {
        name: PARENT.to_owned(),
        plan: "enterprise".to_owned(),
        version: 9,
        period_anchor: None,
    };
    let event = IngestEventRequest { parent: PARENT.to_owned(), event: Some(won("e-1")) };
    let history = ListExecutionsRequest { parent: PARENT.to_owned(), ..Default::default() };
    let codes = [
        code(webhooks.list_webhooks(list).await),
        code(accounts.put_entitlements(put).await),
        code(events.ingest_event(event).await),
        code(executions.list_executions(history).await),
    ];
    assert_eq!(codes, [Code::PermissionDenied; 4]);
}
