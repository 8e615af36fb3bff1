//! What sets something off and what does not; who gets which event.

use std::collections::BTreeSet;

use proto::dispatcher::v1::{ExecutionState, PauseReason};
use proto::evaluator::v1::IngestOutcome;
use proto::event::v1::{Action, Event, Visibility};
use serde_json::{Value, json};
use sluice_testkit::Receiver;
use sluice_tests::requests::{automation, automation_webhook, event_webhook, noted, post, updated, won};
use sluice_tests::{ACCOUNT, Deployment, House, on_each_deployment, until};

on_each_deployment!(
    only_an_active_automation_whose_condition_holds_is_set_off,
    event_webhooks_get_the_envelope_of_what_their_owner_may_see,
    notifications_cost_no_executions,
    event_webhooks_work_on_the_humblest_plan,
);

async fn only_an_active_automation_whose_condition_holds_is_set_off(deployment: Deployment) {
    let house = House::open(deployment).await;
    let receiver = Receiver::start().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    let active = house.automation(automation("Active", [post(&webhook, r#""{{ event.id }}""#)])).await;
    let sleeping = automation("Sleeping", [post(&webhook, r#""sleeping""#)]);
    house.admin().create_automation("accounts/acme", sleeping).await.unwrap();

    let stage = |stage: &str| json!({"stage": stage});
    for (event, expected) in [
        (updated("still-won", stage("won"), stage("won")), IngestOutcome::NoMatch),
        (updated("lost", stage("open"), stage("lost")), IngestOutcome::NoMatch),
        (updated("was-won", stage("won"), stage("open")), IngestOutcome::NoMatch),
        (Event { action: Action::Added.into(), previous: "".into(), ..won("new") }, IngestOutcome::NoMatch),
        (Event { object: "lead".to_owned(), ..won("lead") }, IngestOutcome::NoMatch),
        (Event { suppress: true, ..won("imported") }, IngestOutcome::Suppressed),
    ] {
        let id = event.id.clone();
        let answer = house.ingest(event).await;
        assert_eq!((answer.outcome(), answer.executions.len()), (expected, 0), "{id}");
    }
    assert!(house.history().await.is_empty());

    let partial =
        Event { previous: stage("open").to_string().into(), previous_partial: true, ..won("partial") };
    for event in [won("won"), partial] {
        let name = house.fires(event).await;
        assert_eq!(house.shows(&name, ExecutionState::Succeeded).await.automation, active);
    }
    let bodies: Vec<_> = receiver.hits().iter().map(|hit| hit.text().to_owned()).collect();
    assert_eq!(bodies, [r#""won""#, r#""partial""#]);
}

/// The ids of the events that arrived at a path, by their envelopes.
fn ids(receiver: &Receiver, path: &str) -> BTreeSet<String> {
    let id = |body: &[u8]| {
        let envelope: Value = serde_json::from_slice(body).unwrap();
        envelope["meta"]["id"].as_str().unwrap().to_owned()
    };
    receiver.hits_at(path).iter().map(|hit| id(&hit.body)).collect()
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

async fn event_webhooks_get_the_envelope_of_what_their_owner_may_see(deployment: Deployment) {
    let house = House::open(deployment).await;
    let receiver = Receiver::start().await;
    let member = house.people().member(ACCOUNT, "max");
    let request = event_webhook("Max", &receiver.url("/member"), "note");
    member.create_webhook(request).await.unwrap();
    let (admins, _) = house.webhook(event_webhook("Ada", &receiver.url("/admin"), "*")).await;
    house.heard_of(&admins).await;

    let visible = |id: &str, everyone: bool, users: &[&str]| {
        let users = users.iter().map(|&user| user.to_owned()).collect();
        Event { visible_to: Some(Visibility { everyone, users }), ..noted(id) }
    };
    let events =
        [visible("his", false, &["eve", "max"]), visible("all", true, &[]), visible("hers", false, &["eve"])];
    for event in events.into_iter().chain([noted("unsaid"), won("deal")]) {
        assert_eq!(house.ingest(event).await.outcome(), IngestOutcome::Accepted);
    }
    assert_eq!(house.ingest(Event { suppress: true, ..noted("imported") }).await.executions.len(), 0);

    let all = house.all_ended().await;
    assert!(all.iter().all(|execution| execution.automation.is_empty() && execution.attempt_count == 1));
    assert_eq!(ids(&receiver, "/member"), set(&["all", "his"]));
    assert_eq!(ids(&receiver, "/admin"), set(&["all", "deal", "hers", "his", "unsaid"]));
    assert_eq!(receiver.hits().len(), 7);

    let hits = receiver.hits_at("/admin");
    let deal = hits.iter().find(|hit| hit.text().contains(r#""deal""#)).unwrap();
    let envelope: Value = serde_json::from_slice(&deal.body).unwrap();
    let occurred_at = envelope["meta"]["occurred_at"].clone();
    assert!(occurred_at.as_str().unwrap().ends_with('Z'), "{occurred_at}");
    let meta = json!({
        "id": "deal", "account": "acme", "object": "deal", "action": "updated", "record_id": "42",
        "occurred_at": occurred_at, "actor": "ada", "version": 1,
    });
    let record = |stage: &str| json!({"title": "Big one", "stage": stage});
    assert_eq!(envelope, json!({"meta": meta, "data": record("won"), "previous": record("open")}));
    assert_eq!((deal.method.as_str(), deal.header("content-type")), ("POST", "application/json"));
}

async fn notifications_cost_no_executions(deployment: Deployment) {
    let house = House::open_on(deployment, "tiny").await;
    let receiver = Receiver::start().await;
    let (notes, _) = house.webhook(event_webhook("Notes", &receiver.url("/notes"), "note")).await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.heard_of(&notes).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;

    for number in 0..5 {
        house.fires(noted(&format!("n-{number}"))).await;
    }
    house.all_ended().await;
    for id in ["e-1", "e-2"] {
        let name = house.fires(won(id)).await;
        house.shows(&name, ExecutionState::Succeeded).await;
    }
    let third = house.fires(won("e-3")).await;
    let paused = house.shows(&third, ExecutionState::Paused).await;
    assert_eq!(paused.pause.unwrap().reason(), PauseReason::Quota);
    let note = house.fires(noted("n-5")).await;
    house.shows(&note, ExecutionState::Succeeded).await;
    assert_eq!((receiver.hits_at("/notes").len(), receiver.hits_at("/in").len()), (6, 2));
}

async fn event_webhooks_work_on_the_humblest_plan(deployment: Deployment) {
    let house = House::open_on(deployment, "essential").await;
    let receiver = Receiver::start().await;
    house.webhook(event_webhook("Notes", &receiver.url("/notes"), "note")).await;
    let producer = house.people().producer(ACCOUNT);
    let mut asked = 0;
    let name = until("the evaluator has heard of the event webhook", async || {
        asked += 1;
        let answer = producer.ingest("accounts/acme", noted(&format!("n-{asked}"))).await;
        answer.ok().and_then(|answer| answer.executions.first().cloned())
    })
    .await;
    house.shows(&name, ExecutionState::Succeeded).await;
    assert_eq!(ids(&receiver, "/notes"), set(&[&format!("n-{asked}")]));
}
