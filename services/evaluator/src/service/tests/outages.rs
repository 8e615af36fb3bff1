use std::sync::Arc;
use std::time::Duration;

use proto::errors::v1::ErrorReason;
use proto::evaluator::v1 as wire;
use proto::evaluator::v1::batch_ingest_events_result::Answer;
use proto::event::v1::Event;
use proto::registry::v1::WebhookKind;
use sluice_domain::{Reason, Span};
use sluice_testkit::sqlite;
use tonic_health::pb::health_check_response::ServingStatus;

use super::dispatcher::FakeDispatcher;
use super::house::{HOOK, House, automation, event, refused};
use super::registry::{FakeRegistry, advanced, webhook};
use crate::service::Config;

#[tokio::test]
async fn without_a_dispatcher_events_are_unavailable_and_say_when_to_come_back() {
    let house = House::open().await;
    house.dispatcher.set_away(true);
    let refusal = refused(house.ingest(event("e1")).await, Reason::Unavailable);
    assert!(refusal.retry_after.is_some());
    let note = Event { object: "note".to_owned(), ..event("note") };
    let answers = house.ingest_all(vec![event("a"), note, event("b")]).await;
    let reasons: Vec<Option<ErrorReason>> = answers
        .iter()
        .map(|answer| match answer {
            Answer::Error(error) => Some(error.reason()),
            Answer::Response(_) => None,
        })
        .collect();
    assert_eq!(reasons, [Some(ErrorReason::Unavailable), None, Some(ErrorReason::Unavailable)]);
    house.dispatcher.set_away(false);
    assert_eq!(house.ingest(event("e1")).await.unwrap().outcome(), wire::IngestOutcome::Accepted);
}

#[tokio::test]
async fn a_stop_is_at_the_dispatcher_when_the_call_answers() {
    let house = House::open().await;
    let first = house.active().await;
    house.deactivate(&first.name).await.unwrap();
    let second = house.active().await;
    let delete = wire::DeleteAutomationRequest { name: second.name.clone(), etag: String::new() };
    house.admin().delete_automation(delete).await.unwrap();
    let gates = house.dispatcher.gates.borrow().clone();
    let stopped: Vec<String> = gates
        .iter()
        .map(|gate| format!("accounts/{}/automations/{}", gate.account, gate.automation))
        .collect();
    assert_eq!(stopped, [first.name, second.name]);
}

#[tokio::test]
async fn a_stop_that_the_dispatcher_missed_is_brought_again_until_it_arrives() {
    let house = House::open().await;
    let active = house.active().await;
    house.dispatcher.set_away(true);
    let inactive = house.deactivate(&active.name).await.unwrap();
    assert_eq!(inactive.state(), wire::AutomationState::Inactive);
    let mut refusals = house.dispatcher.refused_gates.subscribe();
    refusals.wait_for(|count| *count >= 3).await.unwrap();
    assert!(house.dispatcher.gates.borrow().is_empty());
    house.dispatcher.set_away(false);
    let mut gates = house.dispatcher.gates.subscribe();
    let arrived = gates.wait_for(|gates| !gates.is_empty()).await.unwrap().clone();
    assert_eq!(arrived[0].generation, 1);
}

#[tokio::test]
async fn a_stop_committed_before_a_crash_is_brought_by_the_next_process() {
    let house = House::open().await;
    let active = house.active().await;
    house.dispatcher.set_away(true);
    house.deactivate(&active.name).await.unwrap();
    let (registry, db) = (house.registry.clone(), Arc::clone(&house.db));
    drop(house);
    let next = House::with(registry, FakeDispatcher::new(), db).await;
    let mut gates = next.dispatcher.gates.subscribe();
    let arrived = gates.wait_for(|gates| !gates.is_empty()).await.unwrap().clone();
    assert!(active.name.ends_with(&arrived[0].automation));
}

#[tokio::test]
async fn a_broken_feed_goes_on_after_its_cursor() {
    let house = House::open().await;
    house.registry.cut(false);
    let mut cursors = house.registry.cursors.subscribe();
    let asked = cursors.wait_for(|cursors| cursors.len() >= 2).await.unwrap().clone();
    assert_eq!(asked[..2], [0, 3]);
    let other = "accounts/late/webhooks/wh_01h455vb4pex5vsknk084sn04s";
    house.registry.account("late", advanced());
    house.registry.webhook(webhook(other, WebhookKind::Event));
    let request = wire::IngestEventRequest { parent: "accounts/late".to_owned(), event: Some(event("e1")) };
    house.producer().ingest_event(request).await.unwrap();
}

#[tokio::test]
async fn a_cursor_too_old_starts_afresh_and_forgets_what_is_gone() {
    let house = House::open().await;
    house.registry.empty();
    house.registry.account("acme", advanced());
    house.registry.webhook(webhook(HOOK, WebhookKind::Automation));
    house.registry.cut(true);
    let mut cursors = house.registry.cursors.subscribe();
    cursors.wait_for(|cursors| cursors.iter().filter(|cursor| **cursor == 0).count() == 2).await.unwrap();
    // The event webhook is gone with the new state, which may still be on its way.
    for number in 0.. {
        let outcome = house.ingest(event(&format!("e{number}"))).await.unwrap().outcome();
        if outcome == wire::IngestOutcome::NoMatch {
            break;
        }
    }
    assert_eq!(house.dispatcher.calls().iter().filter(|call| call.items[0].executions.len() > 1).count(), 0);
}

#[tokio::test]
async fn an_account_made_a_moment_ago_is_waited_for() {
    let house = House::with(FakeRegistry::new(), FakeDispatcher::new(), Arc::new(sqlite().await)).await;
    house.registry.late_account("acme");
    let later = async {
        tokio::task::yield_now().await;
        house.registry.account("acme", advanced());
    };
    let (response, ()) = tokio::join!(house.ingest(event("e1")), later);
    assert_eq!(response.unwrap().outcome(), wire::IngestOutcome::NoMatch);
}

#[tokio::test]
async fn before_the_registrys_state_is_read_calls_are_unavailable() {
    let registry = FakeRegistry::new();
    registry.account("acme", advanced());
    registry.set_away(true);
    let house = House::with(registry, FakeDispatcher::new(), Arc::new(sqlite().await)).await;
    let refusal = refused(house.ingest(event("e1")).await, Reason::Unavailable);
    assert!(refusal.retry_after.is_some());
    refused(house.create(automation()).await, Reason::Unavailable);
    assert_eq!(house.health().await, ServingStatus::NotServing);
    house.registry.set_away(false);
    house.evaluator.ready().await;
    house.db.time.advance(Span::from_secs(1)).await;
    assert_eq!(house.health().await, ServingStatus::Serving);
    house.ingest(event("e1")).await.unwrap();
}

#[tokio::test]
async fn while_the_registry_is_away_what_is_known_goes_on() {
    let house = House::open().await;
    house.registry.set_away(true);
    house.registry.cut(false);
    let mut cursors = house.registry.cursors.subscribe();
    cursors.wait_for(|cursors| cursors.len() >= 3).await.unwrap();
    assert_eq!(house.ingest(event("e1")).await.unwrap().outcome(), wire::IngestOutcome::Accepted);
}

fn of(account: &str) -> wire::IngestEventRequest {
    wire::IngestEventRequest { parent: format!("accounts/{account}"), event: Some(event("e1")) }
}

#[tokio::test]
async fn an_account_that_nobody_told_of_comes_into_being_on_the_default_plan() {
    let house = House::open().await;
    house.registry.set_default_plan(advanced());
    let response = house.producer().ingest_event(of("fresh")).await.unwrap().into_inner();
    assert_eq!(response.outcome(), wire::IngestOutcome::NoMatch);
}

#[tokio::test]
async fn an_unknown_account_is_refused_without_waiting_for_the_feed() {
    let config = Config { catch_up: Span::from_secs(10), ..Config::default() };
    let (registry, dispatcher) = (FakeRegistry::new(), FakeDispatcher::new());
    let house = House::set_up(config, registry, dispatcher, Arc::new(sqlite().await)).await;
    let mut producer = house.producer();
    let refusal = producer.ingest_event(of("nobody"));
    let refusal = tokio::time::timeout(Duration::from_secs(9), refusal).await.expect("at once");
    refused(refusal, Reason::AccountUnknown);
}

#[tokio::test]
async fn an_account_that_can_not_be_asked_for_or_does_not_come_is_unavailable_and_not_unknown() {
    let house = House::open().await;
    house.registry.late_account("late");
    refused(house.producer().ingest_event(of("late")).await, Reason::Unavailable);
    house.registry.set_away(true);
    refused(house.producer().ingest_event(of("nobody")).await, Reason::Unavailable);
}
