//! The whole path through the three processes.

use proto::dispatcher::v1::{AttemptOutcome, ExecutionState};
use proto::evaluator::v1::IngestOutcome;
use sluice_testkit::Receiver;
use sluice_tests::requests::{automation, automation_webhook, event_webhook, noted, post, won};
use sluice_tests::{Backend, Deployment, House, PARENT, Service, micros, on_each_backend};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLERS_SPAN: &str = "b7ad6b7169203331";

on_each_backend!(an_event_is_delivered_through_the_three_processes_in_its_callers_trace);

async fn an_event_is_delivered_through_the_three_processes_in_its_callers_trace(backend: Backend) {
    let mut house = House::open(Deployment::three_processes(backend)).await;
    let receiver = Receiver::start().await;
    let (webhook, secret) = house.webhook(automation_webhook("Shop", &receiver.url("/shop"))).await;
    let (notes, notes_secret) = house.webhook(event_webhook("Notes", &receiver.url("/notes"), "note")).await;
    let template = r#"{"title": "{{ deal.title }}"}"#;
    let automation = house.automation(automation("Tell the shop", [post(&webhook, template)])).await;

    let producer = house.producer().tracing(&format!("00-{TRACE}-{CALLERS_SPAN}-01"));
    let accepted = producer.ingest(PARENT, won("e-1")).await.unwrap();
    assert_eq!(accepted.outcome(), IngestOutcome::Accepted);
    let name = accepted.executions[0].clone();
    let shown = house.shows(&name, ExecutionState::Succeeded).await;
    let noted = house.fires(noted("e-2")).await;
    let of_note = house.shows(&noted, ExecutionState::Succeeded).await;

    let [hit] = &receiver.hits_at("/shop")[..] else { panic!("one hit: {:?}", receiver.hits()) };
    assert_eq!(hit.text(), r#"{"title": "Big one"}"#);
    assert!(name.ends_with(hit.header("sluice-execution")));
    let sent: Vec<&str> = hit.header("traceparent").split('-').collect();
    assert_eq!(sent[1], TRACE);
    assert_ne!(sent[2], CALLERS_SPAN, "the attempt has a span of its own");
    assert_eq!(receiver.hits_at("/notes").len(), 1);

    assert_eq!((shown.automation.as_str(), shown.trace_id.as_str()), (automation.as_str(), TRACE));
    assert_ne!(of_note.trace_id, TRACE);
    let [delivery] = &shown.deliveries[..] else { panic!("one delivery: {shown:?}") };
    assert_eq!((delivery.id.as_str(), delivery.webhook.as_str()), (hit.header("webhook-id"), &*webhook));
    let [attempt] = &delivery.attempts[..] else { panic!("one attempt: {delivery:?}") };
    assert_eq!(
        (attempt.outcome(), attempt.answer.as_ref().unwrap().status),
        (AttemptOutcome::Succeeded, 200)
    );
    assert!(micros(attempt.start_time) <= micros(attempt.end_time));
    assert_eq!(of_note.deliveries[0].webhook, notes);

    let history = house.history().await;
    let names: Vec<&str> = history.iter().map(|execution| execution.name.as_str()).collect();
    assert_eq!(names, [noted.as_str(), name.as_str()]);

    let again = producer.ingest(PARENT, won("e-1")).await.unwrap();
    assert_eq!((again.outcome(), again.executions), (IngestOutcome::Repeated, vec![name]));
    for service in Service::ALL {
        let said = house.process(service).said();
        assert!(said.contains("\"starting\""), "it tells its settings: {said}");
        let secrets = house.secrets().iter().map(|secret| secret.expose());
        for secret in secrets.chain([secret.as_str(), &notes_secret]) {
            assert!(!said.contains(secret.trim()), "{} tells a secret", service.binary());
        }
    }
}
