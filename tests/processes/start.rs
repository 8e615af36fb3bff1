//! The processes start, whoever is first, and say what they serve.

use std::collections::BTreeSet;

use sluice_testkit::Receiver;
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{Backend, Deployment, House, Service, on_each_backend};
use tonic::transport::Channel;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

on_each_backend!(
    whoever_starts_first_all_serve_and_the_path_is_open,
    each_listener_tells_of_its_own_services_only
);

async fn whoever_starts_first_all_serve_and_the_path_is_open(backend: Backend) {
    use Service::{Dispatcher, Evaluator, Registry};
    // A service that serves before the next one starts did not wait for it.
    for order in [[Dispatcher, Evaluator, Registry], [Evaluator, Registry, Dispatcher]] {
        let mut house = House::setup(Deployment::three_processes(backend)).empty().await;
        for service in order {
            house.launch(service);
            if service == Evaluator {
                // It knows nothing of accounts before the registry told it, and says so.
                house.answers_without_serving(service).await;
            } else {
                house.serves(service).await;
            }
        }
        house.serves(Evaluator).await;
        house.put_plan("advanced").await;
        let receiver = Receiver::start().await;
        let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
        house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
        house.fires(won("e-1")).await;
        assert_eq!(receiver.wait_for(1).await.len(), 1);
    }
}

async fn each_listener_tells_of_its_own_services_only(backend: Backend) {
    let house = House::open(Deployment::three_processes(backend)).await;
    let expected: [(Service, &[&[&str]]); 3] = [
        (
            Service::Registry,
            &[
                &["sluice.registry.v1.AccountService", "sluice.registry.v1.WebhookService"],
                &[
                    "sluice.registry.v1.AccountService",
                    "sluice.registry.v1.FeedService",
                    "sluice.registry.v1.WebhookService",
                ],
            ],
        ),
        (
            Service::Evaluator,
            &[&["sluice.evaluator.v1.AutomationService", "sluice.evaluator.v1.EventService"]],
        ),
        (
            Service::Dispatcher,
            &[
                &["sluice.dispatcher.v1.ExecutionService", "sluice.dispatcher.v1.QuotaService"],
                &["sluice.dispatcher.v1.DispatchService"],
            ],
        ),
    ];
    for (service, listeners) in expected {
        let channels = house.channels(service);
        assert_eq!(channels.len(), listeners.len());
        for (channel, own) in channels.into_iter().zip(listeners) {
            let expected: BTreeSet<String> = own
                .iter()
                .chain(&["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"])
                .map(|name| (*name).to_owned())
                .collect();
            assert_eq!(services(channel).await, expected);
        }
    }
}

async fn services(channel: Channel) -> BTreeSet<String> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("a list: {answer:?}")
    };
    list.service.into_iter().map(|service| service.name).collect()
}
