//! SIGTERM: what is under way ends, and the process exits 0.

use std::collections::BTreeSet;
use std::time::Duration;

use proto::dispatcher::v1::{AttemptOutcome, ExecutionState};
use sluice_runtime::Clock;
use sluice_testkit::{Answer, Receiver};
use sluice_tests::ledgers::{Ledgers, Standing};
use sluice_tests::producer::Load;
use sluice_tests::requests::{automation, automation_webhook, deal, delay, post, titled, won};
use sluice_tests::{
    Backend, Deployment, House, Service, Shape, figures, on_each_backend, on_each_deployment, until,
};

/// Half of what the houses of three processes give a service to drain.
const DRAIN_WITHIN: Duration = Duration::from_secs(15);
/// Where the two requests of an execution go under load.
const PATHS: [&str; 2] = ["/first", "/then"];
/// Producers under load, one event after another.
const PRODUCERS: usize = 4;
/// Requests that the receiver has and has not answered when a process is told to end, at least.
const ON_THE_WIRE: usize = 8;
/// Executions that were accepted and have not started by then, at least.
const QUEUED: usize = 50;
/// Requests that went well since the process was started, at least.
const SENT: usize = 100;
/// The mean delay of retries in microseconds, as the houses have it at least.
const RETRY_AFTER: i64 = 50_000;

on_each_deployment!(under_load_no_accept_fails_with_one_retry_and_nothing_is_sent_twice);
on_each_backend!(each_ends_in_order_within_its_time, a_request_on_the_wire_is_ended_and_recorded_first);

/// Ends the process; checks that it ends well and in time.
async fn drained(house: &mut House, service: Service) {
    house.process(service).terminate();
    ends_well(house, service).await;
}

/// Waits until the process that was told to end has; checks that it did so well and in time.
async fn ends_well(house: &mut House, service: Service) {
    let began = Clock::system().now();
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

/// Whom each SIGTERM goes to: ten over the four deployments, with `SLUICE_TEST_SIZE=full` ten or more in each.
fn victims(shape: Shape) -> Vec<Service> {
    let full = sluice_testkit::full_size();
    match shape {
        Shape::OneProcess => vec![Service::Dispatcher; if full { 10 } else { 2 }],
        Shape::ThreeProcesses => {
            [Service::Dispatcher, Service::Evaluator, Service::Registry].repeat(if full { 4 } else { 1 })
        }
    }
}

async fn under_load_no_accept_fails_with_one_retry_and_nothing_is_sent_twice(deployment: Deployment) {
    let receiver = Receiver::start().await;
    // More is accepted than has a seat.
    let setup =
        House::setup(deployment).outside().on_plan("boundless").with("dispatcher.delivery.in_flight=16");
    let mut house = setup.open().await;
    let [first, then] = PATHS.map(|path| automation_webhook(path, &receiver.url(path)));
    let (first, then) = (house.webhook(first).await.0, house.webhook(then).await.0);
    house.automation(titled("two", [post(&first, "1"), delay(1), post(&then, "2")])).await;
    let doors = Service::ALL.iter().flat_map(|service| house.channels(*service)).collect();
    let load = Load::start_at(doors, &house.producer(), PRODUCERS, |producer, number| {
        deal(&format!("load-{producer}-{number}"), "two")
    });
    let victims = victims(deployment.shape);
    let mut ends = Vec::new();
    for service in &victims {
        ends.push(ends_under_load(&mut house, &receiver, *service).await);
        house.back(*service).await;
    }
    let told = load.stop().await;
    house.rests().await;

    let ledgers = Ledgers::read(&house, &receiver, told.acknowledged.clone(), RETRY_AFTER).await;
    let standing = ends.iter().map(|end| ledgers.standing_at(*end)).collect::<Vec<_>>();
    figures(format_args!(
        "{} x SIGTERM under load, {deployment}, at {standing:?}: {told}; {ledgers}",
        ends.len()
    ));
    let enough =
        |Standing { on_the_wire, paused, .. }: &Standing| *on_the_wire >= ON_THE_WIRE && *paused >= QUEUED;
    assert!(standing.iter().all(enough), "{standing:?}");
    assert_eq!((&*told.refused, told.later), (&[][..], 0), "accepts that failed with one retry");
    assert_eq!(ledgers.violations(&[]), Vec::<String>::new());
    let hits = receiver.hits();
    let deliveries: BTreeSet<&str> = hits.iter().map(|hit| hit.header("webhook-id")).collect();
    assert_eq!((hits.len(), deliveries.len()), (2 * told.accepted(), 2 * told.accepted()), "duplicates");
    assert_eq!(
        ledgers.count(AttemptOutcome::Succeeded),
        hits.len(),
        "each was answered, and is on record as that"
    );
}

/// Tells a process to end while requests are on the wire, which are answered only once it is on its way down; when it was told.
async fn ends_under_load(house: &mut House, receiver: &Receiver, service: Service) -> i64 {
    receiver.wait_for(receiver.hits().len() + SENT).await;
    for path in PATHS {
        receiver.script(path, [Answer::hang()]);
    }
    // Counted where they are held: some may have come between the first script and the last.
    receiver.wait_until_held(ON_THE_WIRE).await;
    until("work has queued", async || (house.count(ExecutionState::Queued).await >= QUEUED).then_some(()))
        .await;
    let earlier = times_told(house, service);
    let told = Clock::system().now().as_micros();
    house.process(service).terminate();
    until("the process drains", async || (times_told(house, service) > earlier).then_some(())).await;
    let dialled = receiver.hits().len();
    for path in PATHS {
        receiver.script(path, [Answer::status(200)]);
    }
    receiver.release();
    ends_well(house, service).await;
    if service == Service::Dispatcher {
        assert_eq!(receiver.hits().len(), dialled, "seats are free again, and nothing more is dialled");
    }
    told
}

fn times_told(house: &mut House, service: Service) -> usize {
    house.process(service).said().matches("shutting down").count()
}
