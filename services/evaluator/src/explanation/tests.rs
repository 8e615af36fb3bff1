use sluice_domain::{AutomationId, Entitlements};
use sluice_rules::{Condition, Method, Missing, Reason, Step};

use super::*;
use crate::automation::tests::definition;
use crate::automation::{Automation, AutomationState, Definition};
use crate::evaluate::tests::{automation, entitlements, on, posting, set, view, webhook};
use crate::evaluate::{Judgement, PlannedDelivery, PlannedExecution, evaluate};
use crate::event_check::EventDraft;
use crate::event_check::tests::{checked, draft};
use crate::snapshot::AutomationSet;
use crate::webhook::{Owner, WebhookKind};

/// Explains an automation of the set, active or not.
fn explained(asked: &Automation, set: &AutomationSet, event: &EventDraft, view: &AccountView) -> Explanation {
    let compiled = CompiledAutomation::compile(asked).unwrap();
    let subject = Subject {
        automation: &compiled,
        active: asked.state == AutomationState::Active,
        place: set.active().place(|other| other.id == asked.id),
    };
    explain(&subject, &checked(event.clone()), view)
}

/// What the automation sends for the event, if it fires; `Err` if its templates are rejected.
fn sent(
    id: AutomationId,
    set: &AutomationSet,
    event: &EventDraft,
    view: &AccountView,
) -> Option<Result<Vec<PlannedDelivery>, String>> {
    let Judgement::Fires(executions) = evaluate(&checked(event.clone()), view, set) else { return None };
    executions.into_iter().find_map(|execution| match execution {
        PlannedExecution::Automation { id: fired, deliveries, .. } if fired == id => Some(deliveries),
        _ => None,
    })
}

fn as_delivery(explained: &ExplainedRequest) -> Result<PlannedDelivery, String> {
    let request = explained.outcome.as_ref().map_err(ToString::to_string)?.request.clone();
    Ok(PlannedDelivery {
        webhook: explained.webhook.parse().unwrap(),
        delay: explained.delay,
        method: request.method.as_str(),
        url_suffix: request.path_and_query_suffix,
        headers: request.headers,
        content_type: request.content_type,
        body: request.body.into(),
        ordered: false,
    })
}

/// Three requests and a delay; the last one's template is given.
fn three(trigger: &str, holds: bool, last: &str) -> Definition {
    let mut definition = posting(on(trigger), "{{ deal.title }} {{ account.id }} {{ automation.name }}");
    if !holds {
        definition.condition = Condition::Not(Box::new(crate::automation::tests::definition().condition));
    }
    let first = definition.steps[0].clone();
    definition.steps = vec![first.clone(), Step::Delay { micros: 5_000_000 }, first];
    definition.steps.push(posting(definition.clone(), last).steps.remove(0));
    definition
}

#[test]
fn there_is_no_obstacle_exactly_when_the_automation_fires_and_the_requests_are_those_it_sends() {
    let plans = [
        Entitlements { automations: false, ..entitlements() },
        Entitlements { active_automations: 0, ..entitlements() },
        Entitlements { active_automations: 2, ..entitlements() },
        entitlements(),
    ];
    let (mut fired, mut rested, mut rejected) = (0, 0, 0);
    for plan in plans {
        let view = view(plan, vec![]);
        for trigger in [r#"{"object":"deal","actions":[]}"#, r#"{"object":"deal","actions":["added"]}"#] {
            for holds in [true, false] {
                for last in ["{{ deal.value }}", "{{ deal.nope }}"] {
                    let three = |number| automation(number, three(trigger, holds, last));
                    let sleeping = three(4).deactivated(sluice_domain::Timestamp::EPOCH);
                    let set = set(&[three(1), three(2), three(3)]);
                    for suppress in [false, true] {
                        let event = EventDraft { suppress, ..draft("e1") };
                        for asked in [three(1), three(3), sleeping.clone()] {
                            let explained = explained(&asked, &set, &event, &view);
                            let sent = sent(asked.id, &set, &event, &view);
                            assert_eq!(explained.obstacles.is_empty(), sent.is_some(), "{explained:?}");
                            let requests: Result<Vec<_>, _> =
                                explained.requests.iter().map(as_delivery).collect();
                            match sent {
                                None => rested += 1,
                                Some(sent) => {
                                    fired += 1;
                                    rejected += usize::from(sent.is_err());
                                    assert_eq!(requests, sent);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(fired > 4 && rejected > 2 && rested > fired, "{fired} {rejected} {rested}");
}

#[test]
fn everything_in_the_way_is_said_at_once() {
    let mut asked = automation(3, definition());
    let set = set(&[automation(1, definition()), automation(2, definition()), asked.clone()]);
    asked = asked.deactivated(sluice_domain::Timestamp::EPOCH);
    let note = EventDraft { object: "note".to_owned(), suppress: true, ..draft("e1") };
    let words = |plan: Entitlements| -> Vec<String> {
        let explained = explained(&asked, &set, &note, &view(plan, vec![]));
        explained.obstacles.iter().map(ToString::to_string).collect()
    };
    let limited = Entitlements { active_automations: 2, ..entitlements() };
    assert_eq!(
        words(limited),
        [
            "the event is marked `suppress`, so it sets nothing off",
            "the automation is inactive",
            "the plan lets the 2 oldest active automations fire; this is number 3",
            "the trigger takes deal updated; the event is note updated",
            "the condition does not hold",
        ]
    );
    let without = Entitlements { automations: false, plan: "essential".to_owned(), ..entitlements() };
    assert_eq!(words(without)[2], "plan essential has no automations");
}

#[test]
fn an_automation_without_a_condition_has_none_to_explain() {
    let always = automation(1, on(r#"{"object":null,"actions":["added","updated"]}"#));
    let set = set(std::slice::from_ref(&always));
    let view = view(entitlements(), vec![]);
    let updated = explained(&always, &set, &draft("e1"), &view);
    assert_eq!((updated.condition, updated.obstacles.len()), (None, 0));
    let deleted = EventDraft {
        action: Some(Action::Deleted),
        current: vec![],
        object: "note".to_owned(),
        ..draft("e1")
    };
    let words = explained(&always, &set, &deleted, &view).obstacles[0].to_string();
    assert_eq!(words, "the trigger takes any object added or updated; the event is note deleted");
}

#[test]
fn a_rejection_names_its_template_and_hides_no_other_request() {
    let asked = automation(1, three(r#"{"object":"deal","actions":[]}"#, true, "{{ deal.nope }}"));
    let explained =
        explained(&asked, &set(std::slice::from_ref(&asked)), &draft("e1"), &view(entitlements(), vec![]));
    let fields: Vec<&str> = explained.requests.iter().map(|request| request.field.as_str()).collect();
    assert_eq!(fields, ["steps[0].request", "steps[2].request", "steps[3].request"]);
    assert!(explained.requests[..2].iter().all(|request| request.outcome.is_ok()));
    let rejection = explained.requests[2].outcome.as_ref().unwrap_err();
    assert_eq!(rejection.field, "steps[3].request.body.raw.template");
    assert!(matches!(rejection.reason, Reason::Missing { .. }));
}

#[test]
fn what_is_known_against_a_webhook_is_said() {
    let mut appending = definition();
    let Step::Request { webhook: named, request } = &mut appending.steps[0] else { panic!("a request") };
    *named = WebhookId::from_bytes([1; 16]).to_string();
    request.path = Some("deals".to_owned());
    let mut plain = appending.clone();
    let Step::Request { request, .. } = &mut plain.steps[0] else { panic!("a request") };
    request.path = None;
    let target = |enabled, appendable| Webhook {
        kind: WebhookKind::Automation,
        enabled,
        appendable,
        ..webhook(1, Owner::Admin, "*")
    };
    for (definition, known, expected) in [
        (&plain, Some(target(true, false)), Readiness::Ready),
        (&plain, Some(target(false, false)), Readiness::Disabled),
        (&plain, None, Readiness::Deleted),
        (&appending, Some(target(true, true)), Readiness::Ready),
        (&appending, Some(target(false, false)), Readiness::UrlNotOpen),
    ] {
        let asked = automation(1, definition.clone());
        let view = view(entitlements(), known.clone().into_iter().collect());
        let explained = explained(&asked, &AutomationSet::default(), &draft("e1"), &view);
        assert_eq!(explained.requests[0].readiness, expected, "{known:?}");
    }
}

fn request(suffix: usize, body: &str) -> RenderedRequest {
    RenderedRequest {
        method: Method::Put,
        path_and_query_suffix: "x".repeat(suffix),
        headers: vec![("x-own".to_owned(), "12345".to_owned())],
        content_type: Some("text/plain".to_owned()),
        body: body.as_bytes().to_vec(),
    }
}

#[test]
fn requests_are_shown_as_far_as_there_is_room() {
    let whole = request(10, "ééé");
    let size = 10 + 10 + 10 + 6;
    let mut room = 2 * size - 3;
    let first = shown(whole.clone(), &mut room);
    assert_eq!((&first.request, first.truncated, room), (&whole, false, size - 3));
    let second = shown(whole.clone(), &mut room);
    assert_eq!((second.request, second.truncated, second.body_bytes), (request(10, "é"), true, 6));
    let third = shown(whole, &mut room);
    assert_eq!((third.request.headers.len(), third.request.body.len(), third.body_bytes), (0, 0, 6));
    assert!(third.truncated && third.request.path_and_query_suffix.is_empty());
    let small = shown(RenderedRequest { headers: vec![], content_type: None, ..request(0, "") }, &mut room);
    assert!(!small.truncated, "of what has nothing to show nothing is left out");
}

#[test]
fn bytes_that_are_no_text_are_cut_anywhere() {
    assert_eq!((whole_characters(&[0xff; 9], 4), whole_characters(&[0xff; 3], 4)), (4, 3));
    assert_eq!((whole_characters("aéb".as_bytes(), 2), whole_characters("aéb".as_bytes(), 3)), (1, 3));
}

#[test]
fn a_placeholder_that_may_be_empty_is_rendered_as_it_is_sent() {
    let lenient = Definition { missing: Missing::Empty, ..posting(definition(), "<{{ deal.nope }}>") };
    let asked = automation(1, lenient);
    let explained = explained(&asked, &AutomationSet::default(), &draft("e1"), &view(entitlements(), vec![]));
    assert_eq!(explained.requests[0].outcome.as_ref().unwrap().request.body, b"<>");
}
