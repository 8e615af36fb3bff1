//! SIGTERM: what is under way ends, and the process exits 0.

use std::time::Duration;

use proto::dispatcher::v1::ExecutionState;
use sluice_runtime::Clock;
use sluice_testkit::{Answer, Receiver};
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{Backend, Deployment, House, Service, on_each_backend, until};

/// What the houses of three processes give a service to drain.
const DRAIN_WITHIN: Duration = Duration::from_secs(15);

on_each_backend!(each_ends_in_order_within_its_time, a_request_on_the_wire_is_ended_and_recorded_first);

/// Waits until the process has ended; checks that it did so well and in time.
async fn drained(house: &mut House, service: Service) {
    let began = Clock::system().now();
    house.process(service).terminate();
    let status = house.process(service).end_of().await;
    let took = Clock::system().now().since(began).to_duration();
    let said = house.process(service).said();
    assert!(status.success(), "{}: {status}: {said}", service.binary());
    assert!(took < DRAIN_WITHIN, "{}: {took:?}", service.binary());
    assert!(!said.contains("cut off"), "calls were cut off: {said}");
}

async fn each_ends_in_order_within_its_time(backend: Backend) {
    for order in [Service::ALL, [Service::Dispatcher, Service::Evaluator, Service::Registry]] {
        let mut house = House::open(Deployment::three_processes(backend)).await;
        let receiver = Receiver::start().await;
        let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
        house.automation(automation("Tell the shop", [post(&webhook, "1")])).await;
        let name = house.fires(won("e-1")).await;
        house.shows(&name, ExecutionState::Succeeded).await;
        // Connections of ours and watches of theirs are open all the while.
        for service in order {
            drained(&mut house, service).await;
        }
    }
}

async fn a_request_on_the_wire_is_ended_and_recorded_first(backend: Backend) {
    let mut house = House::open(Deployment::three_processes(backend)).await;
    let receiver = Receiver::start().await;
    receiver.script("/slow", [Answer::hang()]);
    let (webhook, _) = house.webhook(automation_webhook("Slow", &receiver.url("/slow"))).await;
    house.automation(automation("Tell", [post(&webhook, "1")])).await;
    let name = house.fires(won("e-1")).await;
    receiver.wait_for(1).await;
    house.process(Service::Dispatcher).terminate();
    until("the dispatcher drains", async || {
        house.process(Service::Dispatcher).said().contains("shutting down").then_some(())
    })
    .await;
    assert_eq!(house.process(Service::Dispatcher).status(), None, "it waits for the answer");
    receiver.release();
    assert!(house.process(Service::Dispatcher).end_of().await.success());

    house.back(Service::Dispatcher).await;
    let shown = house.shows(&name, ExecutionState::Succeeded).await;
    assert_eq!((shown.attempt_count, receiver.hits().len()), (1, 1));
}
