use proto::evaluator::v1 as wire;
use proto::registry::v1::WebhookKind;
use sluice_auth::Role;
use sluice_domain::{Reason, Span};
use tonic::Code;

use super::house::{EVENT_HOOK, HOOK, House, automation, create, delay_step, refused, request_step};
use super::registry::{advanced, essential, webhook};

fn naming(webhook: &str) -> wire::Automation {
    let mut step = request_step("x");
    if let Some(wire::step::Kind::Request(request)) = &mut step.kind {
        request.webhook = webhook.to_owned();
    }
    wire::Automation { steps: vec![step], ..automation() }
}

fn update(automation: wire::Automation, paths: &[&str]) -> wire::UpdateAutomationRequest {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    wire::UpdateAutomationRequest {
        automation: Some(automation),
        update_mask: Some(prost_types::FieldMask { paths }),
    }
}

fn get(name: &str) -> wire::GetAutomationRequest {
    wire::GetAutomationRequest { name: name.to_owned() }
}

fn delete(name: &str, etag: &str) -> wire::DeleteAutomationRequest {
    wire::DeleteAutomationRequest { name: name.to_owned(), etag: etag.to_owned() }
}

#[tokio::test]
async fn an_automation_is_created_inactive_and_read_by_members() {
    let house = House::open().await;
    let created = house.create(automation()).await.unwrap();
    assert_eq!((created.state(), created.version), (wire::AutomationState::Inactive, 1));
    assert_eq!((created.owner.as_str(), created.missing()), ("u1", wire::MissingPolicy::Error));
    let mut member = house.user("acme", Role::Member);
    let read = member.get_automation(get(&created.name)).await.unwrap().into_inner().automation.unwrap();
    assert_eq!(read, created);
    assert_eq!(read.steps[0], {
        let mut step = request_step("Won: {{ deal.title }}");
        if let Some(wire::step::Kind::Request(request)) = &mut step.kind {
            request.method = wire::Method::Post.into();
        }
        step
    });
}

#[tokio::test]
async fn only_global_admins_write() {
    let house = House::open().await;
    let active = house.active().await;
    let mut member = house.user("acme", Role::Member);
    let name = active.name.clone();
    refused(member.create_automation(create(automation())).await, Reason::GlobalAdminRequired);
    let outcome = member.update_automation(update(active.clone(), &["display_name"])).await;
    refused(outcome, Reason::GlobalAdminRequired);
    refused(member.delete_automation(delete(&name, "")).await, Reason::GlobalAdminRequired);
    let outcome = member.activate_automation(wire::ActivateAutomationRequest { name: name.clone() }).await;
    refused(outcome, Reason::GlobalAdminRequired);
    let outcome = member.deactivate_automation(wire::DeactivateAutomationRequest { name }).await;
    refused(outcome, Reason::GlobalAdminRequired);
}

#[tokio::test]
async fn another_accounts_automation_looks_like_none() {
    let house = House::open().await;
    house.registry.account("other", advanced());
    let active = house.active().await;
    let random = active.name.replace("au_", "au_0");
    let random = format!("{}0", &random[..random.len() - 2]);
    let mut foreign = house.user("other", Role::GlobalAdmin);
    let seen = foreign.get_automation(get(&active.name)).await.unwrap_err();
    let none = foreign.get_automation(get(&random)).await.unwrap_err();
    assert_eq!((seen.code(), seen.message()), (Code::NotFound, none.message()));
    refused(foreign.delete_automation(delete(&active.name, "")).await, Reason::NotFound);
    let own = active.name.replace("acme", "other");
    refused(foreign.get_automation(get(&own)).await, Reason::NotFound);
    refused(foreign.create_automation(create(automation())).await, Reason::PermissionDenied);
}

#[tokio::test]
async fn a_plan_without_automations_writes_none_but_stops_what_there_is() {
    let house = House::open().await;
    let active = house.active().await;
    house.registry.account("acme", essential());
    // The plan may still be on its way; once it is there, nothing is created any more.
    let applied = async || house.create(automation()).await.is_err();
    while !applied().await {
        tokio::task::yield_now().await;
    }
    let refusal = refused(house.create(automation()).await, Reason::PlanRequired);
    assert_eq!(refusal.code, Code::FailedPrecondition);
    let told = ["plan_held", "plan_required"].map(|key| refusal.metadata[key].as_str());
    assert_eq!(told, ["essential", "advanced"]);
    let outcome = house.admin().update_automation(update(active.clone(), &["display_name"])).await;
    refused(outcome, Reason::PlanRequired);
    house.deactivate(&active.name).await.unwrap();
    refused(house.activate(&active.name).await, Reason::PlanRequired);
    house.admin().delete_automation(delete(&active.name, "")).await.unwrap();
}

#[tokio::test]
async fn everything_wrong_with_an_automation_is_said_at_once() {
    let house = House::open().await;
    let mut bad = automation();
    bad.display_name = String::new();
    bad.trigger = None;
    bad.missing = 9;
    bad.steps = vec![request_step("{{ deal.title"), delay_step(0), wire::Step { kind: None }];
    let refusal = refused(house.create(bad).await, Reason::InvalidArgument);
    let fields: Vec<&str> = refusal.violations.iter().map(|violation| violation.field.as_str()).collect();
    for field in ["display_name", "trigger", "missing", "steps[1].delay.duration", "steps[2]"] {
        assert!(fields.contains(&format!("automation.{field}").as_str()), "{field} in {fields:?}");
    }
    let refusal = refused(
        house.create(wire::Automation { steps: vec![request_step("{{ deal.title")], ..automation() }).await,
        Reason::InvalidArgument,
    );
    let field = &refusal.violations.iter().next().unwrap().field;
    assert_eq!(field, "automation.steps[0].request.raw.template");
}

#[tokio::test]
async fn what_is_wrong_beside_the_automation_hides_nothing_that_is_wrong_with_it() {
    let house = House::open().await;
    let fields = |refusal: sluice_rpc::Refusal| -> Vec<String> {
        refusal.violations.iter().map(|violation| violation.field.clone()).collect()
    };
    let mut bad = naming("accounts/acme/webhooks/wh_01h455vb4pex5vsknk084sn0zz");
    bad.display_name = String::new();
    let request = wire::CreateAutomationRequest { request_id: "x".repeat(129), ..create(bad.clone()) };
    let refusal = refused(house.admin().create_automation(request).await, Reason::InvalidArgument);
    assert_eq!(
        fields(refusal),
        ["request_id", "automation.display_name", "automation.steps[0].request.webhook"]
    );

    let made = house.create(automation()).await.unwrap();
    let edit =
        update(wire::Automation { name: made.name.clone(), ..bad.clone() }, &["display_name", "owner"]);
    let refusal = refused(house.admin().update_automation(edit).await, Reason::InvalidArgument);
    assert_eq!(fields(refusal), ["update_mask", "automation.display_name"]);

    let edit = update(wire::Automation { name: made.name, ..bad }, &["steps"]);
    let refusal = refused(house.admin().update_automation(edit).await, Reason::WebhookUnknown);
    assert_eq!(fields(refusal), ["automation.steps[0].request.webhook"]);
}

#[tokio::test]
async fn steps_name_webhooks_that_exist_and_are_for_automations() {
    let house = House::open().await;
    let unknown = "accounts/acme/webhooks/wh_01h455vb4pex5vsknk084sn0zz";
    let refusal = refused(house.create(naming(unknown)).await, Reason::WebhookUnknown);
    assert_eq!(refusal.code, Code::FailedPrecondition);
    let refusal = refused(house.create(naming(EVENT_HOOK)).await, Reason::WebhookKindMismatch);
    assert_eq!(refusal.metadata["kind_needed"], "AUTOMATION");
    let foreign = HOOK.replace("acme", "other");
    refused(house.create(naming(&foreign)).await, Reason::InvalidArgument);

    let mut appending = automation();
    if let Some(wire::step::Kind::Request(request)) = &mut appending.steps[0].kind {
        request.path = "deals/{{ deal.id }}".to_owned();
    }
    let refusal = refused(house.create(appending).await, Reason::InvalidArgument);
    let field = &refusal.violations.iter().next().unwrap().field;
    assert_eq!(field, "automation.steps[0].request.webhook");
}

#[tokio::test]
async fn a_webhook_made_a_moment_ago_is_waited_for() {
    let house = House::open().await;
    let fresh = "accounts/acme/webhooks/wh_01h455vb4pex5vsknk084sn0ff";
    let later = async {
        tokio::task::yield_now().await;
        house.registry.webhook(webhook(fresh, WebhookKind::Automation));
    };
    let (created, ()) = tokio::join!(house.create(naming(fresh)), later);
    created.unwrap();
}

#[tokio::test]
async fn the_plan_limits_steps_delays_and_active_ones() {
    let house = House::open().await;
    let steps = vec![request_step("x"), request_step("x"), request_step("x"), request_step("x")];
    let refusal =
        refused(house.create(wire::Automation { steps, ..automation() }).await, Reason::PlanLimitExceeded);
    assert_eq!(refusal.metadata["limit"], "steps");
    let steps = vec![delay_step(1), delay_step(1), request_step("x")];
    let refusal =
        refused(house.create(wire::Automation { steps, ..automation() }).await, Reason::PlanLimitExceeded);
    assert_eq!((refusal.metadata["limit"].as_str(), refusal.metadata["of"].as_str()), ("delays", "1"));
    let long =
        wire::Automation { steps: vec![delay_step(90 * 86_400 + 1), request_step("x")], ..automation() };
    refused(house.create(long).await, Reason::InvalidArgument);

    house.active().await;
    let second = house.active().await;
    let third = house.create(automation()).await.unwrap();
    let refusal = refused(house.activate(&third.name).await, Reason::PlanLimitExceeded);
    let told = ["limit", "used", "of"].map(|key| refusal.metadata[key].clone());
    assert_eq!(told, ["active_automations", "2", "2"]);
    assert_eq!(house.activate(&second.name).await.unwrap().version, second.version);
    house.deactivate(&second.name).await.unwrap();
    house.activate(&third.name).await.unwrap();
}

#[tokio::test]
async fn an_update_takes_the_masked_fields_and_minds_the_etag() {
    let house = House::open().await;
    let first = house.create(automation()).await.unwrap();
    let sent = wire::Automation { display_name: "Other".to_owned(), steps: vec![], ..first.clone() };
    let request = update(sent.clone(), &["display_name"]);
    let changed = house.admin().update_automation(request).await.unwrap().into_inner().automation.unwrap();
    assert_eq!((changed.display_name.as_str(), changed.version), ("Other", 2));
    assert_eq!(changed.steps, first.steps);
    refused(house.admin().update_automation(update(sent, &["display_name"])).await, Reason::EtagMismatch);
    for paths in [&[][..], &["state"], &["display_name", "owner"]] {
        let outcome = house.admin().update_automation(update(changed.clone(), paths)).await;
        refused(outcome, Reason::InvalidArgument);
    }
    refused(house.admin().delete_automation(delete(&first.name, &first.etag)).await, Reason::EtagMismatch);
    house.admin().delete_automation(delete(&first.name, &changed.etag)).await.unwrap();
    refused(house.admin().get_automation(get(&first.name)).await, Reason::NotFound);
}

#[tokio::test]
async fn a_repeated_creation_answers_as_the_first_did_for_a_day() {
    let house = House::open().await;
    let request = wire::CreateAutomationRequest { request_id: "r1".to_owned(), ..create(automation()) };
    let first =
        house.admin().create_automation(request.clone()).await.unwrap().into_inner().automation.unwrap();
    house.activate(&first.name).await.unwrap();
    let again =
        house.admin().create_automation(request.clone()).await.unwrap().into_inner().automation.unwrap();
    assert_eq!(again, first);
    let other = wire::Automation { display_name: "Other".to_owned(), ..automation() };
    let other = wire::CreateAutomationRequest { automation: Some(other), ..request.clone() };
    refused(house.admin().create_automation(other.clone()).await, Reason::RequestIdReused);
    house.db.time.advance(Span::from_secs(24 * 60 * 60)).await;
    house.admin().create_automation(other).await.unwrap();
}

#[tokio::test]
async fn lists_page_and_filter() {
    let house = House::open().await;
    let mut names = Vec::new();
    for _ in 0..3 {
        names.push(house.create(automation()).await.unwrap().name);
        house.db.time.advance(Span::from_secs(1)).await;
    }
    house.activate(&names[1]).await.unwrap();
    let list = async |request: wire::ListAutomationsRequest| {
        let answer = house.user("acme", Role::Member).list_automations(request).await.unwrap().into_inner();
        let found: Vec<String> = answer.automations.into_iter().map(|automation| automation.name).collect();
        (found, answer.next_page_token)
    };
    let all = wire::ListAutomationsRequest {
        parent: "accounts/acme".to_owned(),
        page_size: 2,
        ..wire::ListAutomationsRequest::default()
    };
    let (page, token) = list(all.clone()).await;
    assert_eq!(page, names[..2]);
    let (page, end) = list(wire::ListAutomationsRequest { page_token: token.clone(), ..all.clone() }).await;
    assert_eq!((page.as_slice(), end.as_str()), (&names[2..], ""));
    let active = wire::ListAutomationsRequest { state: 2, ..all.clone() };
    assert_eq!(list(active.clone()).await.0, names[1..2]);
    let naming = wire::ListAutomationsRequest { webhook: EVENT_HOOK.to_owned(), ..all };
    assert_eq!(list(naming).await.0, [""; 0]);
    let outcome =
        house.admin().list_automations(wire::ListAutomationsRequest { page_token: token, ..active }).await;
    refused(outcome, Reason::InvalidArgument);
}

#[tokio::test]
async fn an_account_has_a_number_of_automations_whether_they_are_active_or_not() {
    let house = House::open().await;
    for _ in 0..4 {
        house.create(automation()).await.unwrap();
    }
    let refusal = refused(house.create(automation()).await, Reason::PlanLimitExceeded);
    let told = ["limit", "used", "of"].map(|key| refusal.metadata[key].clone());
    assert_eq!(told, ["automations", "4", "4"]);
}
