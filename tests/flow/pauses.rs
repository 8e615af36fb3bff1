//! A pause drops nothing, uses no attempt, and ends by itself.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, Timelike};
use proto::dispatcher::v1::{EndReason, Execution, ExecutionState, PauseReason};
use proto::errors::v1::ErrorReason;
use proto::evaluator::v1::{IngestOutcome, batch_ingest_events_result};
use proto::registry::v1::WebhookState;
use sluice_runtime::Clock;
use sluice_testkit::Receiver;
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{ACCOUNT, Deployment, House, PARENT, figures, micros, on_each_deployment, until};
use tonic::Code;

on_each_deployment!(
    a_used_up_rate_pauses_and_a_raised_plan_delivers_all_once,
    a_used_up_allowance_pauses_until_the_period_ends,
    a_plan_without_automations_pauses_until_there_is_one_with,
    a_disabled_webhook_pauses_and_all_go_on_in_order,
    a_deleted_webhook_fails_what_needs_it,
    a_full_backlog_refuses_what_is_new_and_keeps_what_it_has,
    a_full_backlog_answers_each_event_of_a_batch,
    what_is_paused_starts_when_it_was_said_to,
);

/// A house with one automation that posts the event's id, and the webhook it posts to.
async fn house(deployment: Deployment, plan: &'static str, receiver: &Receiver) -> (House, String) {
    let house = House::open_on(deployment, plan).await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, r#""{{ event.id }}""#)])).await;
    (house, webhook)
}

/// Sends so many events; the names of their executions in the order of acceptance.
async fn fire(house: &House, count: u32) -> Vec<String> {
    let mut names = Vec::new();
    for number in 0..count {
        names.push(house.fires(won(&format!("e-{number}"))).await);
    }
    names
}

/// Waits until so many have succeeded and all others are paused for this reason; the paused ones, oldest first.
async fn all_but(house: &House, succeeded: usize, reason: PauseReason) -> Vec<Execution> {
    let what = format!("{succeeded} have succeeded and the others are paused, {}", reason.as_str_name());
    let paused = |execution: &Execution| {
        execution.state() == ExecutionState::Paused && execution.pause.unwrap().reason() == reason
    };
    let mut rest = until(&what, async || {
        let (done, rest): (Vec<_>, Vec<_>) = house
            .history()
            .await
            .into_iter()
            .partition(|execution| execution.state() == ExecutionState::Succeeded);
        (done.len() == succeeded && rest.iter().all(paused)).then_some(rest)
    })
    .await;
    rest.reverse();
    assert!(rest.iter().all(|execution| execution.attempt_count == 0 && execution.start_time.is_none()));
    rest
}

/// All are over: each succeeded with one attempt, each hit the receiver once, and they started in this order.
async fn assert_each_delivered_once(house: &House, receiver: &Receiver, names: &[String]) {
    let mut all = house.all_ended().await;
    all.reverse();
    assert_eq!(all.iter().map(|execution| execution.name.clone()).collect::<Vec<_>>(), names);
    for execution in &all {
        assert_eq!(
            (execution.state(), execution.attempt_count),
            (ExecutionState::Succeeded, 1),
            "{execution:?}"
        );
    }
    assert!(all.is_sorted_by_key(|execution| micros(execution.start_time)), "{all:?}");
    let hits = receiver.hits();
    let ids: BTreeSet<_> = hits.iter().map(|hit| hit.header("webhook-id").to_owned()).collect();
    assert_eq!((hits.len(), ids.len()), (names.len(), names.len()));
}

async fn a_used_up_rate_pauses_and_a_raised_plan_delivers_all_once(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let (house, _) = house(deployment, "tiny", &receiver).await;
    let names = fire(&house, 6).await;
    let paused = all_but(&house, 2, PauseReason::Quota).await;
    assert_eq!(
        paused.iter().map(|execution| &execution.name).collect::<Vec<_>>(),
        names[2..].iter().collect::<Vec<_>>()
    );

    // One cell comes free in half an hour, each further one half an hour later.
    let now = Clock::system().now().as_micros();
    let ends: Vec<i64> =
        paused.iter().map(|execution| micros(execution.pause.unwrap().expected_end_time)).collect();
    for (place, end) in (1..).zip(&ends) {
        let minutes = (end - now) / 60_000_000;
        assert!(
            (30 * place - 2..=30 * place).contains(&minutes),
            "{place} goes on in {minutes} minutes: {ends:?}"
        );
    }
    house.put_plan("advanced").await;
    assert_each_delivered_once(&house, &receiver, &names).await;
}

async fn a_used_up_allowance_pauses_until_the_period_ends(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let (house, _) = house(deployment, "monthly", &receiver).await;
    let names = fire(&house, 4).await;
    for execution in all_but(&house, 2, PauseReason::Quota).await {
        let end = micros(execution.pause.unwrap().expected_end_time);
        let end = DateTime::from_timestamp_micros(end).unwrap();
        assert_eq!((end.day(), end.num_seconds_from_midnight()), (1, 0), "{end}");
        assert!(end.timestamp_micros() > Clock::system().now().as_micros());
    }
    house.put_plan("advanced").await;
    assert_each_delivered_once(&house, &receiver, &names).await;
}

async fn a_plan_without_automations_pauses_until_there_is_one_with(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let (house, _) = house(deployment, "tiny", &receiver).await;
    let names = fire(&house, 4).await;
    all_but(&house, 2, PauseReason::Quota).await;
    house.put_plan("essential").await;
    let paused = all_but(&house, 2, PauseReason::Plan).await;
    assert_eq!(paused.len(), 2);
    house.put_plan("advanced").await;
    assert_each_delivered_once(&house, &receiver, &names).await;
}

async fn a_disabled_webhook_pauses_and_all_go_on_in_order(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let (house, webhook) = house(deployment, "advanced", &receiver).await;
    house.admin().set_state(&webhook, WebhookState::Disabled).await.unwrap();
    let names = fire(&house, 4).await;
    let what = "all are paused because the webhook is disabled";
    until(what, async || {
        let paused = |execution: &Execution| {
            execution.pause.is_some_and(|pause| pause.reason() == PauseReason::WebhookDisabled)
        };
        house.history().await.iter().all(paused).then_some(())
    })
    .await;
    assert!(house.history().await.iter().all(|execution| execution.attempt_count == 0));
    assert!(receiver.hits().is_empty());
    house.admin().set_state(&webhook, WebhookState::Enabled).await.unwrap();
    assert_each_delivered_once(&house, &receiver, &names).await;
}

async fn a_deleted_webhook_fails_what_needs_it(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let (house, webhook) = house(deployment, "advanced", &receiver).await;
    let admin = house.admin();
    admin.set_state(&webhook, WebhookState::Disabled).await.unwrap();
    let waiting = house.fires(won("e-1")).await;
    house.shows(&waiting, ExecutionState::Paused).await;
    assert_eq!(
        admin.list_automations(PARENT, &webhook).await.unwrap().len(),
        1,
        "what uses it can be listed"
    );
    admin.delete_webhook(&webhook).await.unwrap();
    let later = house.fires(won("e-2")).await;
    for name in [waiting, later] {
        let failed = house.shows(&name, ExecutionState::Failed).await;
        assert_eq!(failed.end.unwrap().reason(), EndReason::WebhookDeleted);
        assert_eq!(failed.attempt_count, 0);
    }
    assert!(receiver.hits().is_empty());
}

async fn a_full_backlog_refuses_what_is_new_and_keeps_what_it_has(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let (house, _) = house(deployment, "narrow", &receiver).await;
    let mut names = Vec::new();
    for id in ["e-0", "e-1"] {
        names.push(house.fires(won(id)).await);
        house.shows(names.last().unwrap(), ExecutionState::Succeeded).await;
    }
    for id in ["e-2", "e-3", "e-4"] {
        names.push(house.fires(won(id)).await);
    }
    let producer = house.people().producer(ACCOUNT);
    let refused = producer.ingest(PARENT, won("e-5")).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::ResourceExhausted, "BACKLOG_FULL"));
    assert_eq!((refused.metadata["waiting"].as_str(), refused.metadata["max_waiting"].as_str()), ("3", "3"));
    assert_eq!(house.ingest(won("e-4")).await.outcome(), IngestOutcome::Repeated, "it is there already");
    assert_eq!(all_but(&house, 2, PauseReason::Quota).await.len(), 3);

    house.put_plan("advanced").await;
    let accepted =
        until("the backlog has room again", async || producer.ingest(PARENT, won("e-5")).await.ok());
    names.push(accepted.await.executions[0].clone());
    assert_each_delivered_once(&house, &receiver, &names).await;
}

async fn a_full_backlog_answers_each_event_of_a_batch(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let (house, _) = house(deployment, "narrow", &receiver).await;
    for id in ["e-0", "e-1"] {
        let name = house.fires(won(id)).await;
        house.shows(&name, ExecutionState::Succeeded).await;
    }
    house.fires(won("e-2")).await;
    let producer = house.people().producer(ACCOUNT);
    let batch = ["e-3", "e-2", "e-4", "e-5", "e-3"].map(won).to_vec();
    let answers = producer.ingest_batch(PARENT, batch).await.unwrap();
    let (mut accepted, mut repeated, mut refused) = (0, 0, 0);
    for answer in answers {
        match answer.answer.unwrap() {
            batch_ingest_events_result::Answer::Response(answer) => match answer.outcome() {
                IngestOutcome::Accepted => accepted += 1,
                IngestOutcome::Repeated => repeated += 1,
                other => panic!("{other:?}"),
            },
            batch_ingest_events_result::Answer::Error(error) => {
                assert_eq!(error.reason(), ErrorReason::BacklogFull);
                assert_eq!(error.metadata["max_waiting"], "3");
                refused += 1;
            }
        }
    }
    assert_eq!((accepted, repeated, refused), (2, 2, 1), "each once, and no more than fit");
    assert_eq!(all_but(&house, 2, PauseReason::Quota).await.len(), 3);
    house.put_plan("advanced").await;
    assert_eq!(house.all_ended().await.len(), 5, "what was accepted is delivered");
}

/// On the clock on the wall: what was shown of each last, before it started, is when it did.
async fn what_is_paused_starts_when_it_was_said_to(deployment: Deployment) {
    const ALL: u32 = 30;
    let receiver = Receiver::start().await;
    let (house, _) = house(deployment, "brisk", &receiver).await;
    fire(&house, ALL).await;
    let mut promised: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let started = until("all have started", async || {
        let now = Clock::system().now().as_micros();
        let all = house.history().await;
        for execution in all.iter().filter(|execution| execution.start_time.is_none()) {
            if let Some(pause) = execution.pause.filter(|pause| pause.expected_end_time.is_some()) {
                promised.insert(execution.name.clone(), (now, micros(pause.expected_end_time)));
            }
        }
        all.iter().all(|execution| execution.start_time.is_some()).then_some(all)
    })
    .await;
    let mut kept = 0;
    for execution in started.iter().filter(|execution| promised.contains_key(&execution.name)) {
        let (said_at, end) = promised[&execution.name];
        let off = (micros(execution.start_time) - end).abs();
        kept += usize::from(off <= 2_000_000 || off * 20 <= end - said_at);
    }
    figures(format!("promise and event: {kept} of {} within 2 s or 5 %", promised.len()));
    assert!(promised.len() >= 15, "most of them waited: {}", promised.len());
    assert!(kept * 100 >= promised.len() * 95, "{kept} of {}", promised.len());
}
