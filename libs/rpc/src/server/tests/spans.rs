//! What the spans of calls say.

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use opentelemetry::trace::{SpanKind, Status as SpanStatus};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};
use sluice_auth::Scope;
use sluice_telemetry::{Guard, TelemetryConfig, TraceContext};
use tower::{Service as _, ServiceExt as _};

use super::{Stage, call, path, request, token};
use crate::server::Limits;

/// The process's subscriber, which records what a caller records.
fn recorded() -> &'static InMemorySpanExporter {
    static RECORDED: OnceLock<(InMemorySpanExporter, Mutex<Guard>)> = OnceLock::new();
    let (exporter, _) = RECORDED.get_or_init(|| {
        let exporter = InMemorySpanExporter::default();
        let config = TelemetryConfig {
            service_name: "test".into(),
            filter: "off".into(),
            json: false,
            otlp_endpoint: None,
            trace_ratio: 0.0,
        };
        let guard = sluice_telemetry::init_with(&config, exporter.clone(), std::io::sink).unwrap();
        (exporter, Mutex::new(guard))
    });
    exporter
}

/// Waits until the caller's trace has that many spans; spans arrive in the order in which they end.
async fn spans(of: TraceContext, count: usize) -> Vec<SpanData> {
    loop {
        let all = recorded().get_finished_spans().unwrap();
        let ours = |span: &SpanData| span.span_context.trace_id().to_bytes() == of.trace_id();
        let found: Vec<_> = all.into_iter().filter(ours).collect();
        if found.len() >= count {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn said(span: &SpanData, key: &str) -> Option<String> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
    attribute.map(|attribute| attribute.value.to_string())
}

fn has_failed(span: &SpanData) -> bool {
    matches!(span.status, SpanStatus::Error { .. })
}

/// The trace of a caller who records it.
fn caller() -> TraceContext {
    recorded();
    TraceContext::root(true)
}

#[tokio::test]
async fn a_call_has_a_span_below_its_callers_and_a_refusal_is_no_failure_of_the_server() {
    let (stage, caller) = (Stage::new(), caller());
    let traceparent = caller.to_string();
    stage.answer(call("Greet", &[("traceparent", &traceparent), ("tracestate", "vendor=1")])).await;
    let denied = format!("Bearer {}", token(&[Scope::UsageRead]));
    stage.answer(request(&path("Greet"), &[("traceparent", &traceparent), ("authorization", &denied)])).await;
    stage.answer(call("Panic", &[("traceparent", &traceparent)])).await;
    let spans = spans(caller, 3).await;
    for span in &spans {
        assert_eq!((span.parent_span_id.to_bytes(), span.parent_span_is_remote), (caller.span_id(), true));
        assert_eq!(
            (&span.span_kind, said(span, "rpc.method")),
            (&SpanKind::Server, Some(span.name.to_string()))
        );
        assert_eq!(span.span_context.trace_state().header(), "", "tracestate is dropped at the door");
    }
    let ends: Vec<_> = spans
        .iter()
        .map(|span| {
            let code = said(span, "rpc.response.status_code").unwrap();
            (code, said(span, "sluice.error.reason"), said(span, "sluice.account.id"), has_failed(span))
        })
        .collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        ends,
        [
            ("OK".to_owned(), None, text("acme"), false),
            ("PERMISSION_DENIED".to_owned(), text("PERMISSION_DENIED"), None, false),
            ("INTERNAL".to_owned(), text("INTERNAL"), text("acme"), true),
        ]
    );
}

#[tokio::test]
async fn a_call_that_is_given_up_or_takes_too_long_says_so() {
    let caller = caller();
    let traceparent = caller.to_string();
    let mut stage = Stage::limited(Limits { deadline: Duration::from_millis(20), ..Limits::default() });
    stage.answer(call("Hang", &[("traceparent", &traceparent)])).await;
    let slow = Stage::new();
    let given_up = slow.answer(call("Hang", &[("traceparent", &traceparent)]));
    assert!(tokio::time::timeout(Duration::from_millis(20), given_up).await.is_err());
    assert_eq!(stage.told.recv().await, Some("begun"));
    let spans = spans(caller, 2).await;
    let codes: Vec<_> = spans.iter().map(|span| said(span, "rpc.response.status_code").unwrap()).collect();
    assert_eq!(codes, ["DEADLINE_EXCEEDED", "CANCELLED"]);
    assert!(has_failed(&spans[0]) && !has_failed(&spans[1]));
}

#[tokio::test]
async fn what_is_open_to_everybody_or_not_served_and_what_strangers_try_leave_no_span() {
    let (stage, caller) = (Stage::new(), caller());
    let traceparent = caller.to_string();
    let headers = [("traceparent", traceparent.as_str())];
    for untold in [
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/test.v1.Victim/Unknown",
        "/",
        &path("Greet"),
    ] {
        stage.answer(request(untold, &headers)).await;
    }
    stage.answer(call("Greet", &headers)).await;
    assert_eq!(spans(caller, 1).await[0].name, "test.v1.Victim/Greet");
}

#[tokio::test]
async fn a_call_within_the_process_has_a_span_on_both_sides() {
    let (stage, caller) = (Stage::new(), caller());
    let mut transport = stage.server.in_process("evaluator".parse().unwrap());
    let ready = transport.ready().await.unwrap();
    let answer = caller.within(|| ready.call(request(&path("Greet"), &[])));
    let told = answer.await.unwrap().headers()["trace"].to_str().unwrap().to_owned();
    let spans = spans(caller, 2).await;
    let [answering, asking] = &spans[..] else { panic!("two spans: {spans:?}") };
    assert_eq!((&answering.span_kind, &asking.span_kind), (&SpanKind::Server, &SpanKind::Client));
    assert_eq!(asking.parent_span_id.to_bytes(), caller.span_id());
    assert_eq!(answering.parent_span_id, asking.span_context.span_id());
    assert!(told.contains(&answering.span_context.span_id().to_string()), "the handler is within: {told}");
}
