//! From an event to the request that arrives, and what the history shows of it.

use proto::dispatcher::v1::{AttemptOutcome, EndReason, Execution, ExecutionState, Header};
use proto::evaluator::v1::{
    BodyEncoding, KeyValueBody, Method, MissingPolicy, NamedTemplate, Pair, RawBody, RequestStep, pair,
    request_step,
};
use serde_json::{Value, json};
use sluice_runtime::Clock;
use sluice_signing::{DEFAULT_TOLERANCE_SECONDS, Secret, SignedHeaders, verify};
use sluice_testkit::{Answer, Hit, Receiver};
use sluice_tests::requests::{automation, automation_webhook, delay, post, step, updated, won};
use sluice_tests::{Deployment, House, micros, on_each_deployment};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLERS_SPAN: &str = "b7ad6b7169203331";

on_each_deployment!(
    an_event_becomes_a_signed_request_that_the_history_shows_whole,
    typed_pairs_arrive_as_json_and_as_a_form,
    steps_go_out_in_order_and_none_before_its_delay_is_over,
    a_missing_field_rejects_the_request_unless_it_may_be_empty,
);

fn named(name: &str, template: &str) -> NamedTemplate {
    NamedTemplate { name: name.to_owned(), template: template.to_owned() }
}

fn header<'a>(headers: &'a [Header], name: &str) -> &'a Header {
    headers.iter().find(|header| header.name == name).unwrap_or_else(|| panic!("{name} in {headers:?}"))
}

pub(super) fn assert_signed(hit: &Hit, secret: &str) {
    let headers = SignedHeaders {
        id: hit.header("webhook-id"),
        timestamp: hit.header("webhook-timestamp"),
        signature: hit.header("webhook-signature"),
    };
    let (now, _) = Clock::system().now().to_unix();
    let verified =
        verify(headers, &hit.body, &[Secret::parse(secret).unwrap()], now, DEFAULT_TOLERANCE_SECONDS);
    verified.unwrap();
    let other = Secret::from_bytes(&[7; 32]).unwrap();
    assert!(verify(headers, &hit.body, &[other], now, DEFAULT_TOLERANCE_SECONDS).is_err());
}

async fn an_event_becomes_a_signed_request_that_the_history_shows_whole(deployment: Deployment) {
    let mut house = House::open(deployment).await;
    let receiver = Receiver::start().await;
    let answer =
        Answer::status(201).header("content-type", "text/plain").header("x-answer", "a").body("thanks");
    receiver.script("/hooks/deals/42", [answer]);
    let (webhook, secret) = house.webhook(automation_webhook("Shop", &receiver.url("/hooks/"))).await;
    let template = r#"{"title": "{{ deal.title }}", "was": "{{ previous.stage }}", "value": {{ deal.value }}, "event": "{{ event.id }}"}"#;
    let request = RequestStep {
        webhook: webhook.clone(),
        method: Method::Put.into(),
        path: "deals/{{ event.record_id }}".to_owned(),
        query: vec![named("stage", "{{ deal.stage }}")],
        headers: vec![named("x-own", "{{ deal.stage }}")],
        body: Some(request_step::Body::Raw(RawBody {
            content_type: "application/json".to_owned(),
            template: template.to_owned(),
        })),
    };
    let automation = house.automation(automation("Tell the shop", [step(request)])).await;

    let mut event = won("e-1");
    event.current = r#"{"title": "Big \"one\"", "stage": "won", "value": 1.10}"#.into();
    let traceparent = format!("00-{TRACE}-{CALLERS_SPAN}-01");
    let producer = house.people().producer("acme").tracing(&traceparent);
    let accepted = producer.ingest("accounts/acme", event).await.unwrap();
    let name = accepted.executions[0].clone();
    let shown = house.shows(&name, ExecutionState::Succeeded).await;

    let [hit] = &receiver.hits()[..] else { panic!("one hit: {:?}", receiver.hits()) };
    assert_signed(hit, &secret);
    let body = r#"{"title": "Big \"one\"", "was": "open", "value": 1.10, "event": "e-1"}"#;
    assert_eq!((hit.method.as_str(), hit.target.as_str()), ("PUT", "/hooks/deals/42?stage=won"));
    assert_eq!((hit.text(), hit.header("content-type")), (body, "application/json"));
    assert_eq!((hit.header("x-own"), hit.header("sluice-attempt")), ("won", "1"));
    assert!(name.ends_with(hit.header("sluice-execution")));
    let sent: Vec<&str> = hit.header("traceparent").split('-').collect();
    assert_eq!((sent[1], sent.len()), (TRACE, 4));
    assert_ne!(sent[2], CALLERS_SPAN, "the attempt has a span of its own");

    assert_eq!((shown.name.as_str(), shown.automation.as_str()), (name.as_str(), automation.as_str()));
    assert_eq!((shown.trace_id.as_str(), shown.attempt_count), (TRACE, 1));
    assert_eq!(shown.event.as_ref().unwrap().id, "e-1");
    assert!(shown.start_time.is_some() && shown.end.as_ref().unwrap().end_time.is_some());
    let [delivery] = &shown.deliveries[..] else { panic!("one delivery: {shown:?}") };
    assert_eq!(
        (delivery.id.as_str(), delivery.webhook.as_str()),
        (hit.header("webhook-id"), webhook.as_str())
    );
    assert_eq!((delivery.method.as_str(), delivery.url_suffix.as_str()), ("PUT", "deals/42?stage=won"));
    assert_eq!((&*delivery.body, delivery.content_type.as_str()), (body.as_bytes(), "application/json"));
    let [attempt] = &delivery.attempts[..] else { panic!("one attempt: {delivery:?}") };
    assert_eq!((attempt.number, attempt.outcome()), (1, AttemptOutcome::Succeeded));
    assert_eq!(attempt.url_path, hit.target);
    assert!(micros(attempt.start_time) <= micros(attempt.end_time));
    for (name, value) in [("content-type", "application/json"), ("webhook-id", hit.header("webhook-id"))] {
        let header = header(&attempt.request_headers, name);
        assert_eq!((header.value.as_str(), header.redacted), (value, false));
    }
    for name in ["x-own", "webhook-signature"] {
        let header = header(&attempt.request_headers, name);
        assert_eq!((header.value.as_str(), header.redacted), ("", true), "{name}");
    }
    let answer = attempt.answer.as_ref().unwrap();
    assert_eq!((answer.status, &*answer.body, answer.body_truncated), (201, &b"thanks"[..], false));
    assert!(
        header(&answer.headers, "x-answer").redacted && !header(&answer.headers, "content-type").redacted
    );
    house.stop().await;
}

async fn typed_pairs_arrive_as_json_and_as_a_form(deployment: Deployment) {
    let house = House::open(deployment).await;
    let receiver = Receiver::start().await;
    let (webhook, _) = house.webhook(automation_webhook("Pairs", &receiver.url("/hooks/"))).await;
    let pairs = |encoding: BodyEncoding| {
        let pair = |name: &str, value| Pair { name: name.to_owned(), value: Some(value) };
        let pairs = vec![
            pair("fixed", pair::Value::LiteralJson("7".to_owned())),
            pair("value", pair::Value::Field("deal.value".to_owned())),
            pair("text", pair::Value::Template("{{ deal.title }} & {{ deal.stage }}".to_owned())),
        ];
        let key_value = KeyValueBody { encoding: encoding.into(), pairs };
        step(RequestStep {
            webhook: webhook.clone(),
            body: Some(request_step::Body::KeyValue(key_value)),
            ..RequestStep::default()
        })
    };
    house.automation(automation("Pairs", [pairs(BodyEncoding::Json), pairs(BodyEncoding::Form)])).await;
    let current = json!({"title": "Big", "stage": "won", "value": 20});
    let name = house.fires(updated("e-1", json!({"stage": "open"}), current)).await;
    house.shows(&name, ExecutionState::Succeeded).await;
    let [as_json, as_form] = &receiver.hits()[..] else { panic!("two hits: {:?}", receiver.hits()) };
    let object: Value = serde_json::from_slice(&as_json.body).unwrap();
    assert_eq!(object, json!({"fixed": 7, "value": 20, "text": "Big & won"}));
    assert_eq!(as_form.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(as_form.text(), "fixed=7&value=20&text=Big+%26+won");
}

async fn steps_go_out_in_order_and_none_before_its_delay_is_over(deployment: Deployment) {
    let house = House::open(deployment).await;
    let receiver = Receiver::start().await;
    let (first, _) = house.webhook(automation_webhook("First", &receiver.url("/first"))).await;
    let (second, _) = house.webhook(automation_webhook("Second", &receiver.url("/second"))).await;
    let steps = [post(&first, "1"), delay(1), post(&second, "2"), post(&first, "3")];
    house.automation(automation("Three requests", steps)).await;
    let name = house.fires(won("e-1")).await;

    let waiting = house.shows(&name, ExecutionState::Waiting).await;
    assert!(waiting.wait_until.is_some());
    let shown = house.shows(&name, ExecutionState::Succeeded).await;
    let hits: Vec<_> =
        receiver.hits().iter().map(|hit| (hit.target.clone(), hit.text().to_owned())).collect();
    let expected = [("/first", "1"), ("/second", "2"), ("/first", "3")];
    assert_eq!(hits, expected.map(|(target, body)| (target.to_owned(), body.to_owned())));

    let attempts: Vec<_> = shown.deliveries.iter().map(|delivery| &delivery.attempts[0]).collect();
    assert!(micros(attempts[1].start_time) >= micros(attempts[0].end_time) + 1_000_000, "{attempts:?}");
    assert!(micros(attempts[2].start_time) >= micros(attempts[1].end_time), "{attempts:?}");
    let ids: Vec<_> = receiver.hits().iter().map(|hit| hit.header("webhook-id").to_owned()).collect();
    assert_eq!(ids, shown.deliveries.iter().map(|delivery| delivery.id.clone()).collect::<Vec<_>>());
}

async fn a_missing_field_rejects_the_request_unless_it_may_be_empty(deployment: Deployment) {
    let house = House::open(deployment).await;
    let receiver = Receiver::start().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    let steps = || [post(&webhook, r#"{"owner": "{{ deal.owner }}"}"#)];
    let strict = house.automation(automation("Strict", steps())).await;
    let mut lenient = automation("Lenient", steps());
    lenient.missing = MissingPolicy::Empty.into();
    let lenient = house.automation(lenient).await;

    let accepted = house.ingest(won("e-1")).await;
    assert_eq!(accepted.executions.len(), 2);
    let all = house.all_ended().await;
    let of = |automation: &str| -> &Execution {
        all.iter().find(|execution| execution.automation == automation).unwrap()
    };
    let end = of(&strict).end.as_ref().unwrap();
    assert_eq!((of(&strict).state(), end.reason()), (ExecutionState::Failed, EndReason::TemplateRejected));
    assert!(end.message.contains("owner"), "{end:?}");
    assert_eq!(of(&strict).attempt_count, 0);
    assert_eq!(of(&lenient).state(), ExecutionState::Succeeded);
    let [hit] = &receiver.hits()[..] else { panic!("one hit: {:?}", receiver.hits()) };
    assert_eq!(hit.text(), r#"{"owner": ""}"#);
    let refused = house.admin().retry(&of(&strict).name).await.unwrap_err();
    assert_eq!(refused.reason, "EXECUTION_STATE");
}
