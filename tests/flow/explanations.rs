//! What is said of an event beforehand is what then happens.

use proto::dispatcher::v1::ExecutionState;
use proto::evaluator::v1::request_explanation::Outcome;
use proto::evaluator::v1::{
    BodyEncoding, IngestOutcome, KeyValueBody, Method, NamedTemplate, ObstacleReason, Pair, RawBody,
    RenderedRequest, RequestStep, WebhookReadiness, pair, request_step,
};
use proto::event::v1::Event;
use proto::registry::v1::WebhookState;
use sluice_testkit::{Hit, Receiver};
use sluice_tests::requests::{automation, automation_webhook, delay, post, step, won};
use sluice_tests::{ACCOUNT, Deployment, House, OTHER_ACCOUNT, on_each_deployment, until};

on_each_deployment!(
    what_would_be_sent_is_what_the_receiver_gets,
    what_would_not_fire_does_not,
    a_webhook_that_was_disabled_is_told_before_the_execution_pauses,
);

/// A deal with values that templates have to escape, and a number whose text matters.
fn deal(id: &str) -> Event {
    Event {
        current: r#"{"title": "Big \"öne\" & more/../", "stage": "won", "value": 1.10}"#.into(),
        ..won(id)
    }
}

/// A request is as it was foretold, byte for byte.
fn assert_arrived(told: &RenderedRequest, hit: &Hit) {
    assert_eq!(told.method().as_str_name(), format!("METHOD_{}", hit.method));
    assert_eq!(format!("/hooks/{}", told.url_suffix), hit.target);
    assert_eq!((&told.body[..], told.content_type.as_str()), (&hit.body[..], hit.header("content-type")));
    assert_eq!((told.body_bytes, told.truncated), (hit.body.len() as i64, false));
    for header in &told.headers {
        assert_eq!(hit.headers[&header.name].as_bytes(), header.value.as_bytes());
    }
}

async fn what_would_be_sent_is_what_the_receiver_gets(deployment: Deployment) {
    let house = House::open(deployment).await;
    let receiver = Receiver::start().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/hooks/"))).await;
    let named =
        |name: &str, template: &str| NamedTemplate { name: name.to_owned(), template: template.to_owned() };
    let raw = RequestStep {
        webhook: webhook.clone(),
        method: Method::Put.into(),
        path: "deals/{{ event.record_id }}/{{ previous.stage }}".to_owned(),
        query: vec![named("title", "{{ deal.title }}"), named("by", "{{ event.actor }}")],
        headers: vec![named("x-own", "{{ account.id }}"), named("x-automation", "{{ automation.name }}")],
        body: Some(request_step::Body::Raw(RawBody {
            content_type: "application/json".to_owned(),
            template: r#"{"title": "<{{ deal.title }}>", "value": {{ deal.value }}, "id": "{{ event.id }}"}"#
                .to_owned(),
        })),
    };
    let pair = |name: &str, value| Pair { name: name.to_owned(), value: Some(value) };
    let pairs = vec![
        pair("value", pair::Value::Field("deal.value".to_owned())),
        pair("text", pair::Value::Template("{{ deal.title }} & {{ automation.version }}".to_owned())),
    ];
    let form = RequestStep {
        webhook: webhook.clone(),
        body: Some(request_step::Body::KeyValue(KeyValueBody { encoding: BodyEncoding::Form.into(), pairs })),
        ..RequestStep::default()
    };
    let name = house.automation(automation("Tell the shöp", [step(raw), delay(1), step(form)])).await;

    let told = house.people().member(ACCOUNT, "max").explain(&name, deal("e-1")).await.unwrap();
    assert!(told.fires && told.condition.unwrap().holds, "{:?}", told.obstacles);
    assert!(
        house.history().await.is_empty() && receiver.hits().is_empty(),
        "nothing is kept and nothing sent"
    );

    let execution = house.fires(deal("e-1")).await;
    let shown = house.shows(&execution, ExecutionState::Succeeded).await;
    assert_eq!(
        (shown.automation.as_str(), shown.automation_version),
        (name.as_str(), told.automation_version)
    );
    assert_eq!((told.requests.len(), receiver.hits().len()), (2, 2));
    for ((told, hit), delivery) in told.requests.iter().zip(receiver.hits()).zip(&shown.deliveries) {
        let Some(Outcome::Request(request)) = &told.outcome else { panic!("{told:?}") };
        assert_arrived(request, &hit);
        assert_eq!((&told.webhook, told.readiness()), (&webhook, WebhookReadiness::Ready));
        assert_eq!((&told.webhook, &told.delay), (&delivery.webhook, &delivery.delay));
        assert_eq!((&request.url_suffix, &request.body), (&delivery.url_suffix, &delivery.body));
    }
}

async fn what_would_not_fire_does_not(deployment: Deployment) {
    let house = House::open(deployment).await;
    let receiver = Receiver::start().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    let name = house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    let member = house.people().member(ACCOUNT, "max");
    let lost = Event { current: r#"{"stage": "lost"}"#.into(), ..won("lost") };
    let imported = Event { suppress: true, ..won("imported") };
    for (event, obstacle, outcome) in [
        (lost, ObstacleReason::Condition, IngestOutcome::NoMatch),
        (imported, ObstacleReason::Suppressed, IngestOutcome::Suppressed),
        (Event { object: "lead".to_owned(), ..won("lead") }, ObstacleReason::Trigger, IngestOutcome::NoMatch),
    ] {
        let told = member.explain(&name, event.clone()).await.unwrap();
        let reasons: Vec<_> = told.obstacles.iter().map(|obstacle| obstacle.reason()).collect();
        assert!(!told.fires && reasons.contains(&obstacle), "{reasons:?}");
        assert_eq!(house.ingest(event).await.outcome(), outcome);
    }
    house.admin().deactivate(&name).await.unwrap();
    let told = member.explain(&name, won("e-1")).await.unwrap();
    assert_eq!(told.obstacles[0].reason(), ObstacleReason::Inactive);
    assert_eq!(house.ingest(won("e-1")).await.outcome(), IngestOutcome::NoMatch);

    let stranger = house.people().admin(OTHER_ACCOUNT);
    let [asked, read] = [
        stranger.explain(&name, won("e-1")).await.unwrap_err(),
        stranger.get_automation(&name).await.unwrap_err(),
    ];
    assert_eq!((asked.reason.as_str(), &asked.message), ("NOT_FOUND", &read.message));
}

async fn a_webhook_that_was_disabled_is_told_before_the_execution_pauses(deployment: Deployment) {
    let house = House::open(deployment).await;
    let receiver = Receiver::start().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    let name = house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    house.admin().set_state(&webhook, WebhookState::Disabled).await.unwrap();
    let told = until("the evaluator has heard that the webhook is disabled", async || {
        let told = house.admin().explain(&name, won("e-1")).await.unwrap();
        (told.requests[0].readiness() == WebhookReadiness::Disabled).then_some(told)
    })
    .await;
    assert!(told.fires, "it is set off all the same, and waits");
    let execution = house.fires(won("e-1")).await;
    house.shows(&execution, ExecutionState::Paused).await;
    assert!(receiver.hits().is_empty());
}
