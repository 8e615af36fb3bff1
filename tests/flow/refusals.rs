//! Calls that are refused, each with its reason.

use proto::evaluator::v1::{Operator, RequestStep, Step};
use proto::registry::v1::{Webhook, WebhookKind};
use sluice_domain::{Span, WebhookId};
use sluice_tests::requests::{
    automation, automation_webhook, compare, delay, event_webhook, noted, post, step, won,
};
use sluice_tests::{
    ACCOUNT, Answer, Deployment, House, OTHER_ACCOUNT, PARENT, Refusal, on_each_deployment, until,
};
use tonic::Code;

const PUBLIC: &str = "https://shop.example.com/hooks/";

on_each_deployment!(
    what_plan_and_role_do_not_allow_is_refused,
    tokens_that_do_not_open_the_door_are_refused,
    automations_that_can_not_work_are_refused_with_every_field,
    targets_that_are_not_public_are_refused,
);

fn assert_refused<T: std::fmt::Debug>(answer: Answer<T>, code: Code, reason: &str) -> Box<Refusal> {
    let refusal = answer.expect_err(reason);
    assert_eq!((refusal.code, refusal.reason.as_str()), (code, reason), "{refusal:?}");
    refusal
}

async fn what_plan_and_role_do_not_allow_is_refused(deployment: Deployment) {
    let house = House::open_on(deployment, "essential").await;
    let (admin, member) = (house.admin(), house.people().member(ACCOUNT, "max"));
    let wanted = || automation_webhook("Shop", PUBLIC);
    let refusal =
        assert_refused(admin.create_webhook(wanted()).await, Code::FailedPrecondition, "PLAN_REQUIRED");
    let (needed, held) = (&refusal.metadata["plan_required"], &refusal.metadata["plan_held"]);
    assert_eq!((needed.as_str(), held.as_str()), ("advanced", "essential"));
    until("the evaluator has heard of the account", async || {
        let probe = admin.create_automation(PARENT, automation("x", [delay(1)])).await.unwrap_err();
        (probe.reason == "PLAN_REQUIRED").then_some(())
    })
    .await;

    house.put_plan("narrow").await;
    assert_refused(member.create_webhook(wanted()).await, Code::PermissionDenied, "GLOBAL_ADMIN_REQUIRED");
    let (webhook, _) = house.webhook(wanted()).await;
    let delete = member.delete_webhook(&webhook).await;
    assert_refused(delete, Code::PermissionDenied, "GLOBAL_ADMIN_REQUIRED");
    let own = event_webhook("Mine", PUBLIC, "note");
    assert!(member.create_webhook(own.clone()).await.is_ok(), "event webhooks are everybody's");
    assert_refused(admin.create_webhook(own).await, Code::AlreadyExists, "NAME_TAKEN");

    let first = house.automation(automation("First", [post(&webhook, "{}")])).await;
    let second = automation("Second", [post(&webhook, "{}")]);
    let created = member.create_automation(PARENT, second.clone()).await;
    assert_refused(created, Code::PermissionDenied, "GLOBAL_ADMIN_REQUIRED");
    assert_refused(member.deactivate(&first).await, Code::PermissionDenied, "GLOBAL_ADMIN_REQUIRED");
    assert_eq!(member.get_automation(&first).await.unwrap().name, first, "members may read");
    let second = admin.create_automation(PARENT, second).await.unwrap();
    let refusal =
        assert_refused(admin.activate(&second.name).await, Code::FailedPrecondition, "PLAN_LIMIT_EXCEEDED");
    assert_eq!((refusal.metadata["used"].as_str(), refusal.metadata["of"].as_str()), ("1", "1"));

    let billing = house.people().billing();
    let older = billing.put_entitlements(ACCOUNT, "advanced", 1).await;
    assert_refused(older, Code::Aborted, "VERSION_OUTDATED");
    let again = billing.put_entitlements(ACCOUNT, "advanced", 2).await;
    assert_refused(again, Code::AlreadyExists, "VERSION_REUSED");
    assert!(
        billing.put_entitlements(ACCOUNT, "narrow", 2).await.is_ok(),
        "the same again is answered as before"
    );
}

async fn tokens_that_do_not_open_the_door_are_refused(deployment: Deployment) {
    let house = House::open(deployment).await;
    let people = house.people();
    let wanted = || automation_webhook("Shop", PUBLIC);
    let expired = house.people_of(Span::from_secs(3_600)).admin(ACCOUNT);
    for nobody in [house.forger(), expired, people.bearer_of("no.token.atall")] {
        assert_refused(nobody.create_webhook(wanted()).await, Code::Unauthenticated, "UNAUTHENTICATED");
        assert_refused(nobody.ingest(PARENT, won("e")).await, Code::Unauthenticated, "UNAUTHENTICATED");
    }
    let (producer, member, stranger) =
        (people.producer(ACCOUNT), people.member(ACCOUNT, "max"), people.admin(OTHER_ACCOUNT));
    assert_refused(member.ingest(PARENT, won("e")).await, Code::PermissionDenied, "PERMISSION_DENIED");
    assert_refused(producer.create_webhook(wanted()).await, Code::PermissionDenied, "PERMISSION_DENIED");
    let lists = member.list_executions(proto::dispatcher::v1::ListExecutionsRequest {
        parent: PARENT.to_owned(),
        ..Default::default()
    });
    assert_refused(lists.await, Code::PermissionDenied, "PERMISSION_DENIED");
    let raised = house.admin().put_entitlements(ACCOUNT, "advanced", 9).await;
    assert_refused(raised, Code::PermissionDenied, "PERMISSION_DENIED");
    assert_refused(stranger.create_webhook(wanted()).await, Code::PermissionDenied, "PERMISSION_DENIED");
    let foreign = people.producer(OTHER_ACCOUNT).ingest(PARENT, won("e")).await;
    assert_refused(foreign, Code::PermissionDenied, "PERMISSION_DENIED");

    // A good token of an account that billing has said nothing of.
    let unknown = people.producer(OTHER_ACCOUNT).ingest("accounts/globex", noted("n")).await;
    assert_refused(unknown, Code::FailedPrecondition, "ACCOUNT_UNKNOWN");
    let mut request = wanted();
    request.parent = "accounts/globex".to_owned();
    assert_refused(stranger.create_webhook(request).await, Code::FailedPrecondition, "ACCOUNT_UNKNOWN");
}

async fn automations_that_can_not_work_are_refused_with_every_field(deployment: Deployment) {
    let house = House::open(deployment).await;
    let admin = house.admin();
    let (regular, _) = house.webhook(event_webhook("Regular", PUBLIC, "note")).await;
    let (closed, _) = house.webhook(automation_webhook("Closed", "https://shop.example.com/hook")).await;
    let (open, _) = house.webhook(automation_webhook("Open", PUBLIC)).await;
    house.automation(automation("Known", [post(&open, "{}"), post(&closed, "{}")])).await;
    house.heard_of(&regular).await;
    let create = async |steps: Vec<Step>| admin.create_automation(PARENT, automation("Wrong", steps)).await;

    let refusal = assert_refused(
        create(vec![post(&regular, "{}")]).await,
        Code::FailedPrecondition,
        "WEBHOOK_KIND_MISMATCH",
    );
    let kinds = (refusal.metadata["kind"].as_str(), refusal.metadata["kind_needed"].as_str());
    assert_eq!(kinds, ("EVENT", "AUTOMATION"));
    let nowhere = WebhookId::from_bytes([9; 16]).to_string();
    let unknown = format!("{PARENT}/webhooks/{nowhere}");
    let refusal =
        assert_refused(create(vec![post(&unknown, "{}")]).await, Code::FailedPrecondition, "WEBHOOK_UNKNOWN");
    assert_eq!(refusal.metadata["webhook"], nowhere);

    let path = |webhook: &str| {
        let request =
            RequestStep { webhook: webhook.to_owned(), path: "a".to_owned(), ..RequestStep::default() };
        step(request)
    };
    assert!(create(vec![path(&open)]).await.is_ok());
    let refusal =
        assert_refused(create(vec![path(&closed)]).await, Code::InvalidArgument, "INVALID_ARGUMENT");
    assert!(refusal.fields.iter().any(|field| field.starts_with("automation.steps[0]")), "{refusal:?}");

    let mut wrong = automation("", [post(&open, "{{ deal.title "), post(&open, "{% if x %}"), delay(0)]);
    wrong.condition = Some(compare("person.stage", Operator::Is, &["x", "y"]));
    let wrong = admin.create_automation(PARENT, wrong).await;
    let refusal = assert_refused(wrong, Code::InvalidArgument, "INVALID_ARGUMENT");
    for field in ["display_name", "condition", "steps[0]", "steps[1]", "steps[2]"] {
        let named = |found: &String| found.starts_with(&format!("automation.{field}"));
        assert!(refusal.fields.iter().any(named), "{field} is not in {:?}", refusal.fields);
    }

    let other_kind = Webhook { name: regular, kind: WebhookKind::Automation.into(), ..Webhook::default() };
    let changed = admin.update_webhook(other_kind, &["kind"]).await;
    assert_refused(changed, Code::InvalidArgument, "INVALID_ARGUMENT");
}

async fn targets_that_are_not_public_are_refused(deployment: Deployment) {
    let house = House::open(deployment).await;
    let admin = house.admin();
    for url in [
        "https://10.0.0.1/",
        "http://169.254.169.254/latest",
        "https://[::1]/",
        "https://printer/",
        "https://user:pw@example.com/",
        "https://example.com/#part",
        "ftp://example.com/",
    ] {
        let refusal = admin.create_webhook(automation_webhook("Wrong", url)).await;
        let refusal = assert_refused(refusal, Code::InvalidArgument, "TARGET_FORBIDDEN");
        assert_eq!(refusal.metadata["field"], "webhook.endpoint_url", "{url}");
    }
    let (webhook, _) = house.webhook(automation_webhook("Right", PUBLIC)).await;
    let moved =
        Webhook { name: webhook.clone(), endpoint_url: "https://10.0.0.1/".to_owned(), ..Webhook::default() };
    let moved = admin.update_webhook(moved, &["endpoint_url"]).await;
    assert_refused(moved, Code::InvalidArgument, "TARGET_FORBIDDEN");
    assert_eq!(admin.get_webhook(&webhook).await.unwrap().endpoint_url, PUBLIC);
}
