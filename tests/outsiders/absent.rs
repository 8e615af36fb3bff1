//! A collector that is not there, or that takes connections and never answers: spans are lost and counted, and nothing else.

use proto::dispatcher::v1::ExecutionState;
use proto::evaluator::v1::IngestOutcome;
use sluice_runtime::Clock;
use sluice_testkit::Receiver;
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{Deployment, Hanging, House, PARENT, Shape, free_address, on_each_shape};
use tokio::task::JoinSet;

const EVENTS: usize = 120;
const CLIENTS: usize = 4;
/// At least so many spans come of one event.
const SPANS: u64 = 7;
/// How long the processes may take to end: the last spans are waited for, but not for ever.
const ENDS_WITHIN_MS: u128 = 12_000;

on_each_shape!(
    without_a_collector_all_is_accepted_and_delivered_and_the_lost_spans_are_counted,
    a_collector_that_hangs_holds_nobody_up_and_the_lost_spans_are_counted,
);

async fn without_a_collector_all_is_accepted_and_delivered_and_the_lost_spans_are_counted(
    deployment: Deployment,
) {
    goes_on(deployment, &free_address().to_string()).await;
}

async fn a_collector_that_hangs_holds_nobody_up_and_the_lost_spans_are_counted(deployment: Deployment) {
    let hanging = Hanging::start().await;
    goes_on(deployment, &hanging.address().to_string()).await;
    assert_ne!(hanging.connections(), 0, "it was asked");
}

async fn goes_on(deployment: Deployment, collector: &str) {
    let setup = House::setup(deployment).outside();
    let mut house = setup.with(format!("telemetry.otlp_endpoint=http://{collector}")).open().await;
    let receiver = Receiver::start().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;

    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let producer = house.producer();
        clients.spawn(async move {
            for number in (client..EVENTS).step_by(CLIENTS) {
                let answer = producer.ingest(PARENT, won(&format!("e-{number}"))).await.unwrap();
                assert_eq!(answer.outcome(), IngestOutcome::Accepted);
            }
        });
    }
    clients.join_all().await;
    assert_eq!(receiver.wait_for(EVENTS).await.len(), EVENTS);
    let all = house.all_ended().await;
    assert_eq!(all.len(), EVENTS);
    assert!(all.iter().all(|execution| execution.state() == ExecutionState::Succeeded));
    assert_eq!(receiver.hits().len(), EVENTS);

    let began = Clock::system().now();
    house.stop().await;
    let took = Clock::system().now().since(began).to_duration();
    assert!(took.as_millis() < ENDS_WITHIN_MS, "{took:?}");
    let lost = lost(&house.said());
    let processes = if deployment.shape == Shape::OneProcess { 1 } else { 3 };
    assert_eq!(lost.len(), processes, "each process says how many spans were lost: {lost:?}");
    let least = SPANS * u64::try_from(EVENTS).unwrap();
    assert!(lost.iter().sum::<u64>() >= least, "at least {least} spans ended: {lost:?}");
}

/// How many spans each process lost, as it says when it ends; in JSON or in text.
fn lost(said: &str) -> Vec<u64> {
    let last = said.lines().filter(|line| line.contains("spans never reached the collector"));
    let figure = |line: &str| {
        let (_, rest) = line.split_once("spans.lost_in_all").expect("a figure");
        let rest = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
        rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok())
    };
    last.map(|line| figure(line).unwrap_or_else(|| panic!("a number: {line}"))).collect()
}
