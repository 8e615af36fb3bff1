//! Webhooks whose receivers fail: held back but for one request at a time, given up when they are gone, brought back by people.

use proto::dispatcher::v1::{EndReason, Execution, ExecutionState, PauseReason};
use proto::registry::v1::{DisableReason, WebhookState};
use sluice_testkit::{Answer, Receiver};
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{Deployment, House, on_each_deployment, until};
use tonic::Code;

on_each_deployment!(
    one_request_at_a_time_tries_a_receiver_that_fails_and_all_go_on_once_it_answers,
    what_is_held_back_from_a_receiver_that_fails_stays_so_over_a_restart,
    a_receiver_that_is_gone_is_given_up_and_what_failed_is_brought_back,
);

fn is_held_back(execution: &Execution) -> bool {
    execution.pause.is_some_and(|pause| pause.reason() == PauseReason::BreakerOpen)
}

async fn one_request_at_a_time_tries_a_receiver_that_fails_and_all_go_on_once_it_answers(
    deployment: Deployment,
) {
    let receiver = Receiver::start().await;
    let answers = [Answer::status(503), Answer::status(503), Answer::status(200).held(), Answer::status(200)];
    receiver.script("/in", answers);
    let setup = House::setup(deployment)
        .with("dispatcher.breaker.failures=2")
        .with("dispatcher.breaker.over=1ms")
        .with("dispatcher.breaker.first=5s")
        .with("dispatcher.breaker.longest=5s");
    let house = setup.open().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    let first = house.fires(won("e-0")).await;
    until("the first has failed twice and waits for the probe", async || {
        is_held_back(&house.execution(&first).await).then_some(())
    })
    .await;
    let mut names = vec![first];
    for number in 1..5 {
        names.push(house.fires(won(&format!("e-{number}"))).await);
    }
    for execution in house.history().await {
        assert!(is_held_back(&execution), "{execution:?}");
    }
    assert_eq!(receiver.hits().len(), 2);

    receiver.wait_until_held(1).await;
    names.push(house.fires(won("e-5")).await);
    let held_back = house.history().await.iter().filter(|execution| is_held_back(execution)).count();
    assert_eq!((receiver.hits().len(), held_back), (3, 5), "one request tries it, the rest waits");
    receiver.release();
    let mut all = house.all_ended().await;
    all.reverse();
    assert!(all.iter().all(|execution| execution.state() == ExecutionState::Succeeded), "{all:?}");
    let attempts: Vec<i32> = all.iter().map(|execution| execution.attempt_count).collect();
    assert_eq!((attempts, receiver.hits().len()), (vec![3, 1, 1, 1, 1, 1], 8), "waiting used no attempt");
}

async fn what_is_held_back_from_a_receiver_that_fails_stays_so_over_a_restart(deployment: Deployment) {
    let receiver = Receiver::start().await;
    receiver.script("/in", [Answer::status(503)]);
    let setup = House::setup(deployment)
        .with("dispatcher.breaker.failures=2")
        .with("dispatcher.breaker.over=1ms")
        .with("dispatcher.breaker.first=1h");
    let mut house = setup.open().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    let first = house.fires(won("e-0")).await;
    until("it has failed twice and waits for the probe", async || {
        is_held_back(&house.execution(&first).await).then_some(())
    })
    .await;
    // So that the registry's present state is of a later revision than the webhook.
    house.put_plan("advanced").await;
    house.restart().await;
    // Who starts reads how every webhook stands, and has by then.
    house.dispatcher_heard("advanced").await;
    let second = house.fires(won("e-1")).await;
    for name in [first, second] {
        let execution = house.execution(&name).await;
        assert!(is_held_back(&execution), "{execution:?}");
    }
    assert_eq!(receiver.hits().len(), 2);
}

async fn a_receiver_that_is_gone_is_given_up_and_what_failed_is_brought_back(deployment: Deployment) {
    let receiver = Receiver::start().await;
    receiver.script("/in", [Answer::status(410), Answer::status(200)]);
    let house = House::open(deployment).await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    let admin = house.admin();
    let gone = house.fires(won("e-0")).await;
    let ended = house.shows(&gone, ExecutionState::Failed).await;
    assert_eq!(ended.end.unwrap().reason(), EndReason::RefusedByReceiver);
    let shown = until("the registry has it disabled", async || {
        let shown = admin.get_webhook(&webhook).await.unwrap();
        (shown.state() == WebhookState::Disabled).then_some(shown)
    })
    .await;
    assert_eq!(shown.disable_reason(), DisableReason::Gone);
    assert!(shown.disable_time.is_some());

    let later = house.fires(won("e-1")).await;
    let failed = house.shows(&later, ExecutionState::Failed).await;
    assert_eq!((failed.end.unwrap().reason(), failed.attempt_count), (EndReason::WebhookDisabled, 0));
    assert_eq!(admin.retry(&later).await.unwrap_err().code, Code::FailedPrecondition);
    assert_eq!(receiver.hits().len(), 1);

    let enabled = admin.set_state(&webhook, WebhookState::Enabled).await.unwrap();
    assert_eq!((enabled.disable_reason(), enabled.disable_time), (DisableReason::Unspecified, None));
    until("it may be tried again", async || admin.retry(&later).await.ok()).await;
    let delivered = house.shows(&later, ExecutionState::Succeeded).await;
    assert_eq!((delivered.attempt_count, receiver.hits().len()), (1, 2));
}
