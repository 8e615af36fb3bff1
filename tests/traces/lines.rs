//! What the processes write while they are at it: every line of a call or an attempt says which trace it belongs to, an attempt has
//! one line, and no line and no span has a secret, not even when everything is asked for.

use proto::dispatcher::v1::ExecutionState;
use proto::registry::v1::authentication::Kind;
use proto::registry::v1::{ApiKeyAuthentication, BasicAuthentication, BearerAuthentication};
use serde_json::Value;
use sluice_auth::Scope;
use sluice_testkit::{Answer, Receiver};
use sluice_tests::collector::Collector;
use sluice_tests::requests::{authenticated_webhook, automation, automation_webhook, post, won};
use sluice_tests::{Deployment, House, PARENT, on_each_deployment};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLERS_SPAN: &str = "b7ad6b7169203331";
/// Each in the credentials of a webhook, in what a receiver answers, or in a record.
const CANARIES: [&str; 5] = [
    "canary-password-9b1c",
    "canary-token-4f1c9a77",
    "canary-key-b20e6d35",
    "canary-of-the-query-7d3e",
    "canary-of-the-record-51aa",
];

on_each_deployment!(
    lines_of_calls_and_attempts_name_their_trace_and_each_attempt_has_one,
    no_line_and_no_span_has_a_secret_when_everything_is_asked_for,
);

async fn lines_of_calls_and_attempts_name_their_trace_and_each_attempt_has_one(deployment: Deployment) {
    let setup = House::setup(deployment).outside().with("telemetry.json=true");
    let mut house = setup.with("telemetry.filter=info,sluice_rpc=debug").open().await;
    let receiver = Receiver::start().await;
    receiver.script("/in", [Answer::status(503).body("broken"), Answer::status(200).body("fine")]);
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    let producer = house.producer().tracing(&format!("00-{TRACE}-{CALLERS_SPAN}-01"));
    let accepted = producer.ingest(PARENT, won("e-1")).await.unwrap();
    let shown = house.shows(&accepted.executions[0], ExecutionState::Succeeded).await;
    house.stop().await;

    let said = house.said();
    let lines: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of_trace: Vec<_> = lines.iter().filter(|line| line["trace_id"] == TRACE).collect();
    for method in
        ["EventService/IngestEvent", "DispatchService/EnqueueExecutions", "FeedService/ResolveTarget"]
    {
        let answered = |line: &&&Value| {
            line["message"] == "call answered" && line["rpc.method"].as_str().unwrap().ends_with(method)
        };
        let line = of_trace.iter().find(answered).unwrap_or_else(|| panic!("{method} in {of_trace:#?}"));
        assert_eq!((&line["rpc.grpc.status_code"], line["span_id"].as_str().unwrap().len()), (&0.into(), 16));
    }
    let attempted: Vec<_> = lines.iter().filter(|line| line["message"] == "delivery.attempted").collect();
    let [first, second] = attempted[..] else { panic!("a line for each of two attempts: {attempted:#?}") };
    let sent = |at: usize| receiver.hits()[at].header("traceparent").split('-').nth(2).unwrap().to_owned();
    let execution = shown.name.rsplit('/').next().unwrap();
    for (at, line) in [first, second].into_iter().enumerate() {
        assert_eq!((&line["trace_id"], &line["span_id"]), (&TRACE.into(), &sent(at).into()), "{line}");
        assert_eq!((&line["account.id"], &line["execution.id"]), (&"acme".into(), &execution.into()));
        assert_eq!(line["delivery.id"], shown.deliveries[0].id);
        assert!(webhook.ends_with(line["webhook.id"].as_str().unwrap()), "{line}");
        assert_eq!(
            (&line["attempt.number"], &line["http.request.method"]),
            (&(at + 1).into(), &"POST".into())
        );
        assert!(line["attempt.duration_us"].as_i64().unwrap() > 0, "{line}");
    }
    assert_eq!(
        (&first["attempt.outcome"], &first["http.response.status_code"]),
        (&"FAILED_RETRYABLE".into(), &503.into())
    );
    assert_eq!((&first["next.kind"], &first["level"]), (&"RETRY".into(), &"INFO".into()));
    assert!(first["next.after_us"].as_i64().unwrap() > 0 && first["attempt.error"].is_string(), "{first}");
    assert_eq!(
        (&second["attempt.outcome"], &second["execution.state"]),
        (&"SUCCEEDED".into(), &"SUCCEEDED".into())
    );
    assert_eq!((second.get("attempt.error"), &second["next.kind"]), (None, &"END".into()));
}

async fn no_line_and_no_span_has_a_secret_when_everything_is_asked_for(deployment: Deployment) {
    let collector = Collector::start().await;
    let setup = House::setup(deployment).outside().with(collector.setting()).with("telemetry.filter=trace");
    let mut house = setup.open().await;
    let receiver = Receiver::start().await;
    let [password, token, key, query, record] = CANARIES.map(str::to_owned);
    let kinds = [
        ("basic", Kind::Basic(BasicAuthentication { username: "Aladdin".to_owned(), password })),
        ("bearer", Kind::Bearer(BearerAuthentication { token })),
        ("key", Kind::ApiKey(ApiKeyAuthentication { header: "x-api-key".to_owned(), key })),
    ];
    let mut secrets: Vec<String> = CANARIES.map(str::to_owned).into();
    secrets.extend(house.secrets().iter().map(|secret| secret.expose().to_owned()));
    let mut webhooks = Vec::new();
    for (name, kind) in kinds {
        let url = receiver.url(&format!("/{name}?key={query}"));
        let (webhook, signing) = house.webhook(authenticated_webhook(name, &url, kind)).await;
        secrets.push(signing.strip_prefix("whsec_").unwrap().to_owned());
        webhooks.push(webhook);
    }
    let body = r#"{"title": "{{ deal.title }}"}"#;
    house.automation(automation("All of them", webhooks.iter().map(|webhook| post(webhook, body)))).await;
    receiver.script("/bearer", [Answer::status(503), Answer::status(200)]);
    let mut event = won("e-1");
    event.current = format!(r#"{{"title": "{record}", "stage": "won"}}"#).into();
    let token = house.token("crm", &[], &[Scope::EventsWrite]);
    let producer = house.people().bearer_of(&token);
    secrets.push(token);
    let accepted = producer.ingest(PARENT, event).await.unwrap();
    house.shows(&accepted.executions[0], ExecutionState::Succeeded).await;
    receiver.script("/key", [Answer::status(403)]);
    let failed = house.fires(won("e-2")).await;
    house.shows(&failed, ExecutionState::Failed).await;
    house.stop().await;

    let (said, told) = (house.said(), format!("{:?}", collector.told()));
    assert!(said.contains("TRACE") && said.contains("delivery.attempted"), "little was said:\n{said}");
    assert!(told.contains("e-1") && told.contains("sluice.attempt.number"), "little was told: {told}");
    for secret in secrets {
        let line = said.lines().find(|line| line.contains(&secret));
        assert!(line.is_none() && !told.contains(&secret), "{secret} in {line:?}");
    }
}
