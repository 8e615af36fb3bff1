//! What is tried again, what is not, and what people can do about it.

use std::collections::BTreeSet;

use proto::dispatcher::v1::{
    Attempt, AttemptOutcome, EndReason, Execution, ExecutionState, ListExecutionsRequest, PauseReason,
};
use proto::evaluator::v1::RequestStep;
use proto::registry::v1::Webhook;
use serde_json::json;
use sluice_testkit::{Answer, Receiver};
use sluice_tests::requests::{automation, automation_webhook, delay, post, step, updated, won};
use sluice_tests::{ACCOUNT, Deployment, House, PARENT, micros, on_each_deployment};
use tokio::net::TcpSocket;
use tonic::Code;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

on_each_deployment!(
    a_broken_receiver_is_tried_again_under_the_same_webhook_id,
    retry_after_is_honoured,
    answers_that_no_retry_would_change_fail_at_once,
    no_answer_is_tried_again,
    a_refused_connection_is_tried_until_retries_are_used_up_and_again_when_asked,
    opening_again_costs_no_second_execution,
    what_is_cancelled_is_sent_only_when_opened_again,
    a_request_under_way_is_not_cut_off_by_a_cancel,
    the_history_is_filtered_by_state_automation_webhook_and_trace,
);

async fn house_with_a_webhook(deployment: Deployment, url: &str) -> (House, String) {
    let house = House::open(deployment).await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", url)).await;
    (house, webhook)
}

/// The attempts of an execution with one delivery: numbered from 1 without gaps, none before the one before it had ended.
fn attempts(execution: &Execution) -> &[Attempt] {
    let [delivery] = &execution.deliveries[..] else { panic!("one delivery: {execution:?}") };
    for (place, attempt) in (1..).zip(&delivery.attempts) {
        assert_eq!(attempt.number, place, "{:?}", delivery.attempts);
    }
    for pair in delivery.attempts.windows(2) {
        assert!(micros(pair[1].start_time) >= micros(pair[0].end_time), "{:?}", delivery.attempts);
    }
    assert_eq!(usize::try_from(execution.attempt_count).unwrap(), delivery.attempts.len());
    &delivery.attempts
}

async fn a_broken_receiver_is_tried_again_under_the_same_webhook_id(deployment: Deployment) {
    let receiver = Receiver::start().await;
    receiver.script("/in", [Answer::status(503).body("broken"), Answer::status(429), Answer::status(200)]);
    let (house, webhook) = house_with_a_webhook(deployment, &receiver.url("/in")).await;
    house.automation(automation("Tell the shop", [post(&webhook, r#""{{ event.id }}""#)])).await;
    let name = house.fires(won("e-1")).await;
    let shown = house.shows(&name, ExecutionState::Succeeded).await;

    use AttemptOutcome::{FailedRetryable, Succeeded};
    let seen: Vec<_> = attempts(&shown)
        .iter()
        .map(|attempt| (attempt.outcome(), attempt.answer.as_ref().unwrap().status))
        .collect();
    assert_eq!(seen, [(FailedRetryable, 503), (FailedRetryable, 429), (Succeeded, 200)]);
    assert_eq!(&*attempts(&shown)[0].answer.as_ref().unwrap().body, b"broken");
    let hits = receiver.hits();
    let ids: BTreeSet<_> = hits.iter().map(|hit| hit.header("webhook-id")).collect();
    assert_eq!(ids, BTreeSet::from([shown.deliveries[0].id.as_str()]));
    let numbers: Vec<_> = hits.iter().map(|hit| hit.header("sluice-attempt")).collect();
    assert_eq!(numbers, ["1", "2", "3"]);
    assert!(hits.iter().all(|hit| hit.text() == r#""e-1""#));
}

async fn retry_after_is_honoured(deployment: Deployment) {
    let receiver = Receiver::start().await;
    receiver.script("/in", [Answer::status(503).header("retry-after", "1"), Answer::status(200)]);
    let (house, webhook) = house_with_a_webhook(deployment, &receiver.url("/in")).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    let name = house.fires(won("e-1")).await;
    let waiting = house.shows(&name, ExecutionState::Waiting).await;
    assert!(waiting.wait_until.is_some());
    let shown = house.shows(&name, ExecutionState::Succeeded).await;
    let [first, second] = attempts(&shown) else { panic!("two attempts: {shown:?}") };
    assert!(micros(second.start_time) >= micros(first.end_time) + 1_000_000, "{shown:?}");
}

async fn answers_that_no_retry_would_change_fail_at_once(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let (house, webhook) = house_with_a_webhook(deployment, &receiver.url("/hooks/")).await;
    let request = RequestStep { webhook, path: "{{ deal.answer }}".to_owned(), ..RequestStep::default() };
    house.automation(automation("Tell the shop", [step(request)])).await;
    for (status, reason) in [
        (400, EndReason::RefusedByReceiver),
        (404, EndReason::RefusedByReceiver),
        (301, EndReason::RefusedByReceiver),
        (401, EndReason::Unauthenticated),
        (403, EndReason::Forbidden),
    ] {
        let path = format!("/hooks/{status}");
        receiver.script(&path, [Answer::status(status).header("location", &receiver.url("/elsewhere"))]);
        let deal = json!({"stage": "won", "answer": status});
        let name = house.fires(updated(&format!("e-{status}"), json!({"stage": "open"}), deal)).await;
        let failed = house.shows(&name, ExecutionState::Failed).await;
        assert_eq!(failed.end.as_ref().unwrap().reason(), reason, "{status}");
        let [attempt] = attempts(&failed) else { panic!("one attempt: {failed:?}") };
        assert_eq!(attempt.outcome(), AttemptOutcome::Failed);
        assert_eq!(u16::try_from(attempt.answer.as_ref().unwrap().status).unwrap(), status);
        assert_eq!(receiver.hits_at(&path).len(), 1);
    }
    assert!(receiver.hits_at("/elsewhere").is_empty(), "no redirect is followed");
}

async fn no_answer_is_tried_again(deployment: Deployment) {
    let receiver = Receiver::start().await;
    receiver.script("/close", [Answer::close(), Answer::status(200)]);
    receiver.script("/hang", [Answer::hang(), Answer::status(200)]);
    let setup = House::setup(deployment)
        .with("dispatcher.delivery.connect_timeout=900ms")
        .with("dispatcher.delivery.first_byte_timeout=900ms")
        .with("dispatcher.delivery.timeout=1s");
    let house = setup.open().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/"))).await;
    let request = RequestStep { webhook, path: "{{ deal.answer }}".to_owned(), ..RequestStep::default() };
    house.automation(automation("Tell the shop", [step(request)])).await;
    for answer in ["close", "hang"] {
        let deal = json!({"stage": "won", "answer": answer});
        let name = house.fires(updated(answer, json!({"stage": "open"}), deal)).await;
        let shown = house.shows(&name, ExecutionState::Succeeded).await;
        let [first, .., last] = attempts(&shown) else { panic!("several attempts: {shown:?}") };
        assert_eq!((first.outcome(), first.answer.is_none()), (AttemptOutcome::FailedRetryable, true));
        assert!(!first.error.is_empty());
        assert_eq!(last.outcome(), AttemptOutcome::Succeeded);
        assert_eq!(receiver.hits_at(&format!("/{answer}")).len(), attempts(&shown).len());
    }
}

async fn a_refused_connection_is_tried_until_retries_are_used_up_and_again_when_asked(
    deployment: Deployment,
) {
    // Bound and not listening: the port is ours, and connections to it are refused.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/in", socket.local_addr().unwrap());
    let (house, webhook) = house_with_a_webhook(deployment, &url).await;
    house.automation(automation("Tell the shop", [post(&webhook, r#""{{ event.id }}""#)])).await;
    let name = house.fires(won("e-1")).await;
    let failed = house.shows(&name, ExecutionState::Failed).await;
    assert_eq!(failed.end.as_ref().unwrap().reason(), EndReason::RetriesExhausted);
    assert_eq!(attempts(&failed).len(), 5, "one attempt and four retries");
    assert!(attempts(&failed).iter().all(|attempt| attempt.answer.is_none() && !attempt.error.is_empty()));

    let receiver = Receiver::start().await;
    let moved = Webhook { name: webhook, endpoint_url: receiver.url("/in"), ..Webhook::default() };
    house.admin().update_webhook(moved, &["endpoint_url"]).await.unwrap();
    let opened = house.admin().retry(&name).await.unwrap();
    // It may have been delivered before the answer was read; what it may not show is its earlier end.
    assert_ne!(opened.end, failed.end, "{opened:?}");
    let shown = house.shows(&name, ExecutionState::Succeeded).await;
    assert!(attempts(&shown).len() >= 6, "the numbers go on");
    let [hit] = &receiver.hits()[..] else { panic!("one hit: {:?}", receiver.hits()) };
    assert_eq!(hit.header("webhook-id"), failed.deliveries[0].id);
    assert_eq!(hit.header("sluice-attempt"), shown.attempt_count.to_string());
    assert_eq!(hit.text(), r#""e-1""#);
}

async fn opening_again_costs_no_second_execution(deployment: Deployment) {
    let receiver = Receiver::start().await;
    receiver.script("/in", [Answer::status(400), Answer::status(200)]);
    let house = House::open_on(deployment, "tiny").await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;

    let first = house.fires(won("e-1")).await;
    let failed = house.shows(&first, ExecutionState::Failed).await;
    house.admin().retry(&first).await.unwrap();
    let shown = house.shows(&first, ExecutionState::Succeeded).await;
    assert_eq!(shown.start_time, failed.start_time, "it started once");
    let second = house.fires(won("e-2")).await;
    house.shows(&second, ExecutionState::Succeeded).await;
    let third = house.fires(won("e-3")).await;
    let paused = house.shows(&third, ExecutionState::Paused).await;
    assert_eq!(paused.pause.unwrap().reason(), PauseReason::Quota);
    let refused = house.admin().retry(&first).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "EXECUTION_STATE"));
    assert_eq!(refused.metadata["state"], "SUCCEEDED");
}

async fn what_is_cancelled_is_sent_only_when_opened_again(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let (house, webhook) = house_with_a_webhook(deployment, &receiver.url("/in")).await;
    let steps = [post(&webhook, r#""now""#), delay(3_600), post(&webhook, r#""later""#)];
    house.automation(automation("Twice", steps)).await;
    let name = house.fires(won("e-1")).await;
    house.shows(&name, ExecutionState::Waiting).await;
    let admin = house.admin();
    receiver.wait_for(1).await;
    let cancelled = admin.cancel(&name).await.unwrap();
    assert_eq!(cancelled.state(), ExecutionState::Cancelled);
    assert_eq!(cancelled.end.as_ref().unwrap().reason(), EndReason::Cancelled);
    assert_eq!(admin.cancel(&name).await.unwrap().end, cancelled.end, "once more changes nothing");
    assert_eq!((cancelled.attempt_count, receiver.hits().len()), (1, 1));

    admin.retry(&name).await.unwrap();
    house.shows(&name, ExecutionState::Succeeded).await;
    let bodies: Vec<_> = receiver.hits().iter().map(|hit| hit.text().to_owned()).collect();
    assert_eq!(bodies, [r#""now""#, r#""later""#], "opened again where it ended");
}

async fn a_request_under_way_is_not_cut_off_by_a_cancel(deployment: Deployment) {
    let receiver = Receiver::start().await;
    receiver.script("/in", [Answer::status(503).held()]);
    let (house, webhook) = house_with_a_webhook(deployment, &receiver.url("/in")).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    let name = house.fires(won("e-1")).await;
    receiver.wait_for(1).await;
    assert_eq!(house.admin().cancel(&name).await.unwrap().state(), ExecutionState::Running);
    receiver.release();
    let cancelled = house.shows(&name, ExecutionState::Cancelled).await;
    let [attempt] = attempts(&cancelled) else { panic!("no retry after it: {cancelled:?}") };
    assert_eq!(attempt.answer.as_ref().unwrap().status, 503, "what it brought is kept");
    assert_eq!(receiver.hits().len(), 1);
}

async fn the_history_is_filtered_by_state_automation_webhook_and_trace(deployment: Deployment) {
    let receiver = Receiver::start().await;
    receiver.script("/bad", [Answer::status(400)]);
    let (house, good) = house_with_a_webhook(deployment, &receiver.url("/good")).await;
    let (bad, _) = house.webhook(automation_webhook("Bad", &receiver.url("/bad"))).await;
    let succeeding = house.automation(automation("Good", [post(&good, "{}")])).await;
    let failing = house.automation(automation("Bad", [post(&bad, "{}")])).await;
    let producer = house.people().producer(ACCOUNT).tracing(&format!("00-{TRACE}-b7ad6b7169203331-01"));
    let traced = producer.ingest(PARENT, won("e-0")).await.unwrap().executions;
    for number in 1..9 {
        house.ingest(won(&format!("e-{number}"))).await;
    }
    let ended = house.all_ended().await;
    assert_eq!(ended.len(), 18, "all pages together");
    let about = ended[0].event.clone().unwrap();
    let (id, object) = (about.record_id, about.object);
    let all = || ListExecutionsRequest { parent: PARENT.to_owned(), page_size: 100, ..Default::default() };
    for (asked, automation) in [
        (ListExecutionsRequest { state: ExecutionState::Failed.into(), ..all() }, &failing),
        (ListExecutionsRequest { state: ExecutionState::Succeeded.into(), ..all() }, &succeeding),
        (ListExecutionsRequest { automation: failing.clone(), ..all() }, &failing),
        (ListExecutionsRequest { webhook: good.clone(), ..all() }, &succeeding),
        (ListExecutionsRequest { end_reason: EndReason::RefusedByReceiver.into(), ..all() }, &failing),
    ] {
        let page = house.admin().list_executions(asked.clone()).await.unwrap();
        assert_eq!(page.executions.len(), 9, "{asked:?}");
        assert!(page.executions.iter().all(|execution| execution.automation == *automation), "{asked:?}");
    }
    let neither = ListExecutionsRequest { automation: failing, webhook: good, ..all() };
    assert!(house.admin().list_executions(neither).await.unwrap().executions.is_empty());

    let record = |id: &str, object: &str| ListExecutionsRequest {
        record_id: id.to_owned(),
        object: object.to_owned(),
        ..all()
    };
    for (asked, count) in [(record(&id, ""), 18), (record(&id, &object), 18), (record(&id, "note"), 0)] {
        assert_eq!(house.admin().list_executions(asked).await.unwrap().executions.len(), count);
    }

    let of_trace = |id: &str| ListExecutionsRequest { trace_id: id.to_owned(), page_size: 1, ..all() };
    let first = house.admin().list_executions(of_trace(TRACE)).await.unwrap();
    let rest = ListExecutionsRequest { page_token: first.next_page_token.clone(), ..of_trace(TRACE) };
    let rest = house.admin().list_executions(rest).await.unwrap();
    assert_eq!(rest.next_page_token, "");
    let found: Vec<_> = rest.executions.iter().chain(&first.executions).map(|found| &found.name).collect();
    assert_eq!(found, traced.iter().collect::<Vec<_>>(), "oldest first again");
    let unknown = house.admin().list_executions(of_trace(&"f".repeat(32))).await.unwrap();
    assert!(unknown.executions.is_empty());
    let bad = ListExecutionsRequest {
        state: ExecutionState::Running.into(),
        end_reason: EndReason::Forbidden.into(),
        page_token: first.next_page_token.clone(),
        ..record("", "deal")
    };
    for (asked, fields) in
        [(of_trace("0af7"), vec!["trace_id"]), (bad, vec!["end_reason", "object", "page_token"])]
    {
        let refused = house.admin().list_executions(asked).await.unwrap_err();
        let named: Vec<&str> = refused.fields.iter().map(String::as_str).collect();
        assert_eq!((refused.reason.as_str(), named), ("INVALID_ARGUMENT", fields), "all at once");
    }
}
