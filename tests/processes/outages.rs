//! When a process is down, the others go on with what they have, and say what they can't do.

use proto::dispatcher::v1::{EndReason, ExecutionState};
use proto::evaluator::v1::IngestOutcome;
use sluice_domain::WebhookId;
use sluice_testkit::Receiver;
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{Backend, Deployment, House, PARENT, Service, assert_unavailable, on_each_backend};
use tonic::Code;

on_each_backend!(
    without_a_registry_what_is_known_goes_on,
    whoever_starts_without_a_registry_says_so_and_loses_nothing,
    without_a_dispatcher_events_are_refused_until_it_is_back,
    a_stop_made_without_a_dispatcher_reaches_it_when_it_is_back,
);

async fn without_a_registry_what_is_known_goes_on(backend: Backend) {
    let mut house = House::open_on(Deployment::three_processes(backend), "tiny").await;
    let receiver = Receiver::start().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "1")])).await;
    // The feed tells in order: once a third one may start, the dispatcher has heard of the webhook, too, and what it asked
    // for then stays known.
    house.put_plan("advanced").await;
    for number in 1..=3 {
        let name = house.fires(won(&format!("e-{number}"))).await;
        house.shows(&name, ExecutionState::Succeeded).await;
    }
    house.kill(Service::Registry);

    let delivered = house.fires(won("e-4")).await;
    house.shows(&delivered, ExecutionState::Succeeded).await;
    assert_eq!(receiver.hits().len(), 4);
    let admin = house.admin();
    let known = automation("From the replica", [post(&webhook, "2")]);
    let created = admin.create_automation(PARENT, known).await.unwrap();
    admin.activate(&created.name).await.unwrap();
    let both = house.producer().ingest(PARENT, won("e-5")).await.unwrap();
    assert_eq!(both.executions.len(), 2);
    let nowhere = format!("{PARENT}/webhooks/{}", WebhookId::from_bytes([9; 16]));
    let unknown =
        admin.create_automation(PARENT, automation("Nowhere", [post(&nowhere, "3")])).await.unwrap_err();
    assert_eq!((unknown.code, &*unknown.reason), (Code::FailedPrecondition, "WEBHOOK_UNKNOWN"));

    house.back(Service::Registry).await;
    let (new, _) = house.webhook(automation_webhook("New", &receiver.url("/new"))).await;
    house.automation(automation("Tell the new one", [post(&new, "4")])).await;
    let three = house.producer().ingest(PARENT, won("e-6")).await.unwrap();
    assert_eq!(three.executions.len(), 3);
    for name in three.executions.iter().chain(&both.executions) {
        house.shows(name, ExecutionState::Succeeded).await;
    }
    assert_eq!(receiver.hits_at("/new").len(), 1);
}

async fn whoever_starts_without_a_registry_says_so_and_loses_nothing(backend: Backend) {
    let mut house = House::open(Deployment::three_processes(backend)).await;
    let receiver = Receiver::start().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    let tell = automation("Tell the shop", [post(&webhook, "1")]);
    house.automation(tell.clone()).await;
    house.kill(Service::Registry);

    // A dispatcher that never heard where the webhook is.
    house.kill(Service::Dispatcher);
    house.back(Service::Dispatcher).await;
    let waiting = house.fires_once_taken(won("e-1")).await;

    // An evaluator that never heard of the account.
    house.kill(Service::Evaluator);
    house.launch(Service::Evaluator);
    house.answers_without_serving(Service::Evaluator).await;
    assert_unavailable(house.producer().ingest(PARENT, won("e-2")).await);
    assert_unavailable(house.admin().create_automation(PARENT, tell).await);
    let held = house.execution(&waiting).await;
    assert_eq!((held.attempt_count, held.end), (0, None));
    assert!(receiver.hits().is_empty());

    house.back(Service::Registry).await;
    let later = house.fires_once_taken(won("e-2")).await;
    for name in [waiting, later] {
        let shown = house.shows(&name, ExecutionState::Succeeded).await;
        assert_eq!(shown.attempt_count, 1);
    }
    assert_eq!(receiver.hits().len(), 2);
}

async fn without_a_dispatcher_events_are_refused_until_it_is_back(backend: Backend) {
    let mut house = House::open(Deployment::three_processes(backend)).await;
    let receiver = Receiver::start().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "1")])).await;
    house.kill(Service::Dispatcher);
    for _ in 0..2 {
        assert_unavailable(house.producer().ingest(PARENT, won("e-1")).await);
    }
    house.back(Service::Dispatcher).await;
    let name = house.fires_once_taken(won("e-1")).await;
    house.shows(&name, ExecutionState::Succeeded).await;
    let again = house.producer().ingest(PARENT, won("e-1")).await.unwrap();
    assert_eq!((again.outcome(), again.executions), (IngestOutcome::Repeated, vec![name]));
    assert_eq!(receiver.hits().len(), 1);
}

async fn a_stop_made_without_a_dispatcher_reaches_it_when_it_is_back(backend: Backend) {
    let setup = House::setup(Deployment::three_processes(backend)).with("evaluator.stops_interval=100ms");
    let mut house = setup.on_plan("tiny").open().await;
    let receiver = Receiver::start().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    let automation = house.automation(automation("Tell the shop", [post(&webhook, "1")])).await;
    for number in 1..=2 {
        let name = house.fires(won(&format!("e-{number}"))).await;
        house.shows(&name, ExecutionState::Succeeded).await;
    }
    let paused = house.fires(won("e-3")).await;
    house.shows(&paused, ExecutionState::Paused).await;

    house.kill(Service::Dispatcher);
    house.admin().deactivate(&automation).await.unwrap();
    // The outbox outlives the evaluator, too.
    house.kill(Service::Evaluator);
    house.back(Service::Evaluator).await;
    house.back(Service::Dispatcher).await;
    let stopped = house.shows(&paused, ExecutionState::Stopped).await;
    assert_eq!(stopped.end.unwrap().reason(), EndReason::AutomationDeactivated);
    house.put_plan("advanced").await;
    let answer = house.producer().ingest(PARENT, won("e-4")).await.unwrap();
    assert_eq!(answer.outcome(), IngestOutcome::NoMatch);
    assert_eq!(receiver.hits().len(), 2);
}
