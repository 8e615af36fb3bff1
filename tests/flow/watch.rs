//! What is told to those who watch.

use proto::dispatcher::v1::watch_executions_request::Start;
use proto::dispatcher::v1::watch_executions_response::Event;
use proto::dispatcher::v1::{
    ExecutionChangeKind as Kind, ExecutionState, PauseReason, WatchExecutionsRequest,
};
use proto::registry::v1::WebhookState;
use sluice_testkit::{Answer, Receiver};
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{Deployment, House, Mirror, OTHER_ACCOUNT, PARENT, on_each_deployment, until};
use tonic::Code;

on_each_deployment!(
    every_change_is_told_once_and_in_order_over_a_restart,
    a_gate_is_told_once_however_much_waits_behind_it,
    who_begins_now_is_told_of_what_comes_and_of_nothing_else,
    cursors_are_of_one_account_and_watches_are_limited,
);

async fn every_change_is_told_once_and_in_order_over_a_restart(deployment: Deployment) {
    let receiver = Receiver::start().await;
    receiver.script("/shop", [Answer::status(503), Answer::status(200)]);
    let mut house = House::open(deployment).await;
    let (shop, _) = house.webhook(automation_webhook("Shop", &receiver.url("/shop"))).await;
    house.automation(automation("Tell", [post(&shop, "1")])).await;
    let mut mirror = Mirror::new();
    for round in 0..3 {
        for number in 0..5 {
            house.fires(won(&format!("e-{round}-{number}"))).await;
        }
        // It leaves in the middle of it all, and comes back where it was.
        let some = 2 + 5 * round;
        mirror.see(&house.admin(), |seen| seen.executions.len() >= some).await;
        if round == 1 {
            house.restart().await;
        }
    }
    mirror.see(&house.admin(), |seen| seen.count(ExecutionState::Succeeded) == 15).await;
    assert!(mirror.begun >= 4);
    for execution in house.all_ended().await {
        let seen = &mirror.executions[&execution.name];
        assert_eq!(
            (seen.state(), &seen.end, &seen.event),
            (execution.state(), &execution.end, &execution.event)
        );
        let whole = house.execution(&execution.name).await;
        let delivery = &whole.deliveries[0];
        let told = &mirror.changes[&execution.name];
        let kinds = attempted(told.iter().map(|(kind, ..)| *kind));
        let mut meant = vec![Kind::Accepted];
        for number in 1..=whole.attempt_count {
            // The first attempt begins with the acceptance, if that had room.
            if number > 1 || kinds.get(1) == Some(&Kind::AttemptStarted) {
                meant.push(Kind::AttemptStarted);
            }
            meant.push(Kind::AttemptEnded);
        }
        assert_eq!(kinds, meant, "{told:?}");
        assert!(told.iter().all(|(_, of, _)| *of == delivery.id), "{told:?}");
    }
    house.stop().await;
}

/// Without the beginnings that were taken back: at a drain, what is not dialled is handed back.
fn attempted(told: impl Iterator<Item = Kind>) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for kind in told {
        match kind {
            Kind::HandedBack if kinds.last() == Some(&Kind::AttemptStarted) => drop(kinds.pop()),
            // It had begun with the acceptance.
            Kind::HandedBack => assert_eq!(kinds, [Kind::Accepted]),
            kind => kinds.push(kind),
        }
    }
    kinds
}

async fn a_gate_is_told_once_however_much_waits_behind_it(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let mut house = House::open_on(deployment, "tiny").await;
    let (shop, _) = house.webhook(automation_webhook("Shop", &receiver.url("/shop"))).await;
    house.automation(automation("Tell", [post(&shop, "1")])).await;
    for number in 0..10 {
        house.fires(won(&format!("e-{number}"))).await;
    }
    let mut mirror = Mirror::new();
    let closed = |seen: &Mirror| seen.closed.contains_key("automations");
    mirror.see(&house.admin(), |seen| closed(seen) && seen.count(ExecutionState::Queued) == 8).await;
    assert_eq!(mirror.closed["automations"].reason(), PauseReason::Quota);
    assert!(mirror.closed["automations"].expected_end_time.is_some());

    house.admin().set_state(&shop, WebhookState::Disabled).await.unwrap();
    mirror.see(&house.admin(), |seen| seen.closed.contains_key(&shop)).await;
    assert_eq!(mirror.closed[&shop].reason(), PauseReason::WebhookDisabled);
    house.put_plan("advanced").await;
    mirror.see(&house.admin(), |seen| !closed(seen)).await;
    assert_eq!(mirror.count(ExecutionState::Queued), 8, "the webhook's gate holds them back still");
    house.admin().set_state(&shop, WebhookState::Enabled).await.unwrap();
    let all_is_over = |seen: &Mirror| seen.count(ExecutionState::Succeeded) == 10;
    // That a gate is open may be told after what went through it.
    mirror.see(&house.admin(), |seen| all_is_over(seen) && seen.closed.is_empty()).await;
    house.stop().await;
}

async fn who_begins_now_is_told_of_what_comes_and_of_nothing_else(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let mut house = House::open(deployment).await;
    let (shop, _) = house.webhook(automation_webhook("Shop", &receiver.url("/shop"))).await;
    house.automation(automation("Tell", [post(&shop, "1")])).await;
    let before = house.fires(won("before")).await;
    house.all_ended().await;
    let stranger = house.people().admin(OTHER_ACCOUNT);
    let foreign = WatchExecutionsRequest { parent: format!("accounts/{OTHER_ACCOUNT}"), start: None };
    let mut theirs = stranger.watch(foreign).await.unwrap();
    let mut now =
        house.admin().watch(WatchExecutionsRequest { parent: PARENT.to_owned(), start: None }).await.unwrap();
    // The gates and how far it has come are said first.
    while !matches!(now.next().await.unwrap().unwrap().event, Some(Event::Progress(_))) {}
    let after = house.fires(won("after")).await;
    let mut names = Vec::new();
    until("the new one is over", async || {
        let answer = now.next().await.unwrap().unwrap();
        let Some(Event::Change(change)) = answer.event else {
            return None;
        };
        let execution = change.execution.unwrap();
        names.push(execution.name.clone());
        (execution.state() == ExecutionState::Succeeded).then_some(())
    })
    .await;
    assert!(!names.contains(&before) && names.iter().all(|name| *name == after), "{names:?}");
    for _ in 0..3 {
        let answer = theirs.next().await.unwrap().unwrap();
        let told = answer.event.unwrap();
        assert!(!matches!(told, Event::Change(_)), "{told:?}");
        if matches!(told, Event::Progress(_)) {
            break;
        }
    }
    drop((now, theirs));
    house.stop().await;
}

async fn cursors_are_of_one_account_and_watches_are_limited(deployment: Deployment) {
    let mut house = House::setup(deployment).with("dispatcher.watch.per_account=2").open().await;
    let now = || WatchExecutionsRequest { parent: PARENT.to_owned(), start: None };
    let mut first = house.admin().watch(now()).await.unwrap();
    let cursor = first.next().await.unwrap().unwrap().cursor;
    let from = |parent: &str, cursor: &str| WatchExecutionsRequest {
        parent: parent.to_owned(),
        start: Some(Start::Cursor(cursor.to_owned())),
    };
    let other = format!("accounts/{OTHER_ACCOUNT}");
    let stranger = house.people().admin(OTHER_ACCOUNT);
    for (person, request) in [(&stranger, from(&other, &cursor)), (&house.admin(), from(PARENT, "nonsense"))]
    {
        let refused = person.watch(request).await.unwrap_err();
        assert_eq!((refused.code, &refused.fields[..]), (Code::InvalidArgument, &["cursor".to_owned()][..]));
    }
    let second = house.admin().watch(from(PARENT, &cursor)).await.unwrap();
    let refused = house.admin().watch(now()).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::ResourceExhausted, "OVERLOADED"));
    assert!(
        refused.retry_delay.is_some()
            && stranger.watch(WatchExecutionsRequest { parent: other, start: None }).await.is_ok()
    );
    drop(second);
    until("a watch that has ended makes room", async || house.admin().watch(now()).await.ok()).await;
    house.stop().await;
}
