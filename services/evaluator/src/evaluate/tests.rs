use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_domain::{Action, Entitlements, Rate, Subscription, Timestamp, WebhookId};
use sluice_rules::{BodyTemplate, RequestTemplate, Step};

use super::*;
use crate::automation::tests::definition;
use crate::automation::{Automation, Definition};
use crate::event_check::tests::{checked, draft};
use crate::event_check::{EventDraft, VisibleTo};
use crate::snapshot::Terms;
use crate::webhook::WebhookKind;

/// What the shipped plan `advanced` allows.
pub(crate) fn entitlements() -> Entitlements {
    let rate = Rate { units: 100, per: Span::from_secs(60), burst: 100 };
    Entitlements {
        version: 1,
        plan: "advanced".to_owned(),
        automations: true,
        active_automations: 50,
        steps: 10,
        delays: 3,
        executions: rate,
        allowance: None,
        notifications: rate,
        max_waiting: 1_000_000,
        history: Span::from_secs(86_400),
    }
}

/// The terms of an account on it.
pub(crate) fn terms() -> Terms {
    Terms { entitlements: entitlements(), automations_plan: Some("advanced".to_owned()) }
}

pub(crate) fn webhook(number: u8, owner: Owner, object: &str) -> Webhook {
    let object = (object != "*").then(|| object.parse().unwrap());
    Webhook {
        id: WebhookId::from_bytes([number; 16]),
        kind: WebhookKind::Event,
        enabled: true,
        appendable: false,
        subscription: Some(Subscription { object, actions: vec![] }),
        owner,
        ordered: false,
    }
}

fn member(user: &str) -> Owner {
    Owner::Member(user.parse().unwrap())
}

pub(crate) fn view(entitlements: Entitlements, webhooks: Vec<Webhook>) -> AccountView {
    let webhooks: BTreeMap<WebhookId, Arc<Webhook>> =
        webhooks.into_iter().map(|webhook| (webhook.id, Arc::new(webhook))).collect();
    AccountView::new(Some(Arc::new(Terms { entitlements, ..terms() })), webhooks)
}

pub(crate) fn automation(number: u8, definition: Definition) -> Automation {
    let id = AutomationId::from_bytes([number; 16]);
    let created =
        Automation::create(id, "acme".parse().unwrap(), definition, "u1".parse().unwrap(), Timestamp::EPOCH);
    created.activated(Timestamp::EPOCH)
}

pub(crate) fn set(automations: &[Automation]) -> AutomationSet {
    AutomationSet::compile(1, automations).unwrap()
}

/// Fires on everything its trigger takes, and posts `x`.
pub(crate) fn on(trigger: &str) -> Definition {
    let trigger = serde_json::from_str(trigger).unwrap();
    posting(Definition { trigger, condition: sluice_rules::Condition::always(), ..definition() }, "x")
}

fn with_body(template: &str) -> Definition {
    posting(on(r#"{"object":"deal","actions":[]}"#), template)
}

pub(crate) fn posting(mut definition: Definition, template: &str) -> Definition {
    let Some(Step::Request { request, .. }) = definition.steps.first_mut() else { panic!("a request") };
    request.body = BodyTemplate::Raw { content_type: "text/plain".to_owned(), template: template.to_owned() };
    definition
}

/// Which fired: `a1` for automation 1, `w2` for event webhook 2.
fn fired(judgement: &Judgement) -> Vec<String> {
    let Judgement::Fires(executions) = judgement else { return Vec::new() };
    executions
        .iter()
        .map(|execution| match execution {
            PlannedExecution::Automation { id, .. } => format!("a{}", id.to_bytes()[0]),
            PlannedExecution::Notification(delivery) => format!("w{}", delivery.webhook.to_bytes()[0]),
        })
        .collect()
}

fn only_delivery(judgement: Judgement) -> PlannedDelivery {
    let Judgement::Fires(mut executions) = judgement else { panic!("{judgement:?}") };
    assert_eq!(executions.len(), 1);
    match executions.remove(0) {
        PlannedExecution::Automation { deliveries: Ok(mut deliveries), .. } => deliveries.remove(0),
        PlannedExecution::Notification(delivery) => delivery,
        PlannedExecution::Automation { deliveries: Err(message), .. } => panic!("{message}"),
    }
}

#[test]
fn only_triggers_and_conditions_that_hold_fire() {
    let set = set(&[
        automation(1, definition()),
        automation(2, on(r#"{"object":"deal","actions":["added"]}"#)),
        automation(3, on(r#"{"object":null,"actions":[]}"#)),
        automation(4, on(r#"{"object":"person","actions":[]}"#)),
    ]);
    let view = view(entitlements(), vec![]);
    assert_eq!(fired(&evaluate(&checked(draft("e1")), &view, &set)), ["a1", "a3"]);
    let unchanged = EventDraft { previous: draft("e1").current, ..draft("e1") };
    assert_eq!(fired(&evaluate(&checked(unchanged), &view, &set)), ["a3"]);
    let note = EventDraft { object: "note".to_owned(), ..draft("e1") };
    assert_eq!(fired(&evaluate(&checked(note), &view, &set)), ["a3"]);
}

#[test]
fn automations_come_before_event_webhooks_each_oldest_first() {
    let set = set(&[automation(1, definition()), automation(2, on(r#"{"object":null,"actions":[]}"#))]);
    let view = view(entitlements(), vec![webhook(9, Owner::Admin, "deal"), webhook(3, Owner::Admin, "*")]);
    assert_eq!(fired(&evaluate(&checked(draft("e1")), &view, &set)), ["a1", "a2", "w3", "w9"]);
}

#[test]
fn members_get_only_what_they_may_see() {
    let webhooks =
        vec![webhook(1, Owner::Admin, "*"), webhook(2, member("u1"), "*"), webhook(3, member("u2"), "*")];
    let view = view(entitlements(), webhooks);
    let with = |visible_to| {
        let event = checked(EventDraft { visible_to, ..draft("e1") });
        fired(&evaluate(&event, &view, &AutomationSet::default()))
    };
    assert_eq!(with(None), ["w1"]);
    let said = |everyone, users| Some(VisibleTo { everyone, users });
    assert_eq!(with(said(true, vec![])), ["w1", "w2", "w3"]);
    assert_eq!(with(said(false, vec!["u2".to_owned()])), ["w1", "w3"]);
    assert_eq!(with(said(false, vec![])), ["w1"]);
}

#[test]
fn visibility_does_not_concern_automations() {
    let set = set(&[automation(1, definition())]);
    let hidden = checked(EventDraft { visible_to: None, ..draft("e1") });
    assert_eq!(fired(&evaluate(&hidden, &view(entitlements(), vec![]), &set)), ["a1"]);
}

#[test]
fn a_suppressed_event_fires_nothing() {
    let set = set(&[automation(1, definition())]);
    let view = view(entitlements(), vec![webhook(1, Owner::Admin, "*")]);
    let import = checked(EventDraft { suppress: true, ..draft("e1") });
    assert_eq!(evaluate(&import, &view, &set), Judgement::Suppressed);
}

#[test]
fn automation_webhooks_are_never_notified() {
    let mut wrong = webhook(1, Owner::Admin, "*");
    wrong.kind = WebhookKind::Automation;
    let view = view(entitlements(), vec![wrong]);
    assert_eq!(evaluate(&checked(draft("e1")), &view, &AutomationSet::default()), Judgement::NoMatch);
}

#[test]
fn a_lower_plan_blocks_the_newest_automations_and_no_event_webhook() {
    let any = || on(r#"{"object":null,"actions":[]}"#);
    let set = set(&[automation(1, any()), automation(2, any()), automation(3, any())]);
    let with = |entitlements| {
        let view = view(entitlements, vec![webhook(9, Owner::Admin, "*")]);
        fired(&evaluate(&checked(draft("e1")), &view, &set))
    };
    assert_eq!(with(Entitlements { active_automations: 2, ..entitlements() }), ["a1", "a2", "w9"]);
    assert_eq!(with(Entitlements { automations: false, ..entitlements() }), ["w9"]);
    assert_eq!(with(entitlements()), ["a1", "a2", "a3", "w9"]);
}

#[test]
fn a_template_that_cannot_be_rendered_is_an_execution_with_its_rejection() {
    let set =
        set(&[automation(1, with_body("{{ deal.nope }}")), automation(2, with_body("{{ deal.title }}"))]);
    let Judgement::Fires(executions) = evaluate(&checked(draft("e1")), &view(entitlements(), vec![]), &set)
    else {
        panic!("both fire")
    };
    let [
        PlannedExecution::Automation { deliveries: Err(message), .. },
        PlannedExecution::Automation { deliveries: Ok(deliveries), generation: 1, version: 2, .. },
    ] = executions.as_slice()
    else {
        panic!("{executions:?}")
    };
    assert!(message.contains("steps[0].request") && message.contains("deal.nope"), "{message}");
    assert_eq!(&*deliveries[0].body, b"Big one");
}

#[test]
fn placeholders_reach_event_account_and_automation_and_delays_stand_before_their_request() {
    let mut definition = with_body(
        "{{ event.id }} {{ account.id }} {{ automation.name }} {{ previous.stage }} {{ deal.value }}",
    );
    definition.steps.insert(0, Step::Delay { micros: 5_000_000 });
    let set = set(&[automation(1, definition)]);
    let delivery = only_delivery(evaluate(&checked(draft("e1")), &view(entitlements(), vec![]), &set));
    assert_eq!(String::from_utf8_lossy(&delivery.body), "e1 acme Won deals new 1.10");
    assert_eq!((delivery.delay, delivery.method), (Span::from_secs(5), "POST"));
}

#[test]
fn a_notification_is_a_post_of_the_envelope() {
    let view = view(entitlements(), vec![webhook(1, Owner::Admin, "deal")]);
    let event = checked(draft("e1"));
    let delivery = only_delivery(evaluate(&event, &view, &AutomationSet::default()));
    assert_eq!(&*delivery.body, envelope(&event).as_slice());
    assert_eq!((delivery.method, delivery.content_type.as_deref()), ("POST", Some("application/json")));
    assert!(delivery.url_suffix.is_empty() && delivery.headers.is_empty());
}

#[test]
fn requests_beyond_8_mib_make_the_event_too_wide() {
    let wide = format!(r#"{{"stage":"won","x":"{}"}}"#, "a".repeat(200 * 1024));
    let event = checked(EventDraft { current: wide.into_bytes(), ..draft("e1") });
    let count = |number: u8| (1..=number).map(|number| webhook(number, Owner::Admin, "*")).collect();
    let judge = |number| evaluate(&event, &view(entitlements(), count(number)), &AutomationSet::default());
    assert_eq!(fired(&judge(40)).len(), 40);
    assert_eq!(judge(41), Judgement::TooWide);
}

#[test]
fn deleted_records_are_judged_by_what_they_were() {
    let mut gone = on(r#"{"object":"deal","actions":["deleted"]}"#);
    gone.condition = serde_json::from_str(
        r#"{"comparison":{"path":"deal.stage","operator":"is","values":[{"text":"new"}]}}"#,
    )
    .unwrap();
    gone.steps = vec![Step::Request {
        webhook: WebhookId::from_bytes([1; 16]).to_string(),
        request: RequestTemplate {
            method: sluice_rules::Method::Delete,
            path: Some("deals/{{ event.record_id }}".to_owned()),
            query: vec![],
            headers: vec![],
            body: BodyTemplate::None,
        },
    }];
    let set = set(&[automation(1, gone)]);
    let event = checked(EventDraft { action: Some(Action::Deleted), current: vec![], ..draft("e1") });
    let delivery = only_delivery(evaluate(&event, &view(entitlements(), vec![]), &set));
    assert_eq!((delivery.method, delivery.url_suffix.as_str()), ("DELETE", "deals/42"));
}
