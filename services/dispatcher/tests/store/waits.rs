//! When an account has next something to do: never later than it could start, and exact where nothing from outside intervenes.

use sluice_domain::Span;

use super::makers::{
    House, ROOMY, account, claimed, event, event_of, events, plan, retry, run, secs, steps, success,
    unlimited,
};

pub(crate) async fn the_next_wake_is_the_instant_the_next_cell_comes_free(house: &House) {
    house.entitle(plan(1, 7, 3)).await;
    house.queue(&events("e", 8)).await;
    assert_eq!(house.claim(ROOMY).await.len(), 3);
    for _ in 0..5 {
        let (now, wake) = house.store.next_wake().await.unwrap();
        let wake = wake.unwrap();
        assert!(wake > now);
        house.db.time.set(wake.minus(Span::from_micros(1))).await;
        assert!(house.claim(ROOMY).await.is_empty(), "nothing a microsecond before");
        assert_eq!(house.wake().await, Some(wake), "looking early changes nothing");
        house.db.time.set(wake).await;
        assert_eq!(house.claim(ROOMY).await.len(), 1);
    }
    assert_eq!(house.wake().await, None);
}

pub(crate) async fn the_next_wake_is_exact_after_a_claim_that_used_up_room_and_quota_together(house: &House) {
    house.entitle(plan(1, 60, 3)).await;
    house.queue(&events("e", 5)).await;
    assert_eq!(house.claim(3).await.len(), 3);
    assert_eq!(house.wake().await, Some(house.now().plus(secs(1))));
}

pub(crate) async fn delays_are_not_claimed_before_they_are_due(house: &House) {
    house.entitle(unlimited(1)).await;
    let made = event("e1", vec![steps(1, &[(1, secs(20))]), steps(1, &[(1, secs(10))])]);
    let ids = house.queue(&[made]).await;
    for (after, id) in [(10, ids[1]), (10, ids[0])] {
        let due = house.now().plus(secs(after));
        assert_eq!(house.wake().await, Some(due));
        house.db.time.set(due.minus(Span::from_micros(1))).await;
        assert!(house.claim(ROOMY).await.is_empty());
        house.db.time.set(due).await;
        let claim = house.claim_one().await;
        assert_eq!(claim.execution, id);
        house.record(success(&claim)).await;
    }
}

pub(crate) async fn retries_are_not_claimed_before_they_are_due(house: &House) {
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e1", vec![run(1, 1)])).await;
    house.record(retry(&claim, secs(7))).await;
    let due = house.now().plus(secs(7));
    assert_eq!(house.wake().await, Some(due));
    house.db.time.set(due.minus(Span::from_micros(1))).await;
    assert!(house.claim(ROOMY).await.is_empty());
    house.db.time.set(due).await;
    assert_eq!(house.claim_one().await.attempt, 2);
}

pub(crate) async fn a_claim_without_room_wakes_at_once(house: &House) {
    house.entitle(unlimited(1)).await;
    house.queue(&events("e", 3)).await;
    assert_eq!(house.claim(1).await.len(), 1);
    assert_eq!(house.wake().await, Some(house.now()), "more could start if there were room");
}

pub(crate) async fn the_longest_waiting_account_is_due_first(house: &House) {
    let accounts = ["c", "a", "b"].map(account);
    for account in &accounts {
        house.store.apply_entitlements(account, &unlimited(1)).await.unwrap();
        house.accept(&[event_of(account, "e1", vec![run(1, 1)])], 0).await;
        house.advance(secs(1)).await;
    }
    assert_eq!(house.store.due_accounts(2).await.unwrap(), accounts[..2]);
    let claims = house.store.claim(&accounts[0], ROOMY).await.unwrap().claims;
    assert_eq!(claims.len(), 1);
    assert_eq!(house.store.due_accounts(10).await.unwrap(), accounts[1..]);
    let others = house.accept(&[event_of(&accounts[0], "e2", vec![run(1, 1)])], ROOMY).await.claims;
    assert_eq!(claimed(&others).len(), 1);
    assert_eq!(house.store.due_accounts(10).await.unwrap(), accounts[1..], "it started at once");
}

pub(crate) async fn nothing_to_do_has_no_wake(house: &House) {
    assert_eq!(house.store.next_wake().await.unwrap(), (house.now(), None));
    house.entitle(unlimited(1)).await;
    assert!(house.claim(ROOMY).await.is_empty());
    assert_eq!(house.wake().await, None);
    let claim = house.start(event("e1", vec![run(1, 1)])).await;
    assert_eq!(house.wake().await, None, "an attempt under way wakes nobody");
    house.record(success(&claim)).await;
    assert_eq!(house.wake().await, None);
}
