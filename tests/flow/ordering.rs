//! Ordering by record: what is promised of a webhook that wants it, and that others do not notice.

use proto::dispatcher::v1::{Execution, ExecutionState};
use proto::event::v1::Event;
use proto::registry::v1::{Webhook, WebhookOrdering};
use sluice_testkit::{Answer, Receiver};
use sluice_tests::requests::{automation_webhook, deal, post, titled};
use sluice_tests::{Deployment, House, on_each_deployment, until};

on_each_deployment!(
    the_next_about_a_record_waits_until_the_one_before_is_over_and_nothing_else_does,
    a_webhook_becomes_ordered_and_free_again,
);

fn about(record: &str, id: &str) -> Event {
    Event { record_id: record.into(), ..deal(id, "tell") }
}

async fn order(house: &House, webhook: &str, ordering: WebhookOrdering) -> Webhook {
    let change = Webhook { name: webhook.into(), ordering: ordering.into(), ..Webhook::default() };
    house.admin().update_webhook(change, &["ordering"]).await.unwrap()
}

/// Fires an event, whose delivery is ordered or not: the evaluator hears of a change within moments.
async fn fires_so(house: &House, record: &str, id: &str, ordered: bool) -> Execution {
    let mut tries = 0;
    until("the evaluator has heard of the order", async || {
        tries += 1;
        let name = house.fires(about(&format!("{record}-{tries}"), &format!("{id}-{tries}"))).await;
        let execution = house.execution(&name).await;
        (execution.deliveries[0].ordered == ordered).then_some(execution)
    })
    .await
}

async fn the_next_about_a_record_waits_until_the_one_before_is_over_and_nothing_else_does(
    deployment: Deployment,
) {
    let receiver = Receiver::start().await;
    let mut house = House::open(deployment).await;
    let mut request = automation_webhook("In order", &receiver.url("/in"));
    if let Some(webhook) = &mut request.webhook {
        webhook.set_ordering(WebhookOrdering::Record);
    }
    let (webhook, _) = house.webhook(request).await;
    house.automation(titled("tell", [post(&webhook, r#""{{ event.id }}""#)])).await;
    receiver.script("/in", [Answer::status(200).held(), Answer::status(503), Answer::status(200)]);

    let first = house.fires(about("1", "e-1")).await;
    receiver.wait_until_held(1).await;
    let second = house.fires(about("1", "e-2")).await;
    let third = house.fires(about("1", "e-3")).await;
    let waiting = house.shows(&third, ExecutionState::Waiting).await;
    assert_eq!((waiting.wait_until, waiting.start_time, waiting.attempt_count), (None, None, 0));
    let other = house.fires(about("2", "f-1")).await;
    house.shows(&other, ExecutionState::Succeeded).await;
    let cancelled = house.fires(about("1", "e-4")).await;
    house.admin().cancel(&cancelled).await.unwrap();

    receiver.release();
    for name in [&first, &second, &third] {
        house.shows(name, ExecutionState::Succeeded).await;
    }
    let told: Vec<String> = receiver.hits().iter().map(|hit| hit.text().to_owned()).collect();
    let of_first: Vec<&str> =
        told.iter().map(|text| text.trim_matches('"')).filter(|id| *id != "f-1").collect();
    assert!(of_first.is_sorted(), "{of_first:?}");
    assert_eq!(of_first.iter().filter(|id| **id == "e-4").count(), 0);
    house.stop().await;
}

async fn a_webhook_becomes_ordered_and_free_again(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let mut house = House::open(deployment).await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(titled("tell", [post(&webhook, r#""{{ event.id }}""#)])).await;
    let shown = house.admin().get_webhook(&webhook).await.unwrap();
    assert_eq!(shown.ordering(), WebhookOrdering::None);
    fires_so(&house, "a", "a", false).await;
    assert_eq!(order(&house, &webhook, WebhookOrdering::Record).await.ordering(), WebhookOrdering::Record);
    fires_so(&house, "b", "b", true).await;
    assert_eq!(order(&house, &webhook, WebhookOrdering::None).await.ordering(), WebhookOrdering::None);
    fires_so(&house, "c", "c", false).await;
    for execution in house.all_ended().await {
        assert_eq!(execution.state(), ExecutionState::Succeeded);
    }
    house.stop().await;
}
