//! The spans of one event, as a collector that nobody here wrote took them: one trace from the caller to the receiver.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proto::dispatcher::v1::ExecutionState;
use proto::registry::v1::authentication::Kind;
use proto::registry::v1::{ApiKeyAuthentication, BasicAuthentication};
use sluice_domain::Secret;
use sluice_testkit::{Answer, Hit, Receiver};
use sluice_tests::requests::{authenticated_webhook, automation, post, won};
use sluice_tests::{CollectedSpan, Deployment, House, PARENT, Rotel, Shape, on_each_shape};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLERS_SPAN: &str = "b7ad6b7169203331";

const KEY: &str = "canary-key-b20e6d35";
const PASSWORD: &str = "canary-password-77e1";
const BASIC: &str = "QWxhZGRpbjpjYW5hcnktcGFzc3dvcmQtNzdlMQ==";
const IN_THE_URL: &str = "canary-in-the-url-90aa";

/// Indented by whose child a span is; children in the order of their start.
const TREE: &str = "\
sluice.evaluator.v1.EventService/IngestEvent SERVER evaluator
  evaluate INTERNAL evaluator
  enqueue PRODUCER evaluator
    sluice.dispatcher.v1.DispatchService/EnqueueExecutions CLIENT evaluator
      sluice.dispatcher.v1.DispatchService/EnqueueExecutions SERVER dispatcher
        accept INTERNAL dispatcher
    sluice.registry.v1.FeedService/ResolveTarget CLIENT dispatcher
      sluice.registry.v1.FeedService/ResolveTarget SERVER registry
    POST CLIENT dispatcher
    POST CLIENT dispatcher
";

on_each_shape!(one_events_spans_are_one_tree_from_the_caller_to_the_receiver);

async fn one_events_spans_are_one_tree_from_the_caller_to_the_receiver(deployment: Deployment) {
    let collector = Rotel::start().await;
    let setup = House::setup(deployment).outside();
    let mut house = setup.with(format!("telemetry.otlp_endpoint={}", collector.endpoint())).open().await;
    let receiver = Receiver::start().await;
    receiver.script("/shop", [Answer::status(503), Answer::status(200)]);
    let api_key = ApiKeyAuthentication { header: "x-api-key".to_owned(), key: KEY.to_owned() };
    let url = receiver.url(&format!("/shop?key={IN_THE_URL}"));
    let (webhook, signing_secret) =
        house.webhook(authenticated_webhook("Shop", &url, Kind::ApiKey(api_key))).await;
    let basic = BasicAuthentication { username: "Aladdin".to_owned(), password: PASSWORD.to_owned() };
    house.webhook(authenticated_webhook("Other", &receiver.url("/other"), Kind::Basic(basic))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;

    let producer = house.producer().tracing(&format!("00-{TRACE}-{CALLERS_SPAN}-01"));
    let accepted = producer.ingest(PARENT, won("e-1")).await.unwrap();
    house.shows(&accepted.executions[0], ExecutionState::Succeeded).await;
    // What fails is told, too, and must not tell too much.
    let foreign = house.forger().get_execution(&accepted.executions[0]).await;
    assert_eq!(foreign.unwrap_err().reason, "UNAUTHENTICATED");
    house.stop().await;
    let collected = collector.end().await;

    let spans = collected.trace(TRACE);
    assert_eq!(tree(&spans, CALLERS_SPAN, 0), in_shape(TREE, deployment.shape), "{spans:#?}");
    assert_eq!(spans.len(), TREE.lines().count(), "no span of the trace hangs elsewhere: {spans:#?}");
    assert!(spans.iter().all(|span| span.start <= span.end), "{spans:#?}");
    attempts(&spans, &receiver.hits());
    attributes(&spans, &accepted.executions[0], &webhook);

    let mut secrets: Vec<&str> = house.secrets().iter().map(Secret::expose).collect();
    // Whoever's token it is, it begins like this one.
    let token = house.token("ada", &[], &[]);
    secrets.push(token.split('.').next().unwrap());
    secrets.extend([KEY, PASSWORD, BASIC, IN_THE_URL, signing_secret.trim_start_matches("whsec_")]);
    for secret in secrets {
        assert!(!collected.text.contains(secret.trim()), "the collector got {secret}");
    }
}

/// What the collector has of each span, and the receiver of each request, is of one attempt.
fn attempts(spans: &[&CollectedSpan], hits: &[Hit]) {
    let attempts: Vec<_> = spans.iter().filter(|span| span.name == "POST").collect();
    let [first, second] = attempts[..] else { panic!("two attempts: {attempts:#?}") };
    let traceparents: Vec<&str> = hits.iter().map(|hit| hit.header("traceparent")).collect();
    assert_eq!(traceparents, [first, second].map(|span| format!("00-{TRACE}-{}-01", span.id)));
    assert!(first.links.is_empty(), "{first:#?}");
    assert_eq!(second.links, [(TRACE.to_owned(), first.id.clone())]);
    assert_eq!((first.failed, second.failed), (true, false));
    let told = |span: &CollectedSpan| {
        ["sluice.attempt.number", "sluice.attempt.outcome", "http.response.status_code", "error.type"]
            .map(|key| span.attribute(key).to_owned())
    };
    assert_eq!(told(first), ["1", "FAILED_RETRYABLE", "503", "503"]);
    assert_eq!(told(second), ["2", "SUCCEEDED", "200", ""]);
    assert_eq!(
        (first.attribute("http.request.resend_count"), second.attribute("http.request.resend_count")),
        ("", "1")
    );
}

fn attributes(spans: &[&CollectedSpan], execution: &str, webhook: &str) {
    let id = |name: &str| name.rsplit('/').next().unwrap().to_owned();
    let expected: BTreeMap<&str, Vec<(&str, String)>> = [
        (
            "sluice.evaluator.v1.EventService/IngestEvent",
            vec![
                ("rpc.system.name", "grpc".to_owned()),
                ("rpc.response.status_code", "OK".to_owned()),
                ("sluice.account.id", "acme".to_owned()),
            ],
        ),
        (
            "evaluate",
            vec![
                ("sluice.event.id", "e-1".to_owned()),
                ("sluice.event.outcome", "FIRES".to_owned()),
                ("sluice.automations.matched", "1".to_owned()),
            ],
        ),
        ("enqueue", vec![("sluice.executions.count", "1".to_owned())]),
        (
            "accept",
            vec![("sluice.accept.outcome", "ACCEPTED".to_owned()), ("sluice.account.id", "acme".to_owned())],
        ),
        (
            "POST",
            vec![
                ("http.request.method", "POST".to_owned()),
                ("url.path", "/shop".to_owned()),
                ("sluice.execution.id", id(execution)),
                ("sluice.webhook.id", id(webhook)),
            ],
        ),
    ]
    .into();
    for (name, expected) in expected {
        for span in spans.iter().filter(|span| span.name == name) {
            for (key, value) in &expected {
                assert_eq!(span.attribute(key), value, "{key}: {span:#?}");
            }
        }
    }
}

/// What is below a span, indented.
fn tree(spans: &[&CollectedSpan], parent: &str, depth: usize) -> String {
    let mut children: Vec<_> = spans.iter().filter(|span| span.parent == parent).collect();
    children.sort_by_key(|span| span.start);
    children.iter().fold(String::new(), |mut out, span| {
        let CollectedSpan { name, kind, service, .. } = span;
        writeln!(out, "{:indent$}{name} {kind} {service}", "", indent = 2 * depth).expect("text takes text");
        out + &tree(spans, &span.id, depth + 1)
    })
}

/// The tree with the names that the services give themselves in this shape.
fn in_shape(tree: &str, shape: Shape) -> String {
    let line = |line: &str| {
        let (span, service) = line.rsplit_once(' ').expect("a service");
        match shape {
            Shape::OneProcess => format!("{span} sluice\n"),
            Shape::ThreeProcesses => format!("{span} sluice-{service}\n"),
        }
    };
    tree.lines().map(line).collect()
}
