//! The feed and targets, as our own services see them.

use proto::registry::v1 as wire;
use proto::registry::v1::WebhookKind::{Automation, Event};
use proto::registry::v1::watch_changes_response::Change;
use tonic::{Code, Streaming};

use super::house::{House, create, created, refused, webhook};

async fn next(stream: &mut Streaming<wire::WatchChangesResponse>) -> (i64, Change) {
    let told = stream.message().await.unwrap().unwrap();
    (told.revision, told.change.unwrap())
}

#[tokio::test]
async fn a_watcher_gets_the_state_the_mark_and_then_each_change() {
    let house = House::open().await.with("acme", "advanced").await;
    let mut admin = house.admin("acme");
    let held = created(&mut admin, "acme", webhook(Automation, "w")).await;
    let mut stream =
        house.feed().watch_changes(wire::WatchChangesRequest { cursor: 0 }).await.unwrap().into_inner();
    let (revision, Change::Account(account)) = next(&mut stream).await else { panic!("an account") };
    assert_eq!((revision, account.name.as_str()), (2, "accounts/acme"));
    assert_eq!(next(&mut stream).await, (2, Change::Webhook(held.clone())));
    assert_eq!(next(&mut stream).await, (2, Change::Synced(wire::Synced {})));

    admin
        .delete_webhook(wire::DeleteWebhookRequest { name: held.name.clone(), etag: String::new() })
        .await
        .unwrap();
    let deleted = Change::WebhookDeleted(wire::WebhookDeleted { name: held.name });
    assert_eq!(next(&mut stream).await, (3, deleted));

    house.put("acme", "essential", 2).await.unwrap();
    let mut resumed =
        house.feed().watch_changes(wire::WatchChangesRequest { cursor: 3 }).await.unwrap().into_inner();
    let (revision, Change::Account(account)) = next(&mut resumed).await else { panic!("an account") };
    assert_eq!((revision, account.entitlements.unwrap().plan.as_str()), (4, "essential"));
}

#[tokio::test]
async fn a_cursor_from_nowhere_is_refused() {
    let house = House::open().await.with("acme", "advanced").await;
    for cursor in [-1, 2, i64::MAX] {
        let refusal = refused(house.feed().watch_changes(wire::WatchChangesRequest { cursor }).await);
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::OutOfRange, "CURSOR_TOO_OLD"), "{cursor}");
    }
}

#[tokio::test]
async fn a_target_is_resolved_with_all_that_one_request_needs() {
    let house = House::open().await.with("acme", "advanced").await;
    let key = wire::ApiKeyAuthentication { header: "X-Key".into(), key: "k-1".into() };
    let kind = Some(wire::authentication::Kind::ApiKey(key));
    let wanted = wire::Webhook { authentication: Some(wire::Authentication { kind }), ..webhook(Event, "w") };
    let answer = house.admin("acme").create_webhook(create("acme", wanted)).await.unwrap().into_inner();
    let name = answer.webhook.unwrap().name;
    let target = house.feed().resolve_target(wire::ResolveTargetRequest { name: name.clone() }).await;
    let expected = wire::ResolveTargetResponse {
        endpoint_url: "https://hooks.example.com/in".to_owned(),
        authentication: Some(wire::AuthenticationHeader { name: "X-Key".into(), value: "k-1".into() }),
        signing_secrets: vec![answer.signing_secret],
        state: wire::WebhookState::Enabled.into(),
        kind: Event.into(),
        version: 1,
    };
    assert_eq!(target.unwrap().into_inner(), expected);
    let foreign = name.replace("acme", "other");
    let refusal = refused(house.feed().resolve_target(wire::ResolveTargetRequest { name: foreign }).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::NotFound, "NOT_FOUND"));
}

#[tokio::test]
async fn an_account_is_told_with_the_humblest_plan_that_has_automations() {
    let house = House::open().await;
    let put = house.put("acme", "essential", 1).await.unwrap();
    assert_eq!(put.entitlements.as_ref().unwrap().automations_plan, "advanced");
    let mut stream =
        house.feed().watch_changes(wire::WatchChangesRequest { cursor: 0 }).await.unwrap().into_inner();
    let (_, Change::Account(told)) = next(&mut stream).await else { panic!("an account") };
    assert_eq!(told, put);
}

#[tokio::test]
async fn a_target_whose_secrets_do_not_open_is_refused_with_a_reason_of_its_own() {
    let house = House::open().await.with("acme", "advanced").await;
    let held = created(&mut house.admin("acme"), "acme", webhook(Event, "w")).await;
    house.execute("UPDATE webhooks SET signing_secret = x'00'").await;
    let resolve = wire::ResolveTargetRequest { name: held.name };
    let refusal = refused(house.feed().resolve_target(resolve).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "CREDENTIALS_UNREADABLE"));
}

#[tokio::test]
async fn a_registry_whose_database_does_not_answer_says_that_it_is_not_serving() {
    use tonic_health::ServingStatus;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    for hurt in [false, true] {
        let house = House::open().await;
        if hurt {
            house.execute("DROP TABLE feed").await;
        }
        let expected = if hurt { ServingStatus::NotServing } else { ServingStatus::Serving };
        for transport in [house.anonymous(), house.internal()] {
            let answer = HealthClient::new(transport).check(HealthCheckRequest::default()).await.unwrap();
            assert_eq!(answer.into_inner().status, expected as i32);
        }
    }
}
