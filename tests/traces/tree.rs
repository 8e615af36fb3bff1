//! The spans of one event, from ingest to the receiver.

use std::collections::BTreeSet;

use proto::dispatcher::v1::ExecutionState;
use sluice_testkit::{Answer, Receiver};
use sluice_tests::collector::{Collector, SpanKind, Told};
use sluice_tests::requests::{automation, automation_webhook, event_webhook, post, won};
use sluice_tests::{Backend, Deployment, House, PARENT, Service, Shape, on_each_deployment, until};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLERS_SPAN: &str = "b7ad6b7169203331";
const INGEST: &str = "sluice.evaluator.v1.EventService/IngestEvent";
const ENQUEUE: &str = "sluice.dispatcher.v1.DispatchService/EnqueueExecutions";
const RESOLVE: &str = "sluice.registry.v1.FeedService/ResolveTarget";

on_each_deployment!(
    an_event_and_its_attempts_are_one_tree_below_the_callers_span,
    an_attempt_after_a_restart_belongs_to_the_trace_and_points_to_the_one_before,
    a_batch_has_one_enqueueing_and_a_judgement_for_each_event_that_fires,
    a_refusal_says_its_reason_and_is_no_failure_of_ours,
    questions_about_health_leave_no_spans,
);

async fn traced(deployment: Deployment, collector: &Collector) -> House {
    // Spans go their way whatever the log filter says.
    let setup = House::setup(deployment).outside().with(collector.setting()).with("telemetry.filter=off");
    setup.open().await
}

/// The one span of this name and kind.
fn one<'a>(spans: &'a [Told], name: &str, kind: SpanKind) -> &'a Told {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name && span.kind == kind).collect();
    let [span] = found[..] else { panic!("one {name} of kind {kind:?}: {spans:#?}") };
    span
}

/// The spans of the attempts, by number.
fn attempts(spans: &[Told]) -> Vec<&Told> {
    let mut attempts: Vec<_> =
        spans.iter().filter(|span| span.attributes.contains_key("sluice.attempt.number")).collect();
    attempts.sort_by_key(|span| span.attributes["sluice.attempt.number"].parse::<i64>().unwrap());
    attempts
}

async fn with_attempts(collector: &Collector, trace: &str, count: usize) -> Vec<Told> {
    until("the trace has all its attempts, its ingest and its acceptance", async || {
        let spans = collector.of_trace(trace);
        let whole = attempts(&spans).len() == count
            && ["accept", "enqueue", "evaluate"]
                .iter()
                .all(|name| spans.iter().any(|span| span.name == *name))
            && spans.iter().any(|span| span.name.contains("EventService") && span.kind == SpanKind::Server);
        whole.then_some(spans)
    })
    .await
}

async fn an_event_and_its_attempts_are_one_tree_below_the_callers_span(deployment: Deployment) {
    let collector = Collector::start().await;
    let mut house = traced(deployment, &collector).await;
    let receiver = Receiver::start().await;
    receiver.script("/in/secret-path", [Answer::status(503), Answer::status(201)]);
    let url = receiver.url("/in/secret-path?key=canary-of-the-query");
    let (webhook, _) = house.webhook(automation_webhook("Shop", &url)).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    let producer = house.producer().tracing(&format!("00-{TRACE}-{CALLERS_SPAN}-01"));
    let accepted = producer.ingest(PARENT, won("e-1")).await.unwrap();
    let shown = house.shows(&accepted.executions[0], ExecutionState::Succeeded).await;
    let spans = with_attempts(&collector, TRACE, 2).await;
    house.stop().await;
    let spans = if spans.len() < collector.of_trace(TRACE).len() { collector.of_trace(TRACE) } else { spans };

    let ingest = one(&spans, INGEST, SpanKind::Server);
    let evaluate = one(&spans, "evaluate", SpanKind::Internal);
    let enqueue = one(&spans, "enqueue", SpanKind::Producer);
    let asked = one(&spans, ENQUEUE, SpanKind::Client);
    let answered = one(&spans, ENQUEUE, SpanKind::Server);
    let accept = one(&spans, "accept", SpanKind::Internal);
    let above = [(ingest, CALLERS_SPAN), (evaluate, &ingest.span_id), (enqueue, &ingest.span_id)];
    for (span, parent) in above.into_iter().chain([
        (asked, enqueue.span_id.as_str()),
        (answered, &asked.span_id),
        (accept, &answered.span_id),
        (one(&spans, RESOLVE, SpanKind::Client), &enqueue.span_id),
        (one(&spans, RESOLVE, SpanKind::Server), &one(&spans, RESOLVE, SpanKind::Client).span_id),
    ]) {
        assert_eq!((span.parent.as_str(), span.failed), (parent, false), "{span:#?}");
    }
    let [first, second] = attempts(&spans)[..] else { panic!("two attempts: {spans:#?}") };
    assert_eq!((&first.parent, &second.parent), (&enqueue.span_id, &enqueue.span_id));
    assert_eq!((first.name.as_str(), first.kind), ("POST", SpanKind::Client));
    assert_eq!(first.links, []);
    assert_eq!(second.links, [(TRACE.to_owned(), first.span_id.clone())]);
    assert_eq!((first.failed, second.failed), (true, false));
    let sent: Vec<_> = receiver.hits().iter().map(|hit| hit.header("traceparent").to_owned()).collect();
    let told = |span: &Told| format!("00-{TRACE}-{}-01", span.span_id);
    assert_eq!(sent, [told(first), told(second)], "the receiver is told the attempt's own span");
    let ids: BTreeSet<_> = spans.iter().map(|span| &span.span_id).collect();
    assert_eq!((ids.len(), spans.len()), (10, 10), "{spans:#?}");

    let says = |span: &Told, expected: &[(&str, &str)]| {
        for (key, value) in expected {
            assert_eq!(span.attributes.get(*key).map(String::as_str), Some(*value), "{key} of {span:#?}");
        }
    };
    let ok = [("rpc.system.name", "grpc"), ("rpc.response.status_code", "OK")];
    says(ingest, &[ok[0], ok[1], ("rpc.method", INGEST), ("sluice.account.id", "acme")]);
    says(asked, &ok);
    says(answered, &ok);
    says(
        evaluate,
        &[
            ("sluice.account.id", "acme"),
            ("sluice.event.id", "e-1"),
            ("sluice.event.object", "deal"),
            ("sluice.event.action", "updated"),
            ("sluice.event.outcome", "FIRES"),
            ("sluice.automations.considered", "1"),
            ("sluice.automations.matched", "1"),
        ],
    );
    says(enqueue, &[("sluice.events.count", "1"), ("sluice.executions.count", "1")]);
    says(accept, &[("sluice.event.id", "e-1"), ("sluice.accept.outcome", "ACCEPTED")]);
    let delivery = &shown.deliveries[0].id;
    let id = |name: &str| name.rsplit('/').next().unwrap().to_owned();
    says(
        first,
        &[
            ("http.request.method", "POST"),
            ("url.scheme", "http"),
            ("url.path", "/in/secret-path"),
            ("server.address", "127.0.0.1"),
            ("http.response.status_code", "503"),
            ("error.type", "503"),
            ("sluice.account.id", "acme"),
            ("sluice.execution.id", &id(&shown.name)),
            ("sluice.delivery.id", delivery),
            ("sluice.webhook.id", &id(&webhook)),
            ("sluice.attempt.number", "1"),
            ("sluice.attempt.outcome", "FAILED_RETRYABLE"),
        ],
    );
    says(second, &[("http.response.status_code", "201"), ("http.request.resend_count", "1")]);
    says(second, &[("sluice.attempt.number", "2"), ("sluice.attempt.outcome", "SUCCEEDED")]);
    let all = format!("{:?}", collector.told());
    assert!(!all.contains("canary-of-the-query"), "queries hold keys");

    let names = |service: Service| match deployment.shape {
        Shape::OneProcess => "sluice".to_owned(),
        Shape::ThreeProcesses => format!("sluice-{}", service.name()),
    };
    assert_eq!([ingest, evaluate, enqueue, asked].map(|span| &span.service), [&names(Service::Evaluator); 4]);
    assert_eq!([answered, accept, first].map(|span| &span.service), [&names(Service::Dispatcher); 3]);
    let overheard = asked.attributes.contains_key("server.port");
    assert_eq!(overheard, deployment.shape == Shape::ThreeProcesses, "{asked:#?}");
}

async fn an_attempt_after_a_restart_belongs_to_the_trace_and_points_to_the_one_before(
    deployment: Deployment,
) {
    let collector = Collector::start().await;
    let setup = House::setup(deployment).outside().with(collector.setting());
    let mut house = setup.with("dispatcher.retry.first=2s").with("dispatcher.retry.longest=4s").open().await;
    let receiver = Receiver::start().await;
    receiver.script("/in", [Answer::status(503), Answer::status(200)]);
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    let name = house.fires(won("e-1")).await;
    let trace = house.shows(&name, ExecutionState::Waiting).await.trace_id;
    house.restart().await;
    house.shows(&name, ExecutionState::Succeeded).await;
    let spans = with_attempts(&collector, &trace, 2).await;
    let [first, second] = attempts(&spans)[..] else { panic!("two attempts: {spans:#?}") };
    assert_eq!(second.links, [(trace.clone(), first.span_id.clone())]);
    assert_eq!(first.parent, second.parent);
    let ingest = one(&spans, INGEST, SpanKind::Server);
    assert_eq!(ingest.parent, "", "a call without a traceparent begins a trace");
}

async fn a_batch_has_one_enqueueing_and_a_judgement_for_each_event_that_fires(deployment: Deployment) {
    let collector = Collector::start().await;
    let house = traced(deployment, &collector).await;
    let receiver = Receiver::start().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    let mut cold = won("e-3");
    cold.object = "note".to_owned();
    let producer = house.producer().tracing(&format!("00-{TRACE}-{CALLERS_SPAN}-01"));
    producer.ingest_batch(PARENT, vec![won("e-1"), won("e-2"), cold]).await.unwrap();
    let spans = until("both attempts and both acceptances are told", async || {
        let spans = collector.of_trace(TRACE);
        let accepted = spans.iter().filter(|span| span.name == "accept").count();
        let called = spans.iter().any(|span| span.name.ends_with("/BatchIngestEvents"));
        (attempts(&spans).len() == 2 && accepted == 2 && called).then_some(spans)
    })
    .await;
    let enqueue = one(&spans, "enqueue", SpanKind::Producer);
    assert_eq!(enqueue.attributes["sluice.events.count"], "2");
    assert!(attempts(&spans).iter().all(|attempt| attempt.parent == enqueue.span_id));
    let judged: BTreeSet<_> = spans
        .iter()
        .filter(|span| span.name == "evaluate")
        .map(|span| span.attributes["sluice.event.id"].as_str())
        .collect();
    assert_eq!(judged, ["e-1", "e-2"].into());
}

async fn a_refusal_says_its_reason_and_is_no_failure_of_ours(deployment: Deployment) {
    let collector = Collector::start().await;
    let house = traced(deployment, &collector).await;
    let receiver = Receiver::start().await;
    let url = receiver.url("/in");
    let (webhook, _) = house.webhook(event_webhook("All deals", &url, "deal")).await;
    house.heard_of(&webhook).await;
    let producer = house.producer().tracing(&format!("00-{TRACE}-{CALLERS_SPAN}-01"));
    producer.ingest(PARENT, won("e-1")).await.unwrap();
    let mut other = won("e-1");
    other.record_id = "43".to_owned();
    assert_eq!(producer.ingest(PARENT, other).await.unwrap_err().reason, "EVENT_ID_REUSED");
    let refused = until("the refused call is told", async || {
        let mut spans = collector.of_trace(TRACE).into_iter();
        spans.find(|span| {
            span.attributes.get("sluice.error.reason").is_some_and(|why| why == "EVENT_ID_REUSED")
        })
    })
    .await;
    assert_eq!((refused.kind, refused.failed), (SpanKind::Server, false));
    assert_eq!(refused.attributes["rpc.response.status_code"], "ALREADY_EXISTS");
    let outcome = |span: &Told| span.attributes.get("sluice.accept.outcome").cloned();
    until("the acceptance that was none is told", async || {
        let told = collector.of_trace(TRACE);
        told.iter().any(|span| outcome(span).as_deref() == Some("EVENT_ID_REUSED")).then_some(())
    })
    .await;
}

async fn questions_about_health_leave_no_spans(deployment: Deployment) {
    let collector = Collector::start().await;
    let mut house = traced(deployment, &collector).await;
    for service in Service::ALL {
        house.serves(service).await;
    }
    house.stop().await;
    let told = collector.told();
    assert!(told.iter().any(|span| span.name.ends_with("/PutEntitlements")), "{told:#?}");
    let ours = |span: &Told| span.name.starts_with("sluice.");
    assert!(told.iter().all(ours), "{told:#?}");
}

/// A lease is the timeout and fifteen seconds, so this is tried once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_was_cut_off_is_told_of_by_whoever_takes_its_work_back() {
    let collector = Collector::start().await;
    let setup = House::setup(Deployment::three_processes(Backend::Sqlite)).with(collector.setting());
    let setup = ["connect_timeout", "first_byte_timeout", "timeout"]
        .iter()
        .fold(setup, |setup, key| setup.with(format!("dispatcher.delivery.{key}=1s")));
    let mut house = setup.open().await;
    let receiver = Receiver::start().await;
    receiver.script("/in", [Answer::hang(), Answer::status(200)]);
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    let name = house.fires(won("e-1")).await;
    until("the receiver has the request", async || (!receiver.hits().is_empty()).then_some(())).await;
    house.kill(Service::Dispatcher);
    house.back(Service::Dispatcher).await;
    let trace = house.shows(&name, ExecutionState::Succeeded).await.trace_id;
    let spans = until("both attempts are told", async || {
        let spans = collector.of_trace(&trace);
        (attempts(&spans).len() == 2).then_some(spans)
    })
    .await;
    let [cut_off, second] = attempts(&spans)[..] else { panic!("two attempts: {spans:#?}") };
    assert!(receiver.hits()[0].header("traceparent").contains(&cut_off.span_id), "{cut_off:#?}");
    assert_eq!(
        (cut_off.attributes["sluice.attempt.outcome"].as_str(), cut_off.failed),
        ("INTERRUPTED", true)
    );
    assert_eq!(second.links, [(trace, cut_off.span_id.clone())]);
    assert_eq!(cut_off.parent, second.parent);
    let said = house.said();
    let line = said.lines().find(|line| line.contains("INTERRUPTED")).unwrap();
    assert!(line.contains(&cut_off.span_id) && line.contains("delivery.attempted"), "{line}");
}
