//! The demo's receiver as a process: it believes what is signed, keeps the ledger, breaks and forgets on request.

#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use sluice::demo::ledger::Hit;
use sluice::demo::receiver_process::ReceiverProcess;
use sluice_egress::{BodyCaps, Egress, Policy, Request, Timeouts};
use sluice_runtime::Clock;
use sluice_signing::{Secret, sign};

const BODY: &[u8] = br#"{"deal": 7}"#;

async fn start(forget_one: bool) -> ReceiverProcess {
    ReceiverProcess::start(env!("CARGO_BIN_EXE_sluice").as_ref(), forget_one).await.unwrap()
}

/// Sends one signed request and returns the status.
async fn send(receiver: &ReceiverProcess, id: &str, secret: &Secret) -> u16 {
    let now = Clock::system().now().to_unix().0;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", now.to_string()),
        ("webhook-signature", sign(id, now, BODY, &[secret])),
        ("sluice-execution", "ex_1".to_owned()),
        ("sluice-attempt", "2".to_owned()),
    ] {
        headers.insert(name, HeaderValue::from_str(&value).unwrap());
    }
    let url = receiver.base().join("/crm/deals/7?x=1").unwrap();
    let body = Bytes::from_static(BODY);
    let request = Request { method: Method::PUT, url, headers, body, first_byte: None, total: None };
    let egress = Egress::new(Policy::development(), Timeouts::default(), BodyCaps::default()).unwrap();
    egress.send(request).await.unwrap().status
}

fn secret(byte: u8) -> Secret {
    Secret::from_bytes(&[byte; 32]).unwrap()
}

#[tokio::test]
async fn the_ledger_says_what_came_and_whether_it_was_believed() {
    let receiver = start(false).await;
    receiver.add_secret(&secret(1).reveal()).await.unwrap();
    assert_eq!(send(&receiver, "dl_1", &secret(1)).await, 200);
    assert_eq!(send(&receiver, "dl_2", &secret(2)).await, 401);
    let hits = receiver.ledger().await.unwrap();
    let believed = Hit {
        method: "PUT".to_owned(),
        path: "/crm/deals/7?x=1".to_owned(),
        webhook_id: "dl_1".to_owned(),
        execution: "ex_1".to_owned(),
        attempt: 2,
        status: 200,
        verified: true,
        body_sha256: "c4e140987885cc6cdfa69c0625de1ba5dc8a795ad6e8e34068f71e2a095bbeb2".to_owned(),
    };
    assert_eq!(hits[0], believed);
    assert!(!hits[1].verified && hits[1].webhook_id == "dl_2");
    assert_eq!(hits[0].body_sha256, hits[1].body_sha256);
}

#[tokio::test]
async fn broken_paths_fail_until_they_are_mended() {
    let receiver = start(false).await;
    receiver.add_secret(&secret(1).reveal()).await.unwrap();
    receiver.break_paths("/crm/", 503).await.unwrap();
    assert_eq!(send(&receiver, "dl_1", &secret(1)).await, 503);
    receiver.mend().await.unwrap();
    assert_eq!(send(&receiver, "dl_1", &secret(1)).await, 200);
}

#[tokio::test]
async fn a_forgetful_receiver_leaves_out_one_request_that_it_answered_well() {
    let receiver = start(true).await;
    receiver.add_secret(&secret(1).reveal()).await.unwrap();
    for id in ["dl_1", "dl_2"] {
        assert_eq!(send(&receiver, id, &secret(1)).await, 200);
    }
    let hits = receiver.ledger().await.unwrap();
    assert_eq!(hits.iter().map(|hit| hit.webhook_id.as_str()).collect::<Vec<_>>(), ["dl_2"]);
}
