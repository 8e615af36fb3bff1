//! What waits survives a restart.

use proto::dispatcher::v1::{ExecutionState, PauseReason};
use proto::evaluator::v1::IngestOutcome;
use sluice_testkit::{Answer, Receiver};
use sluice_tests::requests::{automation_webhook, deal, delay, post, titled};
use sluice_tests::{Deployment, House, micros, on_each_deployment, until};

on_each_deployment!(paused_delayed_and_retrying_executions_and_the_quota_survive_a_restart);

async fn paused_delayed_and_retrying_executions_and_the_quota_survive_a_restart(deployment: Deployment) {
    let receiver = Receiver::start().await;
    receiver.script("/broken", [Answer::status(503)]);
    let setup = House::setup(deployment).on_plan("tiny").with("dispatcher.retry.retries=100");
    let mut house = setup.open().await;
    let (broken, _) = house.webhook(automation_webhook("Broken", &receiver.url("/broken"))).await;
    let (good, _) = house.webhook(automation_webhook("Good", &receiver.url("/good"))).await;
    house.automation(titled("retry", [post(&broken, r#""retry""#)])).await;
    let steps = [post(&good, r#""1""#), delay(2), post(&good, r#""2""#)];
    house.automation(titled("delay", steps)).await;

    let retrying = house.fires(deal("e-1", "retry")).await;
    let delayed = house.fires(deal("e-2", "delay")).await;
    let paused = house.fires(deal("e-3", "delay")).await;
    let attempts = until("it was tried twice", async || {
        let count = house.execution(&retrying).await.attempt_count;
        (count >= 2).then_some(count)
    })
    .await;
    let until_when = house.shows(&delayed, ExecutionState::Waiting).await.wait_until;
    let pause = house.shows(&paused, ExecutionState::Paused).await.pause.unwrap();
    assert_eq!(pause.reason(), PauseReason::Quota);

    house.restart().await;
    let still = house.shows(&paused, ExecutionState::Paused).await;
    assert_eq!(still.attempt_count, 0);
    let shift = micros(still.pause.unwrap().expected_end_time) - micros(pause.expected_end_time);
    assert!(shift.abs() < 1_000_000, "the quota is where it was: {shift} µs off");
    let also = house.fires(deal("e-4", "delay")).await;
    assert_eq!(house.shows(&also, ExecutionState::Paused).await.pause.unwrap().reason(), PauseReason::Quota);
    assert_eq!(house.ingest(deal("e-3", "delay")).await.outcome(), IngestOutcome::Repeated);

    let done = house.shows(&delayed, ExecutionState::Succeeded).await;
    let second = &done.deliveries[1].attempts[0];
    assert!(micros(second.start_time) >= micros(until_when), "{done:?}");
    receiver.script("/broken", [Answer::status(200)]);
    let mended = house.shows(&retrying, ExecutionState::Succeeded).await;
    let numbers: Vec<_> = mended.deliveries[0].attempts.iter().map(|attempt| attempt.number).collect();
    assert!(mended.attempt_count > attempts, "{mended:?}");
    assert_eq!(numbers, (1..=mended.attempt_count).collect::<Vec<_>>());

    house.put_plan("advanced").await;
    for execution in house.all_ended().await {
        assert_eq!(execution.state(), ExecutionState::Succeeded, "{execution:?}");
    }
    let tried = usize::try_from(mended.attempt_count).unwrap();
    assert_eq!((receiver.hits_at("/broken").len(), receiver.hits_at("/good").len()), (tried, 6));
    house.stop().await;
}
