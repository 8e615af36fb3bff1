//! A host's programs in Python: what they know of Sluice, its servers told them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sluice_auth::{Role, Scope};
use sluice_tests::python::{Steps, run};
use sluice_tests::{ACCOUNT, Backend, Deployment, House, OTHER_ACCOUNT, on_each_deployment};

/// Who may call, in public.
const SERVICES: [&str; 6] = [
    "sluice.dispatcher.v1.ExecutionService",
    "sluice.dispatcher.v1.QuotaService",
    "sluice.evaluator.v1.AutomationService",
    "sluice.evaluator.v1.EventService",
    "sluice.registry.v1.AccountService",
    "sluice.registry.v1.WebhookService",
];
/// The caller's trace, as the program has it.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

on_each_deployment!(a_client_that_knows_only_reflection_does_what_a_host_does);

async fn a_client_that_knows_only_reflection_does_what_a_host_does(deployment: Deployment) {
    let house = House::setup(deployment).outside().open().await;
    let version = match deployment.backend {
        Backend::Sqlite => "v1",
        Backend::Postgres => "v1alpha",
    };
    let input = json!({"reflection": version, "listeners": house.addresses(), "tokens": tokens(&house)});
    let seen = run("client.py", input).await;

    looked_around(&seen, version);
    registered(&seen);
    sent(&seen);
    read_the_history(&seen);
    watched(&seen);
    was_refused(&seen);
    assert_eq!(seen.one("left_over"), false);
}

/// Tokens by who has them.
pub(crate) fn tokens(house: &House) -> Value {
    let people = house.people();
    let admin = |account| people.token(Some(account), "ada", &[Role::GlobalAdmin], &[]);
    json!({
        "admin": admin(ACCOUNT),
        "stranger": admin(OTHER_ACCOUNT),
        "producer": people.token(Some(ACCOUNT), "crm", &[], &[Scope::EventsWrite]),
        "billing": people.token(None, "billing", &[], &[Scope::EntitlementsWrite, Scope::AccountsAny]),
    })
}

fn looked_around(seen: &Steps, version: &str) {
    let reflection = format!("grpc.reflection.{version}.ServerReflection");
    let mut ours = BTreeSet::new();
    for services in seen.all("services") {
        let mut services: BTreeSet<&str> =
            services.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert!(services.remove("grpc.health.v1.Health") && services.remove(&*reflection), "{services:?}");
        ours.extend(services);
    }
    assert_eq!(ours.into_iter().collect::<Vec<_>>(), SERVICES);
    for health in seen.all("health") {
        assert!(health.as_object().unwrap().values().all(|status| status == "SERVING"), "{health}");
    }
}

fn registered(seen: &Steps) {
    let entitlements = seen.one("entitlements");
    assert_eq!((&entitlements["plan"], &entitlements["version"]), (&json!("advanced"), &json!("7")));
    let webhook = seen.one("webhook");
    assert_eq!(webhook["state"], "WEBHOOK_STATE_ENABLED");
    assert_eq!(webhook["authentication"], json!({"bearer": {"token": ""}}), "a credential is never told");
    let automation = seen.one("automation");
    assert_eq!(
        (&automation["state"], &automation["owner"]),
        (&json!("AUTOMATION_STATE_ACTIVE"), &json!("ada"))
    );
}

fn sent(seen: &Steps) {
    assert_eq!(seen.one("event"), "INGEST_OUTCOME_ACCEPTED");
    let request = |attempt: &str, in_the_trace: bool| {
        json!({
            "path": "/erp/deals/42",
            "body": {"title": "Größter Auftrag", "value": 1.1},
            "signed": true,
            "signed_by_another": false,
            "signed_with_another_body": false,
            "credential": true,
            "attempt": attempt,
            "in_the_trace": in_the_trace,
        })
    };
    let expected = [request("1", true), request("2", true), request("1", false)];
    assert_eq!(seen.all("request"), expected.iter().collect::<Vec<_>>());

    let [accepted, wrong, repeated, suppressed] = seen.all("of_batch")[..] else { panic!("four: {seen:?}") };
    assert_eq!(accepted, "INGEST_OUTCOME_ACCEPTED");
    assert_eq!(wrong["reason"], "ERROR_REASON_INVALID_ARGUMENT");
    assert_eq!(wrong["violations"][0]["field"], "event.object");
    assert_eq!([repeated, suppressed], ["INGEST_OUTCOME_REPEATED", "INGEST_OUTCOME_SUPPRESSED"]);
}

fn read_the_history(seen: &Steps) {
    let attempts =
        json!([[1, "ATTEMPT_OUTCOME_FAILED_RETRYABLE", 503], [2, "ATTEMPT_OUTCOME_SUCCEEDED", 200]]);
    let expected = json!({
        "state": "EXECUTION_STATE_SUCCEEDED",
        "automation": true,
        "webhook": true,
        "trace_id": TRACE,
        "attempts": attempts,
        "tells_the_credential": false,
    });
    assert_eq!(seen.one("execution"), &expected);
    assert_eq!(seen.one("pages"), &json!(["e-2", "e-1"]));
}

fn watched(seen: &Steps) {
    let kinds = |kinds: &[&str]| -> Value {
        kinds.iter().map(|kind| format!("EXECUTION_CHANGE_KIND_{kind}")).collect::<Vec<_>>().into()
    };
    let watched = seen.one("watched");
    let retried = kinds(&["ACCEPTED", "ATTEMPT_ENDED", "ATTEMPT_STARTED", "ATTEMPT_ENDED"]);
    assert_eq!((&watched["e-1"], &watched["e-2"]), (&retried, &kinds(&["ACCEPTED", "ATTEMPT_ENDED"])));
}

fn was_refused(seen: &Steps) {
    let fields = seen.one("refused_fields");
    assert_eq!(
        (&fields["code"], &fields["reason"]),
        (&json!("INVALID_ARGUMENT"), &json!("INVALID_ARGUMENT"))
    );
    let named: Vec<&String> = fields["fields"].as_object().unwrap().keys().collect();
    assert_eq!(named, ["webhook.display_name", "webhook.endpoint_url"]);
    for (who, reason) in
        [("stranger", "NOT_FOUND"), ("producer", "PERMISSION_DENIED"), ("nobody", "UNAUTHENTICATED")]
    {
        let refused = seen.one(&format!("refused_{who}"));
        assert_eq!((&refused["code"], &refused["reason"]), (&json!(reason), &json!(reason)), "{refused}");
        assert_eq!(refused["domain"], "sluice");
    }
}
