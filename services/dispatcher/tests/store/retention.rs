//! Retention: what ended long ago goes, what waits or ended lately stays.

use std::sync::atomic::Ordering;

use sluice_dispatcher::execution::State;
use sluice_dispatcher::store::Acceptance;
use sluice_domain::Span;

use super::makers::{House, ROOMY, event, events, failure, run, success, unlimited};

const DAY: Span = Span::from_secs(86_400);
/// Ids of the makers run a little ahead of the clock.
const HOUR: Span = Span::from_secs(3_600);

pub(crate) async fn what_ended_longer_ago_than_the_plan_keeps_goes(house: &House) {
    house.prunes.store(true, Ordering::Relaxed);
    house.entitle(unlimited(1)).await;
    let claims = house.accept(&events("old", 3), ROOMY).await.claims;
    house.record(success(&claims[0])).await;
    house.record(failure(&claims[1])).await;
    let waiting = house.queue(&events("waiting", 1)).await;
    house.advance(DAY).await;
    house.record(success(&claims[2])).await;
    house.advance(HOUR).await;

    let pruned = house.store.prune(&house.acme, DAY, None).await.unwrap();
    assert_eq!((pruned.removed, pruned.next), (2, None));
    for gone in [0, 1] {
        assert!(house.store.execution(&house.acme, claims[gone].execution).await.unwrap().is_none());
    }
    assert_eq!(house.number("SELECT count(*) FROM attempt").await, 1);
    assert_eq!(house.number("SELECT count(*) FROM ending").await, 1);
    assert!(matches!(house.state(claims[2].execution).await, State::Ended(..)), "it ended an hour ago");
    assert_eq!(house.state(waiting[0]).await, State::Queued);
    assert_eq!(house.store.prune(&house.acme, DAY, None).await.unwrap().removed, 0);
}

pub(crate) async fn an_opened_execution_is_kept_however_old_its_first_end_is(house: &House) {
    house.prunes.store(true, Ordering::Relaxed);
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e1", vec![run(1, 1)])).await;
    house.record(failure(&claim)).await;
    house.advance(DAY).await;
    house.advance(DAY).await;
    house.store.retry(&house.acme, claim.execution).await.unwrap();
    assert_eq!(house.store.prune(&house.acme, DAY, None).await.unwrap().removed, 0);
    let again = house.claim_one().await;
    house.record(success(&again)).await;
    assert_eq!(house.store.prune(&house.acme, DAY, None).await.unwrap().removed, 0, "the latest end counts");
}

pub(crate) async fn many_are_pruned_step_by_step(house: &House) {
    house.prunes.store(true, Ordering::Relaxed);
    house.entitle(unlimited(1)).await;
    let claims = house.accept(&events("old", 1_100), ROOMY).await.claims;
    let finishes: Vec<_> = claims.iter().map(success).collect();
    house.store.finish(&finishes).await.unwrap();
    house.advance(DAY).await;
    house.advance(HOUR).await;
    let (mut key, mut steps) = (None, Vec::new());
    loop {
        let step = house.store.prune(&house.acme, DAY, key).await.unwrap();
        steps.push(step.removed);
        match step.next {
            Some(next) => key = Some(next),
            None => break,
        }
    }
    assert_eq!(steps, [500, 500, 100]);
    assert_eq!(house.number("SELECT count(*) FROM execution").await, 0);
}

pub(crate) async fn an_event_is_new_again_once_its_receipt_is_pruned(house: &House) {
    house.prunes.store(true, Ordering::Relaxed);
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e", vec![run(1, 1)])).await;
    house.record(success(&claim)).await;
    house.advance(DAY).await;
    assert_eq!(house.store.prune_receipts(DAY).await.unwrap(), 0, "not older yet");
    house.advance(HOUR).await;
    assert_eq!(house.store.prune(&house.acme, DAY, None).await.unwrap().removed, 1);
    assert_eq!(house.store.prune_receipts(DAY).await.unwrap(), 1);
    let again = house.accept(&[event("e", vec![run(1, 1)])], 0).await;
    assert!(matches!(again.answers[0], Acceptance::Accepted(_)));
}
