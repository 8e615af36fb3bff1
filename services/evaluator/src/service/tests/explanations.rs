use proto::evaluator::v1 as wire;
use proto::evaluator::v1::automation_service_client::AutomationServiceClient;
use proto::evaluator::v1::request_explanation::Outcome;
use proto::event::v1::Event;
use proto::registry::v1::watch_changes_response::Change;
use proto::registry::v1::{Entitlements, WebhookDeleted, WebhookKind, WebhookState};
use sluice_auth::{Principal, Role, Scope};
use sluice_domain::Reason;
use sluice_rpc::fault_of;
use tonic::{Code, Status};

use super::house::{HOOK, House, automation, event, refused, request_step};
use super::registry::{advanced, essential, webhook};

fn of(name: &str, event: Event) -> wire::ExplainEventRequest {
    wire::ExplainEventRequest { name: name.to_owned(), event: Some(event), ..Default::default() }
}

fn of_draft(automation: wire::Automation, event: Event) -> wire::ExplainEventRequest {
    wire::ExplainEventRequest {
        parent: "accounts/acme".to_owned(),
        automation: Some(automation),
        event: Some(event),
        ..Default::default()
    }
}

async fn explain(house: &House, request: wire::ExplainEventRequest) -> wire::ExplainEventResponse {
    house.user("acme", Role::Member).explain_event(request).await.unwrap().into_inner()
}

fn reasons(explained: &wire::ExplainEventResponse) -> Vec<wire::ObstacleReason> {
    explained.obstacles.iter().map(wire::Obstacle::reason).collect()
}

fn request(explained: &wire::RequestExplanation) -> &wire::RenderedRequest {
    match explained.outcome.as_ref().unwrap() {
        Outcome::Request(request) => request,
        Outcome::Rejection(rejection) => panic!("{rejection:?}"),
    }
}

fn fields<T: std::fmt::Debug>(outcome: Result<T, Status>) -> Vec<String> {
    let refusal = refused(outcome, Reason::InvalidArgument);
    refusal.violations.iter().map(|violation| violation.field.clone()).collect()
}

#[tokio::test]
async fn a_member_is_told_how_each_condition_came_out_and_what_would_be_sent_and_nothing_is() {
    let house = House::open().await;
    let active = house.active().await;
    let explained = explain(&house, of(&active.name, event("e1"))).await;
    assert!(explained.fires && explained.obstacles.is_empty());
    assert_eq!(explained.automation_version, active.version);
    let condition = explained.condition.unwrap();
    assert_eq!((condition.path.as_str(), condition.holds), ("condition", true));
    let Some(wire::condition_explanation::Kind::Comparison(compared)) = condition.kind else {
        panic!("a comparison")
    };
    let Some(wire::condition::Kind::Comparison(written)) = active.condition.clone().unwrap().kind else {
        panic!("a comparison")
    };
    assert_eq!(compared.comparison.as_ref(), Some(&written));
    assert_eq!(compared.grounds(), wire::ComparisonGrounds::Values);
    let [now, before] = [compared.value, compared.previous].map(Option::unwrap);
    assert_eq!(
        (now.r#type(), now.json.as_str(), before.json.as_str()),
        (wire::ValueType::Text, r#""won""#, r#""new""#)
    );
    assert_eq!(house.dispatcher.calls(), []);

    house.ingest(event("e1")).await.unwrap();
    let sent = house.dispatcher.last_item().executions.remove(0).deliveries.remove(0);
    let [told] = &explained.requests[..] else { panic!("one request") };
    assert_eq!((told.path.as_str(), told.webhook.as_str()), ("steps[0].request", HOOK));
    assert_eq!((told.readiness(), told.delay.unwrap().seconds), (wire::WebhookReadiness::Ready, 0));
    let told = request(told);
    assert_eq!((told.method().as_str_name(), sent.method.as_str()), ("METHOD_POST", "POST"));
    assert_eq!(
        (&told.url_suffix, &told.content_type, &told.body),
        (&sent.url_suffix, &sent.content_type, &sent.body)
    );
    assert_eq!((told.truncated, told.body_bytes), (false, sent.body.len() as i64));
}

#[tokio::test]
async fn every_obstacle_is_told_and_the_requests_all_the_same() {
    let house = House::open().await;
    let created = house.create(automation()).await.unwrap();
    let unchanged = Event {
        previous: event("e1").current,
        suppress: true,
        current: br#"{"stage":"won"}"#.as_slice().into(),
        ..event("e1")
    };
    let explained = explain(&house, of(&created.name, unchanged)).await;
    use wire::ObstacleReason::{Condition, Inactive, Suppressed};
    assert_eq!((explained.fires, reasons(&explained)), (false, vec![Suppressed, Inactive, Condition]));
    let Some(wire::condition_explanation::Kind::Comparison(compared)) = explained.condition.unwrap().kind
    else {
        panic!("a comparison")
    };
    assert_eq!(compared.grounds(), wire::ComparisonGrounds::Unchanged);
    let Some(Outcome::Rejection(rejection)) = &explained.requests[0].outcome else { panic!("a rejection") };
    assert_eq!(rejection.path, "steps[0].request.raw.template");
    assert!(rejection.message.contains("deal.title"), "{rejection:?}");
}

#[tokio::test]
async fn a_lower_plan_is_told_as_an_obstacle() {
    let house = House::open().await;
    let names = [house.active().await.name, house.active().await.name];
    let told = async |name: &str| reasons(&explain(&house, of(name, event("e1"))).await);
    assert_eq!([told(&names[0]).await, told(&names[1]).await], [vec![], vec![]]);
    house.registry.account("acme", Entitlements { active_automations: 1, version: 2, ..advanced() });
    // The plan may still be on its way.
    while told(&names[1]).await.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(told(&names[1]).await, [wire::ObstacleReason::PlanLimit]);
    assert_eq!(told(&names[0]).await, []);
    house.registry.account("acme", Entitlements { version: 3, ..essential() });
    while told(&names[0]).await.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(told(&names[0]).await, [wire::ObstacleReason::PlanRequired]);
}

#[tokio::test]
async fn a_webhook_that_is_disabled_or_gone_is_told() {
    let house = House::open().await;
    let active = house.active().await;
    let told = async || explain(&house, of(&active.name, event("e1"))).await.requests[0].readiness();
    assert_eq!(told().await, wire::WebhookReadiness::Ready);
    let disabled = proto::registry::v1::Webhook {
        state: WebhookState::Disabled.into(),
        ..webhook(HOOK, WebhookKind::Automation)
    };
    house.registry.webhook(disabled);
    while told().await == wire::WebhookReadiness::Ready {
        tokio::task::yield_now().await;
    }
    assert_eq!(told().await, wire::WebhookReadiness::Disabled);
    house.registry.tell(Change::WebhookDeleted(WebhookDeleted { name: HOOK.to_owned() }));
    while told().await == wire::WebhookReadiness::Disabled {
        tokio::task::yield_now().await;
    }
    assert_eq!(told().await, wire::WebhookReadiness::Deleted);
}

#[tokio::test]
async fn another_accounts_automation_looks_like_none_just_as_when_it_is_read() {
    let house = House::open().await;
    house.registry.account("other", advanced());
    let active = house.active().await;
    let random = "au_01h455vb4pex5vsknk084sn0zz";
    let id = active.name.rsplit('/').next().unwrap();
    for sent in [event("e1"), Event::default()] {
        let mut foreign = house.user("other", Role::GlobalAdmin);
        for account in ["acme", "other"] {
            let mut told = Vec::new();
            for id in [id, random] {
                let name = format!("accounts/{account}/automations/{id}");
                let status = foreign.explain_event(of(&name, sent.clone())).await.unwrap_err();
                let read = foreign.get_automation(wire::GetAutomationRequest { name }).await.unwrap_err();
                assert_eq!((status.code(), status.message()), (Code::NotFound, read.message()));
                let mut refusal = fault_of(&status).unwrap();
                assert_eq!(Some(&refusal), fault_of(&read).as_ref());
                refusal.metadata.values_mut().for_each(|value| *value = value.replace(id, random));
                told.push(refusal);
            }
            assert_eq!(told[0], told[1]);
        }
    }
}

#[tokio::test]
async fn an_event_that_breaks_rules_is_refused_with_all_of_them() {
    let house = House::open().await;
    let active = house.active().await;
    let mut member = house.user("acme", Role::Member);
    let broken = Event { record_id: String::new(), current: b"[]".as_slice().into(), ..event("") };
    let outcome = member.explain_event(of(&active.name, broken)).await;
    assert_eq!(fields(outcome), ["event.id", "event.record_id", "event.current"]);
    let unknown = of("accounts/nobody/automations/x", Event::default());
    let outcome = member.explain_event(unknown).await;
    assert_eq!(fields(outcome)[..2], ["name", "event.id"]);
}

#[tokio::test]
async fn a_draft_is_explained_to_admins_and_not_kept() {
    let house = House::open().await;
    let refusal = house.user("acme", Role::Member).explain_event(of_draft(automation(), event("e1"))).await;
    refused(refusal, Reason::GlobalAdminRequired);
    let refusal =
        house.user("other", Role::GlobalAdmin).explain_event(of_draft(automation(), event("e1"))).await;
    refused(refusal, Reason::PermissionDenied);

    let steps = vec![request_step("{{ automation.id }} {{ automation.version }} {{ deal.title }}")];
    let draft = wire::Automation { steps, ..automation() };
    let told = house.admin().explain_event(of_draft(draft.clone(), event("e1"))).await.unwrap().into_inner();
    assert!(told.fires && told.automation_version == 0, "{told:?}");
    assert_eq!(&*request(&told.requests[0]).body, b"au_00000000000000000000000000 1 Big one");
    let list = wire::ListAutomationsRequest { parent: "accounts/acme".to_owned(), ..Default::default() };
    assert_eq!(house.admin().list_automations(list).await.unwrap().into_inner().automations, []);

    let broken = wire::Automation { display_name: String::new(), steps: vec![], ..draft.clone() };
    let odd = Event { object: "De al".to_owned(), ..event("e1") };
    let outcome = house.admin().explain_event(of_draft(broken, odd)).await;
    assert_eq!(fields(outcome), ["event.object", "automation.display_name", "automation.steps"]);
    let mut stranger = draft;
    if let Some(wire::step::Kind::Request(step)) = &mut stranger.steps[0].kind {
        step.webhook = "accounts/acme/webhooks/wh_01h455vb4pex5vsknk084sn0zz".to_owned();
    }
    refused(house.admin().explain_event(of_draft(stranger, event("e1"))).await, Reason::WebhookUnknown);
}

#[tokio::test]
async fn a_producer_may_not_ask() {
    let house = House::open().await;
    let active = house.active().await;
    let scopes = [Scope::EventsWrite, Scope::AccountsAny];
    let producer = Principal::new(None, "crm".parse().unwrap(), [], scopes);
    let mut producer = AutomationServiceClient::new(house.transport(&producer));
    refused(producer.explain_event(of(&active.name, event("e1"))).await, Reason::PermissionDenied);
}

#[tokio::test]
async fn the_widest_answer_fits_into_a_message_and_says_what_it_leaves_out() {
    let house = House::open().await;
    house.registry.account("acme", Entitlements { steps: 60, version: 2, ..advanced() });
    let compare = |index: usize| {
        let comparison = wire::Comparison {
            path: format!("deal.x{}", index % 4),
            operator: wire::Operator::HasChanged.into(),
            ..Default::default()
        };
        wire::Condition { kind: Some(wire::condition::Kind::Comparison(comparison)) }
    };
    let conditions = wire::ConditionList { conditions: (0..100).map(compare).collect() };
    let wide = wire::Automation {
        condition: Some(wire::Condition { kind: Some(wire::condition::Kind::Any(conditions)) }),
        steps: vec![request_step("{{ deal.x0 }}{{ deal.x1 }}"); 60],
        ..automation()
    };
    // The plan may still be on its way: the first try that is taken has it.
    let created = loop {
        if let Ok(created) = house.create(wide.clone()).await {
            break created;
        }
    };
    let record = |letter: &str| {
        let members: Vec<String> =
            (0..4).map(|index| format!(r#""x{index}":"{}""#, letter.repeat(15 * 1024))).collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    };
    let sent = Event { current: record("é").into(), previous: record("ä").into(), ..event("e1") };
    let told = explain(&house, of(&created.name, sent)).await;
    let size = prost::Message::encoded_len(&told);
    assert!((2 * 1024 * 1024..3 * 1024 * 1024).contains(&size), "{size}");
    let whole = told.requests.iter().take_while(|told| !request(told).truncated).count();
    assert!(whole > 30, "{whole}");
    let cut = request(&told.requests[whole]);
    assert!(cut.body.len() < 60 * 1024 && std::str::from_utf8(&cut.body).is_ok());
    assert_eq!((cut.body_bytes, told.requests.len()), (60 * 1024, 60));
    assert!(
        told.requests[whole + 1..]
            .iter()
            .all(|told| request(told).body.is_empty() && request(told).truncated)
    );
    let Some(wire::condition_explanation::Kind::Any(list)) = told.condition.unwrap().kind else {
        panic!("any")
    };
    assert_eq!(list.conditions.len(), 100);
    for explained in list.conditions {
        let Some(wire::condition_explanation::Kind::Comparison(compared)) = explained.kind else {
            panic!("a comparison")
        };
        let value = compared.value.unwrap();
        assert!(value.truncated && value.json.len() == 1_023, "{}", value.json.len());
    }
}
