//! Webhooks: the access rules, the form of requests, repeated creations, pages, updates.

use proto::registry::v1 as wire;
use proto::registry::v1::WebhookKind::{Automation, Event};
use proto::registry::v1::authentication::Kind;
use sluice_registry::config::Config;
use tonic::Code;

use super::house::{House, create, created, refused, update, webhook};

#[tokio::test]
async fn automation_webhooks_need_an_admin_and_a_plan_that_has_them() {
    let house = House::open().await.with("acme", "essential").await;
    let wanted = create("acme", webhook(Automation, "Won"));
    let no_plan = refused(house.admin("acme").create_webhook(wanted.clone()).await);
    assert_eq!((no_plan.code, no_plan.reason.as_str()), (Code::FailedPrecondition, "PLAN_REQUIRED"));
    assert_eq!(no_plan.metadata["plan_required"], "advanced");
    assert_eq!(no_plan.metadata["plan_held"], "essential");
    let no_admin = refused(house.member("acme", "ann").create_webhook(wanted.clone()).await);
    assert_eq!((no_admin.code, no_admin.reason.as_str()), (Code::PermissionDenied, "GLOBAL_ADMIN_REQUIRED"));

    house.put("acme", "advanced", 2).await.unwrap();
    let held = house.admin("acme").create_webhook(wanted).await.unwrap().into_inner().webhook.unwrap();
    assert!(held.owner_is_admin && held.owner == "root");
    let mut member = house.member("acme", "ann");
    let get = wire::GetWebhookRequest { name: held.name.clone() };
    assert_eq!(member.get_webhook(get).await.unwrap().into_inner().webhook.unwrap().name, held.name);
    let rename = update(wire::Webhook { display_name: "x".into(), ..held.clone() }, &["display_name"]);
    assert_eq!(refused(member.update_webhook(rename.clone()).await).reason, "GLOBAL_ADMIN_REQUIRED");
    let delete = wire::DeleteWebhookRequest { name: held.name, etag: String::new() };
    assert_eq!(refused(member.delete_webhook(delete.clone()).await).reason, "GLOBAL_ADMIN_REQUIRED");

    house.put("acme", "essential", 3).await.unwrap();
    assert_eq!(refused(house.admin("acme").update_webhook(rename).await).reason, "PLAN_REQUIRED");
    assert_eq!(refused(house.admin("acme").delete_webhook(delete).await).reason, "PLAN_REQUIRED");
}

#[tokio::test]
async fn members_manage_their_own_event_webhooks_on_any_plan() {
    let house = House::open().await.with("acme", "essential").await;
    let mut ann = house.member("acme", "ann");
    let own = created(&mut ann, "acme", webhook(Event, "Mine")).await;
    assert!(!own.owner_is_admin && own.owner == "ann");
    let off = wire::Webhook { state: wire::WebhookState::Disabled.into(), ..own.clone() };
    let off = ann.update_webhook(update(off, &["state"])).await.unwrap().into_inner().webhook.unwrap();
    assert_eq!(off.state(), wire::WebhookState::Disabled);
    assert_ne!(off.etag, own.etag);
    let admin = wire::DeleteWebhookRequest { name: own.name.clone(), etag: off.etag };
    house.admin("acme").delete_webhook(admin).await.unwrap();
    let gone = refused(ann.get_webhook(wire::GetWebhookRequest { name: own.name }).await);
    assert_eq!((gone.code, gone.reason.as_str()), (Code::NotFound, "NOT_FOUND"));
}

#[tokio::test]
async fn a_broken_request_is_refused_with_every_fault() {
    let house = House::open().await.with("acme", "advanced").await;
    let broken = wire::CreateWebhookRequest {
        parent: "acme".to_owned(),
        webhook: Some(wire::Webhook {
            display_name: "x".repeat(121),
            endpoint_url: "https://127.0.0.1/".into(),
            ..webhook(Event, "")
        }),
        signing_secret: "whsec_".to_owned(),
        request_id: "\n".to_owned(),
    };
    let refusal = refused(house.admin("acme").create_webhook(broken).await);
    let fields: Vec<_> = refusal.violations.iter().map(|violation| violation.field.as_str()).collect();
    let expected = ["parent", "webhook.display_name", "signing_secret", "request_id", "webhook.endpoint_url"];
    assert_eq!((refusal.reason.as_str(), fields), ("INVALID_ARGUMENT", expected.to_vec()));
}

#[tokio::test]
async fn a_forbidden_target_has_one_reason_and_tells_nothing_of_our_network() {
    let house = House::open().await.with("acme", "advanced").await;
    let mut admin = house.admin("acme");
    let mut said = Vec::new();
    for url in ["https://127.0.0.1/", "https://169.254.169.254/x", "https://db.svc.cluster.local/"] {
        let wanted = wire::Webhook { endpoint_url: url.to_owned(), ..webhook(Automation, "w") };
        let status = admin.create_webhook(create("acme", wanted)).await.unwrap_err();
        let refusal = refused::<()>(Err(status.clone()));
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "TARGET_FORBIDDEN"));
        assert_eq!(refusal.metadata["field"], "webhook.endpoint_url");
        assert_eq!(refusal.violations.iter().next().unwrap().field, "webhook.endpoint_url");
        said.push(status.message().to_owned());
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");

    let config = Config { explain_targets: true, ..Config::default() };
    let house = House::open_with(config).await.with("acme", "advanced").await;
    let wanted = wire::Webhook { endpoint_url: "http://127.0.0.1:9000/".into(), ..webhook(Automation, "w") };
    let status = house.admin("acme").create_webhook(create("acme", wanted)).await.unwrap_err();
    assert!(status.message().contains("egress.allow_http = true"), "{}", status.message());
}

#[tokio::test]
async fn a_repeated_creation_gets_the_same_webhook_and_secret() {
    let house = House::open().await.with("acme", "advanced").await;
    let mut admin = house.admin("acme");
    let first = wire::CreateWebhookRequest {
        request_id: "r1".to_owned(),
        ..create("acme", webhook(Automation, "Won"))
    };
    let answer = admin.create_webhook(first.clone()).await.unwrap().into_inner();
    assert!(answer.signing_secret.starts_with("whsec_"));
    assert_eq!(admin.create_webhook(first).await.unwrap().into_inner(), answer);
    let other = wire::CreateWebhookRequest {
        request_id: "r1".to_owned(),
        ..create("acme", webhook(Automation, "Lost"))
    };
    let reused = refused(admin.create_webhook(other).await);
    assert_eq!((reused.code, reused.reason.as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    assert_eq!(reused.violations.iter().next().unwrap().field, "request_id");
    let taken = refused(admin.create_webhook(create("acme", webhook(Event, "Won"))).await);
    assert_eq!((taken.code, taken.reason.as_str()), (Code::AlreadyExists, "NAME_TAKEN"));
    assert_eq!(taken.metadata["field"], "webhook.display_name");
    assert_eq!(taken.violations.iter().next().unwrap().field, "webhook.display_name");
}

#[tokio::test]
async fn pages_hold_everything_once_and_their_tokens_only_fit_their_listing() {
    let house = House::open().await.with("acme", "advanced").await;
    let mut admin = house.admin("acme");
    let mut expected = Vec::new();
    for at in 0..5 {
        expected.push(created(&mut admin, "acme", webhook(Event, &format!("w{at}"))).await.name);
    }
    let first = wire::ListWebhooksRequest {
        parent: "accounts/acme".to_owned(),
        page_size: 2,
        kind: Event.into(),
        ..wire::ListWebhooksRequest::default()
    };
    let (mut listed, mut sizes, mut token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = wire::ListWebhooksRequest { page_token: token, ..first.clone() };
        let page = admin.list_webhooks(page).await.unwrap().into_inner();
        sizes.push(page.webhooks.len());
        listed.extend(page.webhooks.into_iter().map(|webhook| webhook.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        let elsewhere = wire::ListWebhooksRequest { kind: 0, page_token: token.clone(), ..first.clone() };
        let refusal = refused(admin.list_webhooks(elsewhere).await);
        assert_eq!(refusal.violations.iter().next().unwrap().field, "page_token");
    }
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!((listed, sizes), (expected, vec![2, 2, 1]));

    let named = wire::ListWebhooksRequest { display_name: "w3".into(), ..first.clone() };
    assert_eq!(admin.list_webhooks(named).await.unwrap().into_inner().webhooks.len(), 1);
    let bad = wire::ListWebhooksRequest { page_size: -1, kind: 9, ..first };
    let fields: Vec<_> =
        refused(admin.list_webhooks(bad).await).violations.iter().map(|v| v.field.clone()).collect();
    assert_eq!(fields, ["page_size", "kind"]);
}

#[tokio::test]
async fn an_update_takes_what_its_mask_names_under_its_etag() {
    let house = House::open().await.with("acme", "advanced").await;
    let mut admin = house.admin("acme");
    let held = created(&mut admin, "acme", webhook(Event, "w")).await;
    let wanted = wire::Webhook {
        display_name: "renamed".into(),
        endpoint_url: "https://other.example.com/".into(),
        ..held.clone()
    };
    let renamed = admin.update_webhook(update(wanted.clone(), &["display_name"])).await.unwrap();
    let renamed = renamed.into_inner().webhook.unwrap();
    assert_eq!((renamed.display_name.as_str(), &renamed.endpoint_url), ("renamed", &held.endpoint_url));
    let late = refused(admin.update_webhook(update(wanted.clone(), &["endpoint_url"])).await);
    assert_eq!((late.code, late.reason.as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    let unconditional = wire::Webhook { etag: String::new(), ..wanted };
    let moved = admin.update_webhook(update(unconditional.clone(), &["endpoint_url"])).await.unwrap();
    assert_eq!(moved.into_inner().webhook.unwrap().endpoint_url, "https://other.example.com/");

    let broken = wire::Webhook { display_name: String::new(), ..unconditional };
    let refusal = refused(admin.update_webhook(update(broken, &["kind", "display_name", "size"])).await);
    let fields: Vec<_> = refusal.violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["webhook.display_name", "update_mask", "update_mask"]);
}

#[tokio::test]
async fn a_member_is_shown_of_automation_webhooks_only_what_they_are_picked_by() {
    let house = House::open().await.with("acme", "advanced").await;
    let mut admin = house.admin("acme");
    for (at, kind) in [
        Kind::Basic(wire::BasicAuthentication { username: "canary-user".into(), password: "p".into() }),
        Kind::ApiKey(wire::ApiKeyAuthentication { header: "X-Canary".into(), key: "k".into() }),
    ]
    .into_iter()
    .enumerate()
    {
        let wanted = wire::Webhook {
            endpoint_url: "https://canary.example.com/path?key=canary".into(),
            authentication: Some(wire::Authentication { kind: Some(kind) }),
            ..webhook(Automation, &format!("w{at}"))
        };
        created(&mut admin, "acme", wanted).await;
    }
    let all = wire::ListWebhooksRequest { parent: "accounts/acme".into(), ..Default::default() };
    let whole = admin.list_webhooks(all.clone()).await.unwrap().into_inner().webhooks;
    let mut member = house.member("acme", "ann");
    let told = member.list_webhooks(all).await.unwrap().into_inner().webhooks;
    let expected: Vec<_> = whole
        .into_iter()
        .map(|whole| wire::Webhook {
            name: whole.name,
            display_name: whole.display_name,
            kind: whole.kind,
            state: whole.state,
            create_time: whole.create_time,
            update_time: whole.update_time,
            ..wire::Webhook::default()
        })
        .collect();
    assert_eq!(told, expected);
    for one in expected {
        let get = wire::GetWebhookRequest { name: one.name.clone() };
        assert_eq!(member.get_webhook(get).await.unwrap().into_inner().webhook.unwrap(), one);
    }
}

#[tokio::test]
async fn a_name_that_no_webhook_can_have_is_refused_before_the_database_sees_it() {
    let house = House::open().await.with("acme", "advanced").await;
    for display_name in ["\0", "a\u{1b}", " a", &"x".repeat(121)] {
        let list = wire::ListWebhooksRequest {
            parent: "accounts/acme".to_owned(),
            display_name: display_name.to_owned(),
            ..wire::ListWebhooksRequest::default()
        };
        let refusal = refused(house.admin("acme").list_webhooks(list).await);
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "INVALID_ARGUMENT"));
        assert_eq!(refusal.violations.iter().next().unwrap().field, "display_name");
    }
}

#[tokio::test]
async fn no_text_of_a_request_brings_a_control_character_to_the_database() {
    let house = House::open().await.with("acme", "advanced").await;
    let mut admin = house.admin("acme");
    let held = created(&mut admin, "acme", webhook(Event, "w")).await;
    let parent = || "accounts/a\0".to_owned();
    let requests = [
        admin.list_webhooks(wire::ListWebhooksRequest { parent: parent(), ..Default::default() }).await.err(),
        admin.create_webhook(create("a\0", webhook(Event, "v"))).await.err(),
        admin.create_webhook(create("acme", webhook(Event, "v\0"))).await.err(),
        admin
            .create_webhook(wire::CreateWebhookRequest {
                request_id: "r\0".to_owned(),
                ..create("acme", webhook(Event, "v"))
            })
            .await
            .err(),
        admin.get_webhook(wire::GetWebhookRequest { name: format!("{}\0", held.name) }).await.err(),
        house.put("acme", "advanced\0", 2).await.err(),
        house.put("acme\0", "advanced", 2).await.err(),
    ];
    for (at, status) in requests.into_iter().enumerate() {
        let refusal = refused::<()>(Err(status.unwrap()));
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::InvalidArgument, "INVALID_ARGUMENT"),
            "{at}"
        );
    }
    let stale = wire::DeleteWebhookRequest { name: held.name, etag: "1\0".to_owned() };
    assert_eq!(refused(admin.delete_webhook(stale).await).reason, "ETAG_MISMATCH");
}

#[tokio::test]
async fn a_member_with_as_many_event_webhooks_as_one_may_have_is_told_so() {
    let house = House::open().await.with("acme", "essential").await;
    let mut ann = house.member("acme", "ann");
    for at in 0..10 {
        created(&mut ann, "acme", webhook(Event, &format!("w{at}"))).await;
    }
    let refusal = refused(ann.create_webhook(create("acme", webhook(Event, "one more"))).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "PLAN_LIMIT_EXCEEDED"));
    let told = ["limit", "used", "of"].map(|key| refusal.metadata[key].clone());
    assert_eq!(told, ["event_webhooks_per_member", "10", "10"]);
}
