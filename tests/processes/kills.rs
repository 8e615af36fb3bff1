//! A dispatcher that is killed loses nothing and doubles nothing but what was on the wire.

use std::collections::BTreeSet;

use proto::dispatcher::v1::{AttemptOutcome, Execution, ExecutionState, PauseReason};
use proto::evaluator::v1::IngestOutcome;
use sluice_runtime::Clock;
use sluice_testkit::{Answer, Receiver};
use sluice_tests::requests::{automation, automation_webhook, event_webhook, noted, post, won};
use sluice_tests::{Backend, Deployment, House, PARENT, Service, micros, on_each_backend, until};

on_each_backend!(what_is_paused_and_what_is_to_be_retried_is_delivered_once_after_a_kill);

/// A lease is long, so both backends wait for theirs at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_cut_off_by_a_kill_is_on_record_and_made_again() {
    let (sqlite, postgres) = (is_made_again(Backend::Sqlite), is_made_again(Backend::Postgres));
    tokio::join!(Box::pin(sqlite), Box::pin(postgres));
}

fn numbers(execution: &Execution) -> Vec<(i32, AttemptOutcome)> {
    let attempts = &execution.deliveries[0].attempts;
    attempts.iter().map(|attempt| (attempt.number, attempt.outcome())).collect()
}

async fn what_is_paused_and_what_is_to_be_retried_is_delivered_once_after_a_kill(backend: Backend) {
    let receiver = Receiver::start().await;
    receiver.script("/notes", [Answer::status(503), Answer::status(200)]);
    // The kill has to come before the retry.
    let setup = House::setup(Deployment::three_processes(backend))
        .with("dispatcher.retry.first=3s")
        .with("dispatcher.retry.longest=3s");
    // Two executions of automations may start at once.
    let mut house = setup.on_plan("tiny").open().await;
    house.webhook(event_webhook("Notes", &receiver.url("/notes"), "note")).await;
    let (shop, _) = house.webhook(automation_webhook("Shop", &receiver.url("/shop"))).await;
    house.automation(automation("Tell the shop", [post(&shop, "1")])).await;

    let mut all = Vec::new();
    for number in 0..8 {
        all.push(house.fires(won(&format!("e-{number}"))).await);
    }
    let (started, paused) = all.split_at(2);
    for name in started {
        house.shows(name, ExecutionState::Succeeded).await;
    }
    for name in paused {
        let pause = house.shows(name, ExecutionState::Paused).await.pause.unwrap();
        assert_eq!(pause.reason(), PauseReason::Quota);
    }
    let retrying = house.fires(noted("n-1")).await;
    let due = micros(house.shows(&retrying, ExecutionState::Waiting).await.wait_until);
    house.kill(Service::Dispatcher);
    assert_eq!(receiver.hits_at("/notes").len(), 1, "the kill came before the retry");
    until("the retry is due", async || (Clock::system().now().as_micros() >= due).then_some(())).await;
    house.back(Service::Dispatcher).await;

    let retried = house.shows(&retrying, ExecutionState::Succeeded).await;
    assert_eq!(numbers(&retried), [(1, AttemptOutcome::FailedRetryable), (2, AttemptOutcome::Succeeded)]);
    assert!(micros(retried.deliveries[0].attempts[1].start_time) >= due, "{retried:?}");
    for name in paused {
        let still = house.shows(name, ExecutionState::Paused).await;
        assert_eq!(still.attempt_count, 0, "a pause uses no attempt");
    }
    let repeated = house.producer().ingest(PARENT, won("e-2")).await.unwrap();
    assert_eq!((repeated.outcome(), &repeated.executions[..]), (IngestOutcome::Repeated, &paused[..1]));

    house.put_plan("advanced").await;
    for name in paused {
        house.shows(name, ExecutionState::Succeeded).await;
    }
    let history = house.history().await;
    assert_eq!(history.len(), 9);
    assert!(history.iter().all(|one| one.state() == ExecutionState::Succeeded), "{history:?}");
    let hits = receiver.hits_at("/shop");
    let ids: BTreeSet<&str> = hits.iter().map(|hit| hit.header("webhook-id")).collect();
    assert_eq!((hits.len(), ids.len(), receiver.hits_at("/notes").len()), (8, 8, 2));
}

async fn is_made_again(backend: Backend) {
    let receiver = Receiver::start().await;
    receiver.script("/slow", [Answer::hang(), Answer::status(200)]);
    // The lease is the timeout and fifteen seconds.
    let setup = House::setup(Deployment::three_processes(backend))
        .with("dispatcher.delivery.connect_timeout=500ms")
        .with("dispatcher.delivery.first_byte_timeout=1s")
        .with("dispatcher.delivery.timeout=1s");
    let mut house = setup.open().await;
    let (webhook, _) = house.webhook(automation_webhook("Slow", &receiver.url("/slow"))).await;
    house.automation(automation("Tell", [post(&webhook, "1")])).await;
    let name = house.fires(won("e-1")).await;
    receiver.wait_for(1).await;
    house.kill(Service::Dispatcher);
    house.back(Service::Dispatcher).await;

    let shown = house.shows(&name, ExecutionState::Succeeded).await;
    assert_eq!(numbers(&shown), [(1, AttemptOutcome::Interrupted), (2, AttemptOutcome::Succeeded)]);
    let [cut, whole] = &receiver.hits()[..] else { panic!("two hits: {:?}", receiver.hits()) };
    assert_eq!(cut.header("webhook-id"), whole.header("webhook-id"));
    assert_eq!((cut.header("sluice-attempt"), whole.header("sluice-attempt")), ("1", "2"));
}
