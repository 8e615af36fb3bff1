//! What happens to calls that were let in.

use std::time::Duration;

use http_body_util::BodyExt as _;
use sluice_domain::Reason;
use tonic::{Code, Status};

use super::{Stage, call, call_of, code, refusal, request};
use crate::server::Limits;

#[tokio::test]
async fn a_panic_is_answered_as_internal_and_hurts_no_other_call() {
    let stage = Stage::new();
    let refused = refusal(&stage.answer(call("Panic", &[])).await);
    assert_eq!((refused.code, refused.known_reason()), (Code::Internal, Some(Reason::Internal)));
    assert_eq!(code(&stage.answer(call("Greet", &[])).await), Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_the_servers_deadline_or_the_clients_whichever_is_earlier_and_its_work_stops() {
    for (asked, seconds) in [(None, 30), (Some("2S"), 2), (Some("1H"), 30)] {
        let mut stage = Stage::new();
        let headers: Vec<_> = asked.map(|timeout| ("grpc-timeout", timeout)).into_iter().collect();
        let began = tokio::time::Instant::now();
        let refused = refusal(&stage.answer(call("Hang", &headers)).await);
        assert_eq!(
            (refused.code, refused.known_reason()),
            (Code::DeadlineExceeded, Some(Reason::DeadlineExceeded))
        );
        assert_eq!(began.elapsed().as_secs(), seconds);
        assert_eq!((stage.told.try_recv(), stage.told.try_recv()), (Ok("begun"), Ok("dropped")));
    }
}

#[tokio::test]
async fn a_client_that_gives_up_stops_the_work() {
    let mut stage = Stage::new();
    let door = stage.door();
    let given_up = tokio::spawn(async move { tower::ServiceExt::oneshot(door, call("Hang", &[])).await });
    assert_eq!(stage.told.recv().await, Some("begun"));
    given_up.abort();
    assert_eq!(stage.told.recv().await, Some("dropped"));
}

#[tokio::test]
async fn calls_beyond_the_limit_are_shed_with_a_time_to_come_back_and_health_is_not() {
    let mut stage = Stage::limited(Limits { max_in_flight: 1, ..Limits::default() });
    let door = stage.door();
    let first = tokio::spawn(async move { tower::ServiceExt::oneshot(door, call("Wait", &[])).await });
    assert_eq!(stage.told.recv().await, Some("begun"));

    let shed = refusal(&stage.answer(call("Greet", &[])).await);
    assert_eq!((shed.code, shed.known_reason()), (Code::ResourceExhausted, Some(Reason::Overloaded)));
    assert!(shed.retry_after.is_some());
    let health = stage.answer(request("/grpc.health.v1.Health/Check", &[])).await;
    assert_ne!(code(&health), Code::ResourceExhausted);
    let mut within = stage.server.in_process("evaluator".parse().unwrap());
    let answer = tower::Service::call(&mut within, call("Greet", &[])).await.unwrap();
    assert_eq!(code(&answer), Code::Ok);

    stage.open.notify_one();
    assert_eq!(code(&first.await.unwrap().unwrap()), Code::Ok);
    assert_eq!(code(&stage.answer(call("Greet", &[])).await), Code::Ok);
}

#[tokio::test]
async fn a_watch_holds_its_place_until_its_answer_is_dropped() {
    let stage = Stage::limited(Limits { max_watches: 1, ..Limits::default() });
    let open = stage.answer(call("Watch", &[])).await;
    assert_eq!(code(&open), Code::Ok);
    assert_eq!(refusal(&stage.answer(call("Watch", &[])).await).code, Code::ResourceExhausted);
    assert_eq!(code(&stage.answer(call("Greet", &[])).await), Code::Ok);
    drop(open);
    assert_eq!(code(&stage.answer(call("Watch", &[])).await), Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_watch_outlives_the_deadline_and_ends_as_unavailable_when_the_server_stops() {
    let stage = Stage::new();
    let mut body = stage.answer(call("Watch", &[])).await.into_body();
    let silence = tokio::time::timeout(Duration::from_secs(3_600), body.frame()).await;
    assert!(silence.is_err());
    stage.server.rules.stopping().cancel();
    let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(Status::from_header_map(&trailers).unwrap().code(), Code::Unavailable);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn one_account_takes_a_quarter_of_the_places_and_no_more() {
    let mut stage = Stage::limited(Limits { max_in_flight: 4, ..Limits::default() });
    let door = stage.door();
    let first = tokio::spawn(async move { tower::ServiceExt::oneshot(door, call("Wait", &[])).await });
    assert_eq!(stage.told.recv().await, Some("begun"));

    let shed = refusal(&stage.answer(call("Greet", &[])).await);
    assert_eq!((shed.code, shed.known_reason()), (Code::ResourceExhausted, Some(Reason::Overloaded)));
    assert_eq!((shed.metadata["account"].as_str(), shed.retry_after.is_some()), ("acme", true));
    assert_eq!(code(&stage.answer(call_of("other", "Greet")).await), Code::Ok);

    stage.open.notify_one();
    assert_eq!(code(&first.await.unwrap().unwrap()), Code::Ok);
    assert_eq!(code(&stage.answer(call("Greet", &[])).await), Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn streams_without_a_token_have_few_places_of_their_own_and_end_in_time() {
    let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let stage = Stage::limited(Limits { max_open_streams: 1, max_watches: 1, ..Limits::default() });
    let open = stage.answer(request(reflection, &[])).await;
    assert_eq!(code(&open), Code::Ok);
    assert_eq!(
        refusal(&stage.answer(request(reflection, &[])).await).known_reason(),
        Some(Reason::Overloaded)
    );
    assert_eq!(code(&stage.answer(call("Watch", &[])).await), Code::Ok);
    drop(open);
    assert_eq!(code(&stage.answer(request(reflection, &[])).await), Code::Ok);

    let stopping = stage.server.rules.stopping().clone();
    let age = Some(Limits::default().open_stream_age);
    let mut old = super::super::watch::WatchBody::new(
        tonic::body::Body::new(super::Endless),
        stopping,
        age,
        None,
        None,
    );
    assert!(tokio::time::timeout(Duration::from_secs(599), old.frame()).await.is_err());
    let trailers = old.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(Status::from_header_map(&trailers).unwrap().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_handlers_own_refusal_passes_as_it_is() {
    let answer = Stage::new().answer(call("Past", &[])).await;
    let status = super::status(answer.headers()).unwrap();
    assert_eq!((status.code(), status.message()), (Code::OutOfRange, "past the end"));
}
