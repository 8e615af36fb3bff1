//! What billing and operators do to an account: grants, and the operator's pause.

use std::sync::atomic::Ordering;

use sluice_dispatcher::execution::{PauseReason, State};
use sluice_dispatcher::grant::{Grant, GrantError, Units};
use sluice_dispatcher::pause::Before;
use sluice_dispatcher::store::{Granted, QuotaSnapshot};
use sluice_dispatcher::turn::Turn;
use sluice_dispatcher::worker::{Keeping, Pruning};
use sluice_domain::{Allowance, Span};

use super::makers::{
    House, ROOMY, account, claimed, event, event_of, events, ids_of, notification, plan, retry, run, secs,
    steps, success, unlimited,
};

fn grant(units: i64, request: &str) -> Grant {
    Grant { units: Units::try_from(units).unwrap(), request: request.parse().unwrap() }
}

pub(crate) async fn granted(house: &House, units: i64, request: &str) -> Granted {
    house.store.grant(&house.acme, &grant(units, request)).await.unwrap()
}

async fn quota(house: &House) -> QuotaSnapshot {
    house.store.quota(&house.acme).await.unwrap().unwrap()
}

async fn pause(house: &House, note: &str) {
    assert!(house.store.pause(&house.acme, &note.parse().unwrap()).await.unwrap());
}

async fn resume(house: &House) {
    assert!(house.store.resume(&house.acme).await.unwrap());
}

/// Two executions may start in a month.
async fn monthly(house: &House) {
    let allowance = Some(Allowance { amount: 2, anchor: sluice_domain::Timestamp::EPOCH });
    house.entitle(sluice_domain::Entitlements { allowance, ..unlimited(1) }).await;
}

pub(crate) async fn a_grant_lets_what_waits_for_the_allowance_start_oldest_first(house: &House) {
    monthly(house).await;
    let made = events("e", 6);
    assert_eq!(house.accept(&made, ROOMY).await.claims.len(), 2);
    assert_eq!(granted(house, 3, "g1").await, Granted::Done);
    assert_eq!(house.wake().await, Some(house.now()));
    assert_eq!(claimed(&house.claim(ROOMY).await), ids_of(&made)[2..5]);
    let ledger = quota(house).await.quota.limits.unwrap().allowance;
    assert_eq!((ledger.promised.amount, ledger.granted, ledger.used, ledger.left()), (2, 3, 5, 0));
}

pub(crate) async fn a_grant_asked_for_again_grants_once_also_after_a_restart(house: &House) {
    monthly(house).await;
    for _ in 0..3 {
        assert_eq!(granted(house, 7, "g1").await, Granted::Done);
    }
    let after = house.another_store().await;
    assert_eq!(after.grant(&house.acme, &grant(7, "g1")).await.unwrap(), Granted::Done);
    after.database().close().await;
    assert_eq!(granted(house, 8, "g1").await, Granted::RequestIdReused);
    assert_eq!(quota(house).await.quota.limits.unwrap().allowance.granted, 7);
}

pub(crate) async fn the_same_grant_from_two_owners_at_once_is_one(house: &House) {
    monthly(house).await;
    let other = house.another_store().await;
    let asked = grant(7, "g1");
    let (one, two) = tokio::join!(house.store.grant(&house.acme, &asked), other.grant(&house.acme, &asked));
    assert_eq!((one.unwrap(), two.unwrap()), (Granted::Done, Granted::Done));
    assert_eq!(quota(house).await.quota.limits.unwrap().allowance.granted, 7);
    other.database().close().await;
}

pub(crate) async fn a_grant_ends_with_its_period_and_is_remembered_for_a_day_more(house: &House) {
    monthly(house).await;
    granted(house, 5, "g1").await;
    let end = quota(house).await.quota.limits.unwrap().allowance.end;
    house.db.time.set(end).await;
    assert_eq!(granted(house, 5, "g1").await, Granted::Done, "a repeat over the period's end grants nothing");
    assert_eq!(house.accept(&events("e", 9), ROOMY).await.claims.len(), 2, "the month's own two");
    house.db.time.set(end.plus(Grant::REMEMBERED).minus(Span::from_micros(1))).await;
    let keeping = Keeping { receipts: secs(7 * 86_400), changes: secs(7 * 86_400) };
    let mut pruning = Pruning::new(house.store.clone(), keeping);
    assert_eq!(pruning.round().await.unwrap().grants, 0);
    house.advance(Span::from_micros(1)).await;
    assert_eq!(pruning.round().await.unwrap().grants, 1);
    assert_eq!(granted(house, 5, "g1").await, Granted::Done);
    assert_eq!(quota(house).await.quota.limits.unwrap().allowance.granted, 5, "it is a new one now");
}

pub(crate) async fn grants_beyond_counting_are_refused_and_change_nothing(house: &House) {
    monthly(house).await;
    assert_eq!(granted(house, Allowance::MOST, "g1").await, Granted::Done);
    let refused = Granted::Refused(GrantError::TooMuch { granted: Allowance::MOST });
    assert_eq!(granted(house, 1, "g2").await, refused);
    assert_eq!(granted(house, Allowance::MOST, "g3").await, refused);
    let ledger = quota(house).await.quota.limits.unwrap().allowance;
    assert_eq!((ledger.granted, ledger.left()), (Allowance::MOST, Allowance::MOST + 2));
    assert_eq!(house.number("SELECT count(*) FROM allowance_grant").await, 1);
}

pub(crate) async fn who_is_not_known_is_granted_nothing(house: &House) {
    assert_eq!(granted(house, 1, "g1").await, Granted::Refused(GrantError::Unknown));
    assert!(house.store.quota(&house.acme).await.unwrap().is_none());
    assert!(!house.store.pause(&house.acme, &"why".parse().unwrap()).await.unwrap());
    assert!(!house.store.resume(&house.acme).await.unwrap());
    house.accept(&events("e", 1), ROOMY).await;
    assert_eq!(granted(house, 1, "g1").await, Granted::Refused(GrantError::Unknown));
    pause(house, "something of it waits").await;
    assert_eq!(quota(house).await.quota.waiting, 1);
    resume(house).await;
}

pub(crate) async fn a_quota_is_shown_as_it_stands(house: &House) {
    house.entitle(plan(1, 60, 3)).await;
    house.accept(&events("e", 5), ROOMY).await;
    let shown = quota(house).await;
    let start = |turn| shown.quota.startable(turn, shown.now);
    assert_eq!((shown.quota.waiting, start(Turn::Execution), start(Turn::Notification)), (2, 0, 1_000));
    let gates: Vec<_> = shown.pauses.iter().collect();
    assert_eq!(gates, [(Before::Automations, (PauseReason::Quota, Some(house.now().plus(secs(1)))))]);
    assert_eq!((shown.note, shown.quota.limits.unwrap().executions.free(house.now())), (None, 0));
    house.advance(secs(2)).await;
    let shown = quota(house).await;
    assert_eq!((shown.quota.startable(Turn::Execution, shown.now), shown.pauses.iter().count()), (2, 0));
}

/// One of each that an account can have due, with what an operator's pause must hold back.
pub(crate) async fn an_operators_pause_holds_everything_back_and_resuming_goes_on_oldest_first(
    house: &House,
) {
    house.entitle(unlimited(1)).await;
    let retried = house.start(event("r", vec![run(1, 1)])).await;
    house.record(retry(&retried, secs(5))).await;
    let stepped = house.start(event("s", vec![steps(1, &[(1, Span::ZERO), (2, Span::ZERO)])])).await;
    let under_way = house.start(event("u", vec![run(1, 1)])).await;
    house.accept(&[event("d", vec![steps(1, &[(1, secs(9))])])], ROOMY).await;
    pause(house, "the receiver is being moved").await;
    let paused_at = house.now();

    house.record(super::makers::advance(&stepped)).await;
    house.record(success(&under_way)).await;
    let fresh = [event("a", vec![run(1, 1), notification(2)]), event("b", vec![run(2, 3)])];
    assert!(
        house.accept(&fresh, ROOMY).await.claims.is_empty(),
        "what comes starts nothing, not even itself"
    );
    assert!(matches!(house.state(retried.execution).await, State::Waiting(_)), "not due: waiting");
    house.advance(secs(40 * 86_400)).await;
    assert!(house.claim(ROOMY).await.is_empty());
    assert_eq!(house.wake().await, None, "and nobody looks again");
    let shown = house.store.executions(&house.acme, &Default::default(), None, 100).await.unwrap().executions;
    let held: Vec<_> = shown.iter().filter(|shown| shown.execution.id != under_way.execution).collect();
    assert_eq!(held.len(), 6);
    assert!(held.iter().all(|shown| shown.state == State::Paused(PauseReason::Operator, None)), "{held:?}");

    let standing = quota(house).await;
    assert_eq!(
        (standing.quota.paused_at, standing.note.as_deref()),
        (Some(paused_at), Some("the receiver is being moved"))
    );
    assert!(standing.pauses.iter().any(|gate| gate == (Before::Account, (PauseReason::Operator, None))));
    assert_eq!(Turn::ALL.map(|turn| standing.quota.startable(turn, standing.now)), [0; 3]);

    resume(house).await;
    assert_eq!(house.wake().await, Some(house.now()));
    let claims = house.claim(ROOMY).await;
    assert_eq!(claims.len(), 6);
    let numbers: Vec<_> = claims.iter().map(|claim| (claim.attempt, claim.retries)).collect();
    assert_eq!(numbers, [(2, 1), (1, 0), (1, 0), (1, 0), (1, 0), (1, 0)], "no attempt was used");
    for within in [&claims[..2], &claims[2..5]] {
        assert!(within.is_sorted_by_key(|claim| claim.seq), "oldest first within each queue");
    }
}

pub(crate) async fn a_pause_is_entered_and_left_once_and_its_note_can_be_replaced(house: &House) {
    house.entitle(unlimited(1)).await;
    resume(house).await;
    pause(house, "first").await;
    let since = quota(house).await.quota.paused_at;
    house.advance(secs(60)).await;
    pause(house, "second").await;
    let standing = quota(house).await;
    assert_eq!((standing.quota.paused_at, standing.note.as_deref()), (since, Some("second")));
    for _ in 0..2 {
        resume(house).await;
        let standing = quota(house).await;
        assert_eq!((standing.quota.paused_at, standing.note), (None, None));
    }
}

pub(crate) async fn a_pause_outlives_restarts_plans_and_grants_and_is_of_one_account(house: &House) {
    house.entitle(unlimited(1)).await;
    let other = account("other");
    house.store.apply_entitlements(&other, &unlimited(1)).await.unwrap();
    pause(house, "why").await;
    house.queue(&events("e", 3)).await;
    house.entitle(unlimited(2)).await;
    granted(house, 5, "g1").await;
    let after = house.another_store().await;
    assert!(after.claim(&house.acme, ROOMY).await.unwrap().claims.is_empty());
    assert!(after.accept(&events("f", 1), ROOMY).await.unwrap().claims.is_empty());
    let theirs = after.accept(&[event_of(&other, "e", vec![run(1, 1)])], ROOMY).await.unwrap().claims;
    assert_eq!(theirs.len(), 1);
    assert!(after.resume(&house.acme).await.unwrap());
    assert_eq!(after.claim(&house.acme, ROOMY).await.unwrap().claims.len(), 4);
    after.database().close().await;
}

pub(crate) async fn what_is_claimed_again_after_a_rescue_waits_for_the_pause_too(house: &House) {
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e", vec![run(1, 1)])).await;
    pause(house, "why").await;
    house.advance(super::makers::lease().length).await;
    assert_eq!(house.store.rescue().await.unwrap().len(), 1);
    assert!(house.claim(ROOMY).await.is_empty());
    assert_eq!(house.state(claim.execution).await, State::Paused(PauseReason::Operator, None));
    resume(house).await;
    assert_eq!(house.claim_one().await.attempt, 2);
    house.prunes.store(true, Ordering::Relaxed);
}
