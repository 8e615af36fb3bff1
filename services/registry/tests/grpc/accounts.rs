//! Entitlements: who may put them, and which version wins.

use proto::registry::v1 as wire;
use proto::registry::v1::account_service_client::AccountServiceClient;
use sluice_registry::config::{Accounts, Config};
use tonic::Code;

use super::house::{House, create, refused, webhook};

fn get(account: &str) -> wire::GetAccountRequest {
    wire::GetAccountRequest { name: format!("accounts/{account}") }
}

#[tokio::test]
async fn a_put_answers_with_the_plans_numbers_and_a_repetition_with_the_same() {
    let house = House::open().await;
    let put = house.put("acme", "advanced", 3).await.unwrap();
    let entitlements = put.entitlements.clone().unwrap();
    assert_eq!((entitlements.version, entitlements.active_automations), (3, 50));
    assert_eq!(entitlements.allowance.unwrap().amount, 100_000);
    assert_eq!(house.put("acme", "advanced", 3).await.unwrap(), put);
    let read = house.accounts_as_member("acme").get_account(get("acme")).await.unwrap().into_inner();
    assert_eq!(read.account.unwrap(), put);
}

#[tokio::test]
async fn older_and_reused_versions_are_refused_with_their_reasons() {
    let house = House::open().await.with("acme", "advanced").await;
    house.put("acme", "professional", 5).await.unwrap();
    let outdated = refused(house.put("acme", "advanced", 4).await);
    assert_eq!((outdated.code, outdated.reason.as_str()), (Code::Aborted, "VERSION_OUTDATED"));
    assert_eq!(outdated.metadata["version"], "5");
    let reused = refused(house.put("acme", "advanced", 5).await);
    assert_eq!((reused.code, reused.reason.as_str()), (Code::AlreadyExists, "VERSION_REUSED"));
}

#[tokio::test]
async fn a_broken_put_is_refused_with_all_its_faults() {
    let house = House::open().await;
    let request = wire::PutEntitlementsRequest {
        name: "accounts/a b".to_owned(),
        plan: "gold".to_owned(),
        version: 0,
        period_anchor: Some(prost_types::Timestamp { seconds: 0, nanos: -1 }),
    };
    let refusal = refused(house.billing().put_entitlements(request).await);
    let fields: Vec<_> = refusal.violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["name", "plan", "version", "period_anchor"]);
}

#[tokio::test]
async fn only_billing_puts_and_only_the_account_and_billing_read() {
    let house = House::open().await.with("acme", "advanced").await;
    let put = wire::PutEntitlementsRequest {
        name: "accounts/acme".to_owned(),
        plan: "enterprise".to_owned(),
        version: 9,
        period_anchor: None,
    };
    let denied = refused(house.accounts_as_member("acme").put_entitlements(put.clone()).await);
    assert_eq!(denied.reason, "PERMISSION_DENIED");
    let mut stranger = AccountServiceClient::new(house.anonymous());
    assert_eq!(refused(stranger.put_entitlements(put).await).code, Code::Unauthenticated);
    assert!(house.billing().get_account(get("acme")).await.is_ok());
    assert!(AccountServiceClient::new(house.internal()).get_account(get("acme")).await.is_ok());

    // Whether the other account exists makes no difference.
    let known = refused(house.accounts_as_member("other").get_account(get("acme")).await);
    let unknown = refused(house.accounts_as_member("other").get_account(get("nobody")).await);
    assert_eq!(known.reason, "PERMISSION_DENIED");
    assert_eq!((known.code, known.reason), (unknown.code, unknown.reason));
}

#[tokio::test]
async fn an_unknown_account_is_refused_unless_there_is_a_default_plan() {
    let house = House::open().await;
    let unknown = refused(house.accounts_as_member("acme").get_account(get("acme")).await);
    assert_eq!((unknown.code, unknown.reason.as_str()), (Code::FailedPrecondition, "ACCOUNT_UNKNOWN"));
    let event = webhook(wire::WebhookKind::Event, "w");
    let unknown = refused(house.admin("acme").create_webhook(create("acme", event.clone())).await);
    assert_eq!(unknown.reason, "ACCOUNT_UNKNOWN");

    let accounts = Accounts { default_plan: Some("essential".to_owned()) };
    let house = House::open_with(Config { accounts, ..Config::default() }).await;
    house.admin("acme").create_webhook(create("acme", event)).await.unwrap();
    let account = house.accounts_as_member("acme").get_account(get("acme")).await.unwrap().into_inner();
    let entitlements = account.account.unwrap().entitlements.unwrap();
    assert_eq!((entitlements.plan.as_str(), entitlements.version), ("essential", 0));
}
