//! Credentials go to the receiver, and nowhere else.

use std::fmt::Write as _;

use proto::dispatcher::v1::{Execution, ExecutionState, ListExecutionsRequest};
use proto::registry::v1::authentication::Kind;
use proto::registry::v1::{ApiKeyAuthentication, BasicAuthentication, BearerAuthentication};
use sluice_testkit::{Answer, Receiver};
use sluice_tests::requests::{authenticated_webhook, automation, post, won};
use sluice_tests::{Deployment, House, PARENT, on_each_deployment};

/// The example of RFC 7617.
const PASSWORD: &str = "open sesame";
const BASIC: &str = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
const TOKEN: &str = "canary-token-4f1c9a77";
const KEY: &str = "canary-key-b20e6d35";

on_each_deployment!(credentials_arrive_at_the_receiver_and_nowhere_else);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _never_fails = write!(out, "{byte:02x}");
        out
    })
}

/// None of the secrets is in there, neither as they are nor as PostgreSQL shows bytes.
fn assert_free_of_secrets(bytes: &[u8], secrets: &[String], whose: &str) {
    for secret in secrets {
        for form in [secret.clone(), hex(secret.as_bytes())] {
            let found = bytes.windows(form.len()).any(|window| window == form.as_bytes());
            assert!(!found, "{form} is in {whose}");
        }
    }
}

async fn credentials_arrive_at_the_receiver_and_nowhere_else(deployment: Deployment) {
    let mut house = House::open(deployment).await;
    let receiver = Receiver::start().await;
    let basic = BasicAuthentication { username: "Aladdin".to_owned(), password: PASSWORD.to_owned() };
    let bearer = BearerAuthentication { token: TOKEN.to_owned() };
    let api_key = ApiKeyAuthentication { header: "x-api-key".to_owned(), key: KEY.to_owned() };
    let kinds =
        [("basic", Kind::Basic(basic)), ("bearer", Kind::Bearer(bearer)), ("key", Kind::ApiKey(api_key))];
    let mut secrets: Vec<String> =
        [PASSWORD, "b3BlbiBzZXNhbW", "vcGVuIHNlc2FtZQ", TOKEN, KEY].map(str::to_owned).into();
    let mut webhooks = Vec::new();
    for (name, kind) in &kinds {
        let url = receiver.url(&format!("/{name}"));
        let (webhook, signing) = house.webhook(authenticated_webhook(name, &url, kind.clone())).await;
        secrets.push(signing.strip_prefix("whsec_").unwrap().to_owned());
        webhooks.push(webhook);
    }
    let steps = webhooks.iter().map(|webhook| post(webhook, "{}"));
    house.automation(automation("All of them", steps)).await;
    receiver.script("/bearer", [Answer::status(503), Answer::status(200)]);
    let name = house.fires(won("e-1")).await;
    house.shows(&name, ExecutionState::Succeeded).await;
    // A failure, with a request that could not even be sent again.
    receiver.script("/key", [Answer::status(403)]);
    let failed = house.fires(won("e-2")).await;
    house.shows(&failed, ExecutionState::Failed).await;

    let header = |path: &str, name: &str| receiver.hits_at(path)[0].header(name).to_owned();
    assert_eq!(header("/basic", "authorization"), BASIC);
    assert_eq!(header("/bearer", "authorization"), format!("Bearer {TOKEN}"));
    assert_eq!(header("/key", "x-api-key"), KEY);

    let admin = house.admin();
    let mut said = String::new();
    for (webhook, (display_name, kind)) in webhooks.iter().zip(kinds) {
        let read = admin.get_webhook(webhook).await.unwrap();
        let authentication = read.authentication.clone().unwrap();
        assert_eq!(
            std::mem::discriminant(authentication.kind.as_ref().unwrap()),
            std::mem::discriminant(&kind)
        );
        let renamed = admin.update_webhook(read.clone(), &["display_name"]).await;
        let taken = admin
            .create_webhook(authenticated_webhook(display_name, "https://example.com/", kind.clone()))
            .await;
        assert_eq!(taken.as_ref().unwrap_err().reason, "NAME_TAKEN");
        let refused = admin.create_webhook(authenticated_webhook("x", "https://10.0.0.1/", kind)).await;
        writeln!(said, "{read:?} {renamed:?} {:?} {:?}", taken.unwrap_err(), refused.unwrap_err()).unwrap();
    }
    // Changing another field kept the credentials.
    let again = house.fires(won("e-3")).await;
    house.shows(&again, ExecutionState::Failed).await;
    assert_eq!(receiver.hits_at("/basic").last().unwrap().header("authorization"), BASIC);

    let whole: Vec<Execution> = vec![house.execution(&name).await, house.execution(&failed).await];
    for attempt in whole.iter().flat_map(|execution| &execution.deliveries).flat_map(|d| &d.attempts) {
        for header in &attempt.request_headers {
            let is_secret =
                ["authorization", "x-api-key", "webhook-signature"].contains(&header.name.as_str());
            assert_eq!((header.redacted, header.value.is_empty()), (is_secret, is_secret), "{header:?}");
        }
    }
    let list = ListExecutionsRequest { parent: PARENT.to_owned(), ..Default::default() };
    let (webhooks, executions) = (admin.list_webhooks(PARENT).await, admin.list_executions(list).await);
    writeln!(said, "{whole:?} {:?} {:?}", webhooks.unwrap(), executions.unwrap()).unwrap();
    writeln!(said, "{:?}", admin.list_automations(PARENT, "").await.unwrap()).unwrap();
    assert_free_of_secrets(said.as_bytes(), &secrets, "the answers of the API");

    let stored = house.stored().await;
    let sees = |text: &str| stored.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(sees("All of them") && sees("e-2"), "what is searched is what the services keep");
    assert_free_of_secrets(&stored, &secrets, "the databases");
    assert_free_of_secrets(house.said().as_bytes(), &secrets, "what the processes said");
    house.stop().await;
    assert_free_of_secrets(&house.stored().await, &secrets, "the databases after the end");
}
