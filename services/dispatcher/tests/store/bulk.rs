//! Retrying and cancelling all that a filter means.

use std::collections::HashMap;

use sluice_dispatcher::execution::{EndReason, EndState, PauseReason, State};
use sluice_dispatcher::filter::{Filter, Skip, StateName, TimeRange};
use sluice_dispatcher::store::{Mark, Taken};
use sluice_domain::Entitlements;

use super::makers::{
    House, ROOMY, automation, event, events, failure, plan, rejected, retry, run, secs, success, unlimited,
};

fn failed() -> Filter {
    Filter { states: vec![StateName::Ended(EndState::Failed)], ..Filter::default() }
}

fn unfinished() -> Filter {
    let states = vec![StateName::Queued, StateName::Running, StateName::Waiting, StateName::Paused];
    Filter { states, ..Filter::default() }
}

async fn retry_all(house: &House, filter: &Filter, mark: Option<Mark>) -> Taken {
    house.store.retry_all(&house.acme, filter, mark).await.unwrap()
}

async fn fail_all(house: &House) {
    let failures: Vec<_> = house.claim(ROOMY).await.iter().map(failure).collect();
    house.store.finish(&failures).await.unwrap();
}

pub(crate) async fn all_that_failed_when_it_began_is_opened_again_and_nothing_that_failed_since(
    house: &House,
) {
    house.entitle(unlimited(1)).await;
    house.queue(&events("e", 1_203)).await;
    fail_all(house).await;
    let (mut done, mut mark, mut answers) = (0, None, 0);
    loop {
        let taken = retry_all(house, &failed(), mark).await;
        assert_eq!((taken.matched, taken.done, taken.full), (taken.done, taken.done, None));
        done += taken.done;
        answers += 1;
        // Whatever is opened fails again at once, and more arrives that fails.
        house.advance(secs(1)).await;
        house.queue(&events(&format!("late{answers}-"), 10)).await;
        fail_all(house).await;
        mark = taken.next;
        if mark.is_none() {
            break;
        }
    }
    assert_eq!((done, answers), (1_203, 3));
    let again = house.number("SELECT count(*) FROM ending WHERE number = 2").await;
    assert_eq!(again, 1_203, "each once");
}

pub(crate) async fn a_retry_of_all_that_is_repeated_finds_less_to_do(house: &House) {
    house.entitle(unlimited(1)).await;
    house.queue(&events("e", 600)).await;
    fail_all(house).await;
    let first = retry_all(house, &failed(), None).await;
    let mark = Mark { after: None, ..first.next.unwrap() };
    let again = retry_all(house, &failed(), Some(mark)).await;
    assert_eq!(
        (first.done, again.done, again.next),
        (500, 100, None),
        "the answer was lost, and the call came again"
    );
    assert_eq!(retry_all(house, &failed(), None).await, Taken::default());
    assert_eq!(house.number("SELECT count(*) FROM pending").await, 600);
}

pub(crate) async fn what_is_retried_by_filter_is_what_the_filter_means(house: &House) {
    house.entitle(unlimited(1)).await;
    let began = house.now();
    house.queue(&[event("a", vec![run(1, 1), run(2, 1), run(2, 2), run(3, 1)])]).await;
    fail_all(house).await;
    house.accept(&[event("b", vec![rejected()])], ROOMY).await;
    house.store.stop(&house.acme, automation(3), 1).await.unwrap();
    house.advance(secs(60)).await;
    house.queue(&[event("c", vec![run(2, 1)])]).await;
    fail_all(house).await;

    let ended = TimeRange { from: None, until: Some(began.plus(secs(60))) };
    let early = Filter { automation: Some(automation(2)), ended, ..failed() };
    assert_eq!(retry_all(house, &early, None).await.done, 2);
    let forbidden = Filter { end_reason: Some(EndReason::Forbidden), ..failed() };
    assert_eq!(retry_all(house, &forbidden, None).await.matched, 0);
    let taken = retry_all(house, &failed(), None).await;
    let skipped = HashMap::from([(Skip::NothingToSend, 1), (Skip::AutomationDeactivated, 1)]);
    assert_eq!((taken.matched, taken.done, taken.skipped), (4, 2, skipped));
}

pub(crate) async fn a_retry_of_all_ends_where_the_backlog_is_full_and_goes_on_when_it_is_not(house: &House) {
    house.entitle(unlimited(1)).await;
    house.queue(&events("e", 5)).await;
    fail_all(house).await;
    house.entitle(Entitlements { max_waiting: 3, ..plan(2, 1_000, 1_000) }).await;
    let first = retry_all(house, &failed(), None).await;
    assert_eq!((first.matched, first.done, first.full), (3, 3, Some((0, 3))));
    let none = retry_all(house, &failed(), first.next).await;
    assert_eq!((none.matched, none.full, none.next), (0, Some((3, 3)), first.next));
    let claims = house.claim(ROOMY).await;
    house.store.finish(&claims.iter().map(success).collect::<Vec<_>>()).await.unwrap();
    let rest = retry_all(house, &failed(), none.next).await;
    assert_eq!((rest.done, rest.full, rest.next), (2, None, None));
}

pub(crate) async fn all_that_is_not_over_is_cancelled_in_steps_and_nothing_that_arrives_meanwhile(
    house: &House,
) {
    house.entitle(plan(1, 60, 2)).await;
    let claims = house.accept(&[event("a", vec![run(1, 1), run(1, 1)])], ROOMY).await.claims;
    house.record(retry(&claims[1], secs(600))).await;
    house.queue(&events("e", 998)).await;
    let first = house.store.cancel_all(&house.acme, &unfinished(), None).await.unwrap();
    assert_eq!((first.matched, first.done, first.under_way), (500, 500, 0));
    house.advance(secs(1)).await;
    let late = house.queue(&events("late", 1)).await;
    let rest = house.store.cancel_all(&house.acme, &unfinished(), first.next).await.unwrap();
    assert_eq!(
        (rest.matched, rest.done, rest.under_way),
        (500, 499, 1),
        "newest first, what is under way last"
    );
    let mark = rest.next.unwrap_or(Mark { after: None, ..first.next.unwrap() });
    let none = house.store.cancel_all(&house.acme, &unfinished(), Some(mark)).await.unwrap();
    assert_eq!((none.done, none.next), (0, None));
    assert!(!matches!(house.state(late[0]).await, State::Ended(..)));
    house.record(retry(&claims[0], secs(600))).await;
    assert_eq!(house.end(claims[0].execution).await.state, EndState::Cancelled);
    assert_eq!(house.number("SELECT count(*) FROM pending").await, 1);
}

pub(crate) async fn what_is_paused_for_a_reason_is_cancelled_and_nothing_else(house: &House) {
    house.entitle(unlimited(1)).await;
    house.queue(&[event("a", vec![run(1, 1), run(1, 2), run(2, 1)])]).await;
    house.put_gate(super::makers::webhook(1), 1, true).await;
    let paused = Filter {
        pause_reason: Some(PauseReason::WebhookDisabled),
        automation: Some(automation(1)),
        ..Filter { states: vec![StateName::Paused], ..Filter::default() }
    };
    let taken = house.store.cancel_all(&house.acme, &paused, None).await.unwrap();
    assert_eq!((taken.matched, taken.done, taken.next), (1, 1, None));
    assert_eq!(house.number("SELECT count(*) FROM pending").await, 2);
}
