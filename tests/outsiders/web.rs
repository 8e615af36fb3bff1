//! gRPC-Web, as a browser speaks it: the standard library of Python over HTTP/1.1.

use serde_json::{Value, json};
use sluice_tests::python::run;
use sluice_tests::{Deployment, House, on_each_shape};

use super::client::tokens;

const ALLOWED: &str = "https://app.example.com";

on_each_shape!(pages_of_the_allowed_origins_call_and_read_refusals);

async fn pages_of_the_allowed_origins_call_and_read_refusals(deployment: Deployment) {
    let house = House::setup(deployment).outside().with(format!("origins=[\"{ALLOWED}\"]")).open().await;
    let input = json!({
        "listeners": house.addresses(),
        "tokens": tokens(&house),
        "origins": {"allowed": ALLOWED, "refused": "https://evil.example.com"},
    });
    let seen = run("web.py", input).await;

    // A browser lets a page go on, and shows it the answer, when its origin comes back.
    for (whose, origin) in [("allowed", json!(ALLOWED)), ("refused", Value::Null)] {
        let preflight = seen.one(&format!("{whose}_asks"));
        assert_eq!((&preflight["status"], &preflight["origin"]), (&json!(200), &origin));
        assert_eq!(seen.one(&format!("{whose}_calls"))["origin"], origin);
    }
    let preflight = seen.one("allowed_asks");
    assert_eq!(preflight["methods"], "POST");
    let headers = preflight["headers"].as_array().unwrap();
    for needed in ["authorization", "content-type", "x-grpc-web", "traceparent"] {
        assert!(headers.contains(&json!(needed)), "{needed}: {preflight}");
    }

    for (call, kind) in
        [("allowed_calls", "application/grpc-web+proto"), ("in_text", "application/grpc-web-text+proto")]
    {
        let answer = seen.one(call);
        assert_eq!((&answer["code"], &answer["plan"]), (&json!(0), &json!("advanced")), "{answer}");
        assert_eq!(answer["kind"], kind);
        assert_eq!(answer["readable"], json!(["grpc-message", "grpc-status", "grpc-status-details-bin"]));
    }
    for refused in seen.all("refused") {
        assert_eq!(
            (&refused["code"], &refused["refused"]["reason"]),
            (&json!(3), &json!("INVALID_ARGUMENT"))
        );
        assert!(refused["refused"]["fields"]["name"].is_string(), "{refused}");
    }
    assert_eq!(seen.all("refused").len(), 2);
    assert_eq!(seen.one("stranger")["refused"]["reason"], "PERMISSION_DENIED");
}
