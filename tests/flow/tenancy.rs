//! Another account's resources look exactly like ones that do not exist.

use proto::dispatcher::v1::ListExecutionsRequest;
use proto::registry::v1::{Webhook, WebhookState};
use sluice_domain::{AutomationId, ExecutionId, WebhookId};
use sluice_runtime::{Clock, Entropy};
use sluice_testkit::Receiver;
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{ACCOUNT, Answer, Deployment, House, OTHER_ACCOUNT, PARENT, Person, on_each_deployment};
use tonic::Code;

on_each_deployment!(another_accounts_resources_are_answered_exactly_as_random_ones);

fn id_of(name: &str) -> &str {
    name.rsplit('/').next().unwrap()
}

/// Asks for the foreign resource and for a random one, under both accounts' names, and compares the answers.
async fn compare<T: std::fmt::Debug>(
    what: &str,
    foreign: &str,
    random: &str,
    ask: impl AsyncFn(String) -> Answer<T>,
) {
    for account in [ACCOUNT, OTHER_ACCOUNT] {
        let named = |id: &str| {
            let (_, rest) = foreign.split_once(ACCOUNT).unwrap();
            format!("accounts/{account}{}", rest.replace(id_of(foreign), id))
        };
        let theirs = ask(named(id_of(foreign))).await.expect_err(what);
        let nobodys = ask(named(random)).await.expect_err(what);
        assert_eq!((theirs.code, theirs.reason.as_str()), (Code::NotFound, "NOT_FOUND"), "{what}");
        assert_eq!(theirs.with_id_replaced(id_of(foreign), random), *nobodys, "{what} in {account}");
    }
}

async fn another_accounts_resources_are_answered_exactly_as_random_ones(deployment: Deployment) {
    let house = House::open(deployment).await;
    let receiver = Receiver::start().await;
    house.people().billing().put_entitlements(OTHER_ACCOUNT, "advanced", 1).await.unwrap();
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    let name = house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    let execution = house.fires(won("e-1")).await;
    house.all_ended().await;

    let entropy = Entropy::system();
    let now = Clock::system().now();
    let eve = house.people().admin(OTHER_ACCOUNT);
    let random = WebhookId::mint(now, entropy.bytes()).to_string();
    compare("GetWebhook", &webhook, &random, async |name| eve.get_webhook(&name).await).await;
    compare("DeleteWebhook", &webhook, &random, async |name| eve.delete_webhook(&name).await).await;
    let renamed = async |name| {
        let webhook = Webhook { name, display_name: "Mine".to_owned(), ..Webhook::default() };
        eve.update_webhook(webhook, &["display_name"]).await
    };
    compare("UpdateWebhook", &webhook, &random, renamed).await;
    let disabled = async |name: String| eve.set_state(&name, WebhookState::Disabled).await;
    compare("UpdateWebhook, state", &webhook, &random, disabled).await;

    let random = AutomationId::mint(now, entropy.bytes()).to_string();
    compare("GetAutomation", &name, &random, async |name| eve.get_automation(&name).await).await;
    let explained = async |name: String| eve.explain(&name, won("asked")).await;
    compare("ExplainEvent", &name, &random, explained).await;
    compare("DeleteAutomation", &name, &random, async |name| eve.delete_automation(&name).await).await;
    compare("ActivateAutomation", &name, &random, async |name| eve.activate(&name).await).await;
    compare("DeactivateAutomation", &name, &random, async |name| eve.deactivate(&name).await).await;
    let renamed = async |name| {
        let mut automation = automation("Mine", []);
        automation.name = name;
        eve.update_automation(automation, &["display_name"]).await
    };
    compare("UpdateAutomation", &name, &random, renamed).await;

    let random = ExecutionId::mint(now, entropy.bytes()).to_string();
    compare("GetExecution", &execution, &random, async |name| eve.get_execution(&name).await).await;
    compare("CancelExecution", &execution, &random, async |name| eve.cancel(&name).await).await;
    compare("RetryExecution", &execution, &random, async |name| eve.retry(&name).await).await;

    assert_lists_tell_nothing(&eve, &webhook, &name).await;
    let kept = (house.admin().get_webhook(&webhook).await, house.admin().get_automation(&name).await);
    assert_eq!(kept.0.unwrap().display_name, "Shop");
    assert_eq!(kept.1.unwrap().display_name, "Tell the shop");
}

async fn assert_lists_tell_nothing(eve: &Person, webhook: &str, automation: &str) {
    // An account that exists and one that does not, of one length.
    const NOBODY: &str = "accounts/nope";
    let executions = async |parent: &str| {
        let request = ListExecutionsRequest { parent: parent.to_owned(), ..Default::default() };
        eve.list_executions(request).await.unwrap_err()
    };
    let theirs = [
        eve.list_webhooks(PARENT).await.unwrap_err(),
        eve.list_automations(PARENT, "").await.unwrap_err(),
        executions(PARENT).await,
    ];
    let nobodys = [
        eve.list_webhooks(NOBODY).await.unwrap_err(),
        eve.list_automations(NOBODY, "").await.unwrap_err(),
        executions(NOBODY).await,
    ];
    for (theirs, nobodys) in theirs.into_iter().zip(nobodys) {
        assert_eq!(theirs.code, Code::PermissionDenied);
        assert_eq!(theirs.with_id_replaced(ACCOUNT, "nope"), *nobodys);
    }
    let own = format!("accounts/{OTHER_ACCOUNT}");
    assert!(eve.list_webhooks(&own).await.unwrap().is_empty());
    for (webhook, automation) in [(webhook, ""), ("", automation), ("", "")] {
        let of_mine = |name: &str| name.replace(ACCOUNT, OTHER_ACCOUNT);
        let request = ListExecutionsRequest {
            parent: own.clone(),
            webhook: of_mine(webhook),
            automation: of_mine(automation),
            ..Default::default()
        };
        assert!(eve.list_executions(request).await.unwrap().executions.is_empty());
        assert!(eve.list_automations(&own, &of_mine(webhook)).await.unwrap().is_empty());
    }
}
