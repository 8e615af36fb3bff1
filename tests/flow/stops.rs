//! An automation that is switched off or deleted stops what waits, and fires no more.

use proto::dispatcher::v1::{EndReason, ExecutionState};
use proto::evaluator::v1::IngestOutcome;
use proto::registry::v1::WebhookState;
use sluice_testkit::{Answer, Receiver};
use sluice_tests::requests::{automation, automation_webhook, delay, post, won};
use sluice_tests::{Deployment, House, on_each_deployment};

on_each_deployment!(
    deactivating_stops_what_waits_and_nothing_fires_until_it_is_active_again,
    deleting_stops_what_waits_and_what_is_dialled_still_ends,
    an_edit_lets_what_runs_finish_as_it_began,
);

async fn assert_stopped(house: &House, name: &str) {
    let stopped = house.shows(name, ExecutionState::Stopped).await;
    assert_eq!(stopped.end.unwrap().reason(), EndReason::AutomationDeactivated);
}

async fn deactivating_stops_what_waits_and_nothing_fires_until_it_is_active_again(deployment: Deployment) {
    let house = House::open(deployment).await;
    let receiver = Receiver::start().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    let (disabled, _) = house.webhook(automation_webhook("Off", &receiver.url("/off"))).await;
    let admin = house.admin();
    admin.set_state(&disabled, WebhookState::Disabled).await.unwrap();
    let steps = [post(&webhook, r#""1""#), delay(3_600), post(&webhook, r#""2""#)];
    let delayed = house.automation(automation("Delayed", steps)).await;
    let paused = house.automation(automation("Paused", [post(&disabled, "{}")])).await;

    let accepted = house.ingest(won("e-1")).await;
    let mut waiting = None;
    let mut held = None;
    for name in accepted.executions {
        let automation = house.execution(&name).await.automation;
        *(if automation == delayed { &mut waiting } else { &mut held }) = Some(name);
    }
    let (waiting, held) = (waiting.unwrap(), held.unwrap());
    house.shows(&held, ExecutionState::Paused).await;
    receiver.wait_for(1).await;
    house.shows(&waiting, ExecutionState::Waiting).await;

    for (automation, execution) in [(&delayed, &waiting), (&paused, &held)] {
        admin.deactivate(automation).await.unwrap();
        assert_stopped(&house, execution).await;
    }
    assert_eq!(house.ingest(won("e-2")).await.outcome(), IngestOutcome::NoMatch);
    let refused = admin.retry(&waiting).await.unwrap_err();
    assert_eq!(refused.reason, "EXECUTION_STATE", "what was stopped stays so");

    admin.set_state(&disabled, WebhookState::Enabled).await.unwrap();
    admin.activate(&paused).await.unwrap();
    let fresh = house.fires(won("e-3")).await;
    house.shows(&fresh, ExecutionState::Succeeded).await;
    assert_stopped(&house, &held).await;
    assert_eq!((receiver.hits_at("/in").len(), receiver.hits_at("/off").len()), (1, 1));
}

async fn deleting_stops_what_waits_and_what_is_dialled_still_ends(deployment: Deployment) {
    let house = House::open(deployment).await;
    let receiver = Receiver::start().await;
    receiver.script("/in", [Answer::status(200), Answer::hang()]);
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    let delayed =
        house.automation(automation("Two", [post(&webhook, "1"), delay(3_600), post(&webhook, "2")])).await;
    let waiting = house.fires(won("e-1")).await;
    receiver.wait_for(1).await;
    house.shows(&waiting, ExecutionState::Waiting).await;
    let admin = house.admin();
    admin.delete_automation(&delayed).await.unwrap();
    assert_stopped(&house, &waiting).await;
    assert_eq!(admin.get_automation(&delayed).await.unwrap_err().reason, "NOT_FOUND");
    assert_eq!(house.ingest(won("e-2")).await.outcome(), IngestOutcome::NoMatch);

    let single = house.automation(automation("One", [post(&webhook, "3")])).await;
    let dialled = house.fires(won("e-3")).await;
    receiver.wait_for(2).await;
    admin.delete_automation(&single).await.unwrap();
    assert_eq!(house.execution(&dialled).await.state(), ExecutionState::Running);
    receiver.release();
    house.shows(&dialled, ExecutionState::Succeeded).await;
    assert_eq!(receiver.hits().len(), 2);
}

async fn an_edit_lets_what_runs_finish_as_it_began(deployment: Deployment) {
    let house = House::open(deployment).await;
    let receiver = Receiver::start().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    let steps = |said: &str| [post(&webhook, "0"), delay(1), post(&webhook, said)];
    let name = house.automation(automation("Tell the shop", steps("1"))).await;
    let before = house.fires(won("e-1")).await;
    house.shows(&before, ExecutionState::Waiting).await;
    let mut edited = automation("Tell the shop", steps("2"));
    edited.name = name;
    let edited = house.admin().update_automation(edited, &["steps"]).await.unwrap();
    let after = house.fires(won("e-2")).await;
    for (execution, body) in [(&before, "1"), (&after, "2")] {
        let shown = house.shows(execution, ExecutionState::Succeeded).await;
        assert_eq!(&*shown.deliveries[1].body, body.as_bytes());
        assert_eq!(shown.automation_version == edited.version, body == "2");
    }
    let mut bodies: Vec<_> = receiver.hits().iter().map(|hit| hit.text().to_owned()).collect();
    bodies.sort();
    assert_eq!(bodies, ["0", "0", "1", "2"]);
}
