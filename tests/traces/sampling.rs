//! Which traces are recorded, and what the receiver is told of that.

use proto::dispatcher::v1::ExecutionState;
use sluice_testkit::Receiver;
use sluice_tests::collector::Collector;
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{Deployment, House, PARENT, Setup, on_each_deployment, until};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const OTHER_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLERS_SPAN: &str = "b7ad6b7169203331";

on_each_deployment!(
    a_caller_who_does_not_record_is_followed_and_one_who_does_too,
    what_is_no_traceparent_begins_a_trace,
    without_a_collector_the_trace_goes_on_to_the_receiver,
);

/// A house that posts to `/in` of the receiver when a deal is won.
async fn posting(setup: Setup, receiver: &Receiver) -> House {
    let house = setup.open().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    house
}

/// Sends an event with this `traceparent` and waits for its delivery; the trace that the history shows and what the receiver was
/// told.
async fn delivered(
    house: &House,
    receiver: &Receiver,
    id: &str,
    traceparent: Option<&str>,
) -> (String, String) {
    let producer = house.producer();
    let producer = traceparent.map_or(producer.clone(), |traceparent| producer.tracing(traceparent));
    let accepted = producer.ingest(PARENT, won(id)).await.unwrap();
    let shown = house.shows(&accepted.executions[0], ExecutionState::Succeeded).await;
    (shown.trace_id, receiver.hits().last().unwrap().header("traceparent").to_owned())
}

async fn a_caller_who_does_not_record_is_followed_and_one_who_does_too(deployment: Deployment) {
    let (collector, receiver) = (Collector::start().await, Receiver::start().await);
    let setup =
        House::setup(deployment).outside().with(collector.setting()).with("telemetry.trace_ratio=0.0");
    let mut house = posting(setup, &receiver).await;
    let unrecorded = format!("00-{TRACE}-{CALLERS_SPAN}-00");
    let (shown, told) = delivered(&house, &receiver, "e-1", Some(&unrecorded)).await;
    assert_eq!(shown, TRACE);
    assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-00"), "{told}");
    assert!(!told.contains(CALLERS_SPAN), "the attempt has an id of its own: {told}");

    let recorded = format!("00-{OTHER_TRACE}-{CALLERS_SPAN}-01");
    let (_, told) = delivered(&house, &receiver, "e-2", Some(&recorded)).await;
    assert!(told.starts_with(&format!("00-{OTHER_TRACE}-")) && told.ends_with("-01"), "{told}");

    let (_, told) = delivered(&house, &receiver, "e-3", None).await;
    assert!(told.ends_with("-00"), "none of the traces that begin here is recorded: {told}");
    house.stop().await;
    let traces: Vec<_> = collector.told().into_iter().map(|span| span.trace_id).collect();
    assert!(!traces.is_empty() && traces.iter().all(|trace| trace == OTHER_TRACE), "{traces:?}");
}

async fn what_is_no_traceparent_begins_a_trace(deployment: Deployment) {
    let (collector, receiver) = (Collector::start().await, Receiver::start().await);
    let house = posting(House::setup(deployment).outside().with(collector.setting()), &receiver).await;
    let broken = [
        format!("00-{}-{CALLERS_SPAN}-01", "0".repeat(32)),
        format!("ff-{TRACE}-{CALLERS_SPAN}-01"),
        format!("00-{TRACE}-{CALLERS_SPAN}-01-more"),
        "canary".to_owned(),
    ];
    for (at, traceparent) in broken.iter().enumerate() {
        let (shown, told) = delivered(&house, &receiver, &format!("e-{at}"), Some(traceparent)).await;
        assert_ne!(shown, TRACE);
        assert!(told.starts_with(&format!("00-{shown}-")) && told.ends_with("-01"), "{told}");
        let ingest = until("the call is told", async || {
            let mut spans = collector.of_trace(&shown).into_iter();
            spans.find(|span| span.name.ends_with("/IngestEvent"))
        });
        assert_eq!(ingest.await.parent, "");
    }
}

async fn without_a_collector_the_trace_goes_on_to_the_receiver(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let house = posting(House::setup(deployment).outside(), &receiver).await;
    let recorded = format!("00-{TRACE}-{CALLERS_SPAN}-01");
    let (shown, told) = delivered(&house, &receiver, "e-1", Some(&recorded)).await;
    assert_eq!(shown, TRACE);
    assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-01"), "{told}");
    let (shown, told) = delivered(&house, &receiver, "e-2", None).await;
    assert!(shown != TRACE && told.starts_with(&format!("00-{shown}-")) && told.ends_with("-00"), "{told}");
}
