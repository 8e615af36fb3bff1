//! The same event again, and events together.

use proto::errors::v1::ErrorReason;
use proto::evaluator::v1::batch_ingest_events_result::Answer;
use proto::evaluator::v1::{BatchIngestEventsResult, IngestEventResponse, IngestOutcome};
use serde_json::json;
use sluice_testkit::Receiver;
use sluice_tests::requests::{automation, automation_webhook, post, updated, won};
use sluice_tests::{ACCOUNT, Deployment, House, PARENT, on_each_deployment};
use tonic::Code;

on_each_deployment!(
    the_same_event_again_gets_the_first_answer_and_other_content_is_refused,
    each_event_of_a_batch_has_an_answer_of_its_own,
);

async fn house_with_an_automation(deployment: Deployment, receiver: &Receiver) -> House {
    let house = House::open(deployment).await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, r#""{{ event.id }}""#)])).await;
    house
}

async fn the_same_event_again_gets_the_first_answer_and_other_content_is_refused(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let house = house_with_an_automation(deployment, &receiver).await;
    let first = house.ingest(won("e-1")).await;
    assert_eq!(first.outcome(), IngestOutcome::Accepted);

    let again = house.ingest(won("e-1")).await;
    assert_eq!((again.outcome(), &again.executions), (IngestOutcome::Repeated, &first.executions));
    let mut later = won("e-1");
    later.occurred_at = Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 });
    assert_eq!(house.ingest(later).await.executions, first.executions, "the time is not content");

    let other = updated("e-1", json!({"stage": "open"}), json!({"title": "Other", "stage": "won"}));
    let refused = house.people().producer(ACCOUNT).ingest(PARENT, other).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::AlreadyExists, "EVENT_ID_REUSED"));

    let all = house.all_ended().await;
    let after_the_end = house.ingest(won("e-1")).await;
    assert_eq!(after_the_end.outcome(), IngestOutcome::Repeated);
    assert_eq!((all.len(), house.history().await.len(), receiver.hits().len()), (1, 1, 1));
}

fn response(result: &BatchIngestEventsResult) -> &IngestEventResponse {
    match result.answer.as_ref() {
        Some(Answer::Response(response)) => response,
        other => panic!("an event that was taken: {other:?}"),
    }
}

async fn each_event_of_a_batch_has_an_answer_of_its_own(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let house = house_with_an_automation(deployment, &receiver).await;
    let known = house.ingest(won("e-0")).await;
    let mut bad = won("e-2");
    bad.object = "Deal!".to_owned();
    let unmoved = updated("e-3", json!({"stage": "won"}), json!({"stage": "won", "value": 1}));
    let batch = vec![won("e-1"), bad, won("e-1"), unmoved, won("e-0")];
    let results = house.people().producer(ACCOUNT).ingest_batch(PARENT, batch).await.unwrap();

    let [taken, bad, twice, unmoved, before] = &results[..] else { panic!("five answers: {results:?}") };
    assert_eq!(response(taken).outcome(), IngestOutcome::Accepted);
    assert_eq!(response(twice).outcome(), IngestOutcome::Repeated);
    assert_eq!(response(twice).executions, response(taken).executions);
    assert_eq!(response(unmoved).outcome(), IngestOutcome::NoMatch);
    assert_eq!(response(before).outcome(), IngestOutcome::Repeated);
    assert_eq!(response(before).executions, known.executions);
    let Some(Answer::Error(error)) = &bad.answer else { panic!("a refused event: {bad:?}") };
    assert_eq!((error.code, error.reason()), (Code::InvalidArgument.into(), ErrorReason::InvalidArgument));
    assert!(error.violations.iter().any(|violation| violation.field.contains("object")), "{error:?}");

    assert_eq!(house.all_ended().await.len(), 2);
    let mut bodies: Vec<_> = receiver.hits().iter().map(|hit| hit.text().to_owned()).collect();
    bodies.sort();
    assert_eq!(bodies, [r#""e-0""#, r#""e-1""#]);
}
