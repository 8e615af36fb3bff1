//! Who is let in.

use std::sync::Arc;

use sluice_auth::{Principal, Scope};
use sluice_domain::{Reason, Span};
use sluice_telemetry::TraceContext;
use tonic::Code;
use tower::{Service as _, ServiceExt as _};

use super::{NOW, Stage, call, code, path, refusal, request, token};
use crate::caller::Caller;
use crate::server::Limits;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

/// The trace that the handler was in.
fn trace_id(answer: &http::Response<tonic::body::Body>) -> &str {
    answer.headers()["trace"].to_str().unwrap().split('-').nth(1).unwrap()
}

#[tokio::test]
async fn a_call_with_a_good_token_reaches_the_handler_with_its_caller_and_trace() {
    let stage = Stage::new();
    let answer = stage.answer(call("Greet", &[("traceparent", TRACE)])).await;
    assert_eq!(code(&answer), Code::Ok);
    assert_eq!((answer.headers()["user"].as_bytes(), trace_id(&answer)), (&b"user-7"[..], TRACE_ID));
}

#[tokio::test]
async fn an_invalid_traceparent_is_as_good_as_none() {
    let answer = Stage::new().answer(call("Greet", &[("traceparent", "00-0-0-01")])).await;
    let trace = answer.headers()["trace"].to_str().unwrap();
    assert_eq!(code(&answer), Code::Ok);
    assert!(trace.parse::<TraceContext>().is_ok() && trace.ends_with("-00"), "a new one: {trace}");
}

#[tokio::test]
async fn a_missing_or_doubled_or_odd_authorization_is_refused() {
    let stage = Stage::new();
    let good = format!("Bearer {}", token(&[Scope::EventsWrite]));
    let greet = path("Greet");
    for headers in [
        vec![],
        vec![("authorization", good.as_str()), ("authorization", good.as_str())],
        vec![("authorization", "Basic dXNlcjpwYXNz")],
        vec![("authorization", "Bearer")],
        vec![("authorization", &good[7..])],
        vec![("authorization", "Bearer not.a.token")],
    ] {
        let answer = stage.answer(request(&greet, &headers)).await;
        let refusal = refusal(&answer);
        assert_eq!(
            (refusal.code, refusal.known_reason()),
            (Code::Unauthenticated, Some(Reason::Unauthenticated))
        );
    }
    let lower = good.replacen("Bearer", "bearer", 1);
    let answer = stage.answer(request(&greet, &[("authorization", &lower)])).await;
    assert_eq!(code(&answer), Code::Ok);
}

#[tokio::test]
async fn a_token_is_judged_by_the_clock_of_the_server() {
    let late = Stage::at(NOW.plus(Span::from_secs(3_600)));
    let refusal = refusal(&late.answer(call("Greet", &[])).await);
    assert_eq!(refusal.code, Code::Unauthenticated);
}

#[tokio::test]
async fn a_token_without_the_grant_is_denied_naming_the_method() {
    let value = format!("Bearer {}", token(&[Scope::UsageRead]));
    let answer = Stage::new().answer(request(&path("Greet"), &[("authorization", &value)])).await;
    let refusal = refusal(&answer);
    assert_eq!(
        (refusal.code, refusal.known_reason()),
        (Code::PermissionDenied, Some(Reason::PermissionDenied))
    );
    assert_eq!(refusal.metadata["method"], path("Greet"));
}

#[tokio::test]
async fn methods_that_are_not_served_here_are_unimplemented_with_any_token() {
    let stage = Stage::new();
    for unknown in
        [path("Unknown"), "/other.v1.Service/Get".to_owned(), "/".to_owned(), format!("{}/", path("Greet"))]
    {
        let mut request = call("Greet", &[]);
        *request.uri_mut() = unknown.parse().unwrap();
        let refusal = refusal(&stage.answer(request).await);
        assert_eq!(
            (refusal.code, refusal.known_reason()),
            (Code::Unimplemented, Some(Reason::MethodUnknown)),
            "{unknown}"
        );
    }
}

#[tokio::test]
async fn headers_beyond_the_limit_are_refused_before_the_token_is_looked_at() {
    let stage = Stage::limited(Limits { max_header_bytes: 1_024, ..Limits::default() });
    let padding = "x".repeat(1_024);
    let refusal = refusal(&stage.answer(request(&path("Greet"), &[("padding", &padding)])).await);
    assert_eq!(
        (refusal.code, refusal.known_reason()),
        (Code::InvalidArgument, Some(Reason::InvalidArgument))
    );
    assert_eq!(
        (refusal.retry_after, refusal.violations.iter().next().unwrap().field.as_str()),
        (None, "headers")
    );
}

#[tokio::test]
async fn a_caller_within_the_process_needs_no_token_and_cannot_pose_as_somebody_else() {
    let stage = Stage::new();
    let mut transport = stage.server.in_process("evaluator".parse().unwrap());
    let somebody = Principal::service("somebody".parse().unwrap());
    let mut posing = request(&path("Greet"), &[("traceparent", TRACE)]);
    posing.extensions_mut().insert(Caller(Arc::new(somebody)));
    let answer = transport.ready().await.unwrap().call(posing).await.unwrap();
    assert_eq!((answer.headers()["user"].as_bytes(), trace_id(&answer)), (&b"evaluator"[..], TRACE_ID));
}

#[tokio::test]
async fn a_caller_extension_alone_opens_nothing() {
    let somebody = Principal::service("somebody".parse().unwrap());
    let mut posing = request(&path("Greet"), &[]);
    posing.extensions_mut().insert(Caller(Arc::new(somebody)));
    assert_eq!(code(&Stage::new().answer(posing).await), Code::Unauthenticated);
}
