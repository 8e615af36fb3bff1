//! What belongs to another account, or to another member, is refused as what never was.

use proto::registry::v1 as wire;
use proto::registry::v1::WebhookKind::{Automation, Event};
use proto::registry::v1::webhook_service_client::WebhookServiceClient;
use sluice_domain::{Timestamp, WebhookId};
use sluice_rpc::{Transport, fault_of};
use tonic::{Code, Status};

use super::house::{House, create, created, refused, update, webhook};

/// What every RPC on one webhook answers, with the id taken out.
async fn answers(client: &mut WebhookServiceClient<Transport>, name: &str) -> Vec<(Code, String, String)> {
    let given = wire::Webhook { name: name.to_owned(), ..webhook(Event, "x") };
    let statuses = [
        client.get_webhook(wire::GetWebhookRequest { name: name.to_owned() }).await.unwrap_err(),
        client.update_webhook(update(given, &["display_name"])).await.unwrap_err(),
        client
            .delete_webhook(wire::DeleteWebhookRequest { name: name.to_owned(), etag: "1".into() })
            .await
            .unwrap_err(),
    ];
    statuses.iter().map(|status| without(name, status)).collect()
}

fn without(name: &str, status: &Status) -> (Code, String, String) {
    let refusal = fault_of(status).unwrap();
    let told = format!("{:?} {:?}", refusal.metadata, refusal.violations).replace(name, "NAME");
    (status.code(), format!("{} {}", refusal.reason, status.message().replace(name, "NAME")), told)
}

#[tokio::test]
async fn a_foreign_webhook_is_refused_exactly_as_one_that_never_was() {
    let house = House::open().await.with("acme", "advanced").await.with("other", "advanced").await;
    let real = created(&mut house.admin("acme"), "acme", webhook(Automation, "w")).await;
    let id = real.name.rsplit('/').next().unwrap().to_owned();
    let random = WebhookId::mint(Timestamp::from_micros(1_795_000_000_000_000), [5; 10]).to_string();

    let mut stranger = house.admin("other");
    for account in ["acme", "other"] {
        let real = answers(&mut stranger, &format!("accounts/{account}/webhooks/{id}")).await;
        let never = answers(&mut stranger, &format!("accounts/{account}/webhooks/{random}")).await;
        assert_eq!(real, never, "{account}");
        assert!(real.iter().all(|(code, ..)| *code == Code::NotFound), "{real:?}");
    }
}

#[tokio::test]
async fn collections_of_another_account_are_closed_whether_it_exists_or_not() {
    let house = House::open().await.with("acme", "advanced").await.with("other", "advanced").await;
    let mut stranger = house.admin("other");
    for account in ["acme", "nobody"] {
        let list = wire::ListWebhooksRequest {
            parent: format!("accounts/{account}"),
            ..wire::ListWebhooksRequest::default()
        };
        assert_eq!(refused(stranger.list_webhooks(list).await).reason, "PERMISSION_DENIED");
        let create = create(account, webhook(Event, "w"));
        assert_eq!(refused(stranger.create_webhook(create).await).reason, "PERMISSION_DENIED");
    }
}

#[tokio::test]
async fn another_members_event_webhook_does_not_exist_for_a_member() {
    let house = House::open().await.with("acme", "advanced").await;
    let anns = created(&mut house.member("acme", "ann"), "acme", webhook(Event, "Anns")).await;
    let mut bob = house.member("acme", "bob");
    let random = WebhookId::mint(Timestamp::from_micros(1_795_000_000_000_000), [5; 10]);
    let hidden = answers(&mut bob, &anns.name).await;
    let never = answers(&mut bob, &format!("accounts/acme/webhooks/{random}")).await;
    assert_eq!(hidden, never);
    let all = wire::ListWebhooksRequest {
        parent: "accounts/acme".to_owned(),
        ..wire::ListWebhooksRequest::default()
    };
    assert!(bob.list_webhooks(all.clone()).await.unwrap().into_inner().webhooks.is_empty());
    assert_eq!(house.admin("acme").list_webhooks(all).await.unwrap().into_inner().webhooks.len(), 1);
}

#[tokio::test]
async fn the_feed_is_not_on_the_public_listener_and_writes_are_not_on_the_internal_one() {
    use proto::registry::v1::feed_service_client::FeedServiceClient;
    let house = House::open().await.with("acme", "advanced").await;
    let held = created(&mut house.admin("acme"), "acme", webhook(Event, "w")).await;
    let resolve = wire::ResolveTargetRequest { name: held.name.clone() };
    let closed = FeedServiceClient::new(house.anonymous()).resolve_target(resolve).await.unwrap_err();
    assert_eq!(closed.code(), Code::Unimplemented);

    let mut service = WebhookServiceClient::new(house.internal());
    let get = wire::GetWebhookRequest { name: held.name.clone() };
    assert_eq!(service.get_webhook(get).await.unwrap().into_inner().webhook.unwrap(), held);
    let delete = wire::DeleteWebhookRequest { name: held.name, etag: String::new() };
    assert_eq!(refused(service.delete_webhook(delete).await).reason, "PERMISSION_DENIED");
}
