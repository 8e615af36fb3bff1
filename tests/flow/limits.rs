//! Receivers with limits of their own: never more under way, never more in a span, and nothing is lost or tried for it.

use proto::dispatcher::v1::ExecutionState;
use proto::registry::v1::{CreateWebhookRequest, Rate, Webhook};
use sluice_runtime::Clock;
use sluice_testkit::{Answer, Receiver};
use sluice_tests::requests::{automation_webhook, deal, post, titled};
use sluice_tests::{Deployment, House, micros, on_each_deployment, until};

on_each_deployment!(
    a_receiver_has_never_more_under_way_than_its_webhook_says,
    a_receiver_gets_no_more_in_any_span_than_its_webhook_says,
);

const EVENTS: usize = 8;

fn limited(mut request: CreateWebhookRequest, limits: Webhook) -> CreateWebhookRequest {
    if let Some(webhook) = &mut request.webhook {
        webhook.max_in_flight = limits.max_in_flight;
        webhook.rate = limits.rate;
    }
    request
}

fn a_second(units: u32, burst: u32) -> Option<Rate> {
    Some(Rate { units, per: Some(prost_types::Duration { seconds: 1, nanos: 0 }), burst })
}

async fn a_receiver_has_never_more_under_way_than_its_webhook_says(deployment: Deployment) {
    let house = House::open(deployment).await;
    let receiver = Receiver::start().await;
    receiver.script("/in", [Answer::hang()]);
    let limits = Webhook { max_in_flight: Some(2), ..Webhook::default() };
    let (webhook, _) = house.webhook(limited(automation_webhook("Shop", &receiver.url("/in")), limits)).await;
    let (other, _) = house.webhook(automation_webhook("Other", &receiver.url("/other"))).await;
    house.automation(titled("limited", [post(&webhook, "{}")])).await;
    house.automation(titled("other", [post(&other, "{}")])).await;
    assert_eq!(house.admin().get_webhook(&webhook).await.unwrap().max_in_flight, Some(2));
    house.dispatcher_heard("advanced").await;
    let mut names = Vec::new();
    for number in 0..EVENTS {
        names.push(house.fires(deal(&format!("e-{number}"), "limited")).await);
    }
    house.fires(deal("o-1", "other")).await;
    for round in 1..=EVENTS / 2 {
        until("two are under way", async || (receiver.hits_at("/in").len() >= 2 * round).then_some(())).await;
        // Whoever has room is not kept waiting meanwhile, and time for a third to come.
        let before = receiver.hits_at("/other").len();
        house.fires(deal(&format!("o-{round}-a"), "other")).await;
        until("the other receiver is told", async || {
            (receiver.hits_at("/other").len() > before).then_some(())
        })
        .await;
        assert_eq!(receiver.hits_at("/in").len(), 2 * round, "two, and then two more");
        if let Some(last) = names.get(2 * round) {
            let waits = house.execution(last).await;
            assert_eq!((waits.state(), waits.attempt_count), (ExecutionState::Queued, 0));
        }
        receiver.release();
    }
    let shown = house.all_ended().await;
    assert!(shown.iter().all(|shown| (shown.state(), shown.attempt_count) == (ExecutionState::Succeeded, 1)));
    assert_eq!(receiver.hits_at("/in").len(), EVENTS);
}

async fn a_receiver_gets_no_more_in_any_span_than_its_webhook_says(deployment: Deployment) {
    let house = House::open(deployment).await;
    let receiver = Receiver::start().await;
    let limits = Webhook { rate: a_second(4, 2), ..Webhook::default() };
    let (webhook, _) = house.webhook(limited(automation_webhook("Shop", &receiver.url("/in")), limits)).await;
    house.automation(titled("limited", [post(&webhook, "{{ event.id }}")])).await;
    house.dispatcher_heard("advanced").await;
    let began = Clock::system().now();
    for number in 0..EVENTS {
        house.fires(deal(&format!("e-{number}"), "limited")).await;
    }
    let ended = house.all_ended().await;
    let took = Clock::system().now().since(began).to_duration();
    let mut starts: Vec<i64> = ended.iter().map(|shown| micros(shown.start_time)).collect();
    starts.sort_unstable();
    for (first, from) in starts.iter().enumerate() {
        for (last, to) in starts.iter().enumerate().skip(first + 2) {
            let cells = i64::try_from(last - first - 1).unwrap();
            assert!(to - from >= cells * 250_000, "{} starts in {} us", last - first + 1, to - from);
        }
    }
    assert!(took.as_secs() < 20, "it goes on by itself: {took:?}");
    let mut sent: Vec<String> =
        receiver.hits().iter().map(|hit| hit.text().trim_matches('"').to_owned()).collect();
    sent.sort_unstable();
    let meant: Vec<String> = (0..EVENTS).map(|number| format!("e-{number}")).collect();
    assert_eq!(sent, meant, "each once");

    // A limit that is taken away holds nothing back any more.
    let free = Webhook { name: webhook, ..Webhook::default() };
    assert_eq!(house.admin().update_webhook(free, &["rate"]).await.unwrap().rate, None);
}
