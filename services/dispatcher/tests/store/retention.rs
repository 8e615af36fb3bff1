//! Retention: what ended long ago goes, what waits or ended lately stays, and neither is looked at again and again.

use std::sync::atomic::Ordering;

use sluice_dispatcher::execution::State;
use sluice_dispatcher::store::{Acceptance, Retried};
use sluice_domain::{Entitlements, Span};

use super::makers::{
    House, ROOMY, account, automation, event, event_of, events, failure, retry, run, secs, success, unlimited,
};

const DAY: Span = Span::from_secs(86_400);
const HOUR: Span = Span::from_secs(3_600);

/// Prunes what is due: what each step removed, of those that removed something.
pub(crate) async fn prune(house: &House) -> Vec<usize> {
    house.prunes.store(true, Ordering::Relaxed);
    let mut steps = Vec::new();
    let Some(shortest) = house.store.shortest_history().await.unwrap() else { return steps };
    while let Some(mut look) = house.store.shelf_due(shortest).await.unwrap() {
        while let Some(removed) = house.store.prune(&mut look).await.unwrap() {
            steps.extend((removed > 0).then_some(removed));
        }
    }
    steps
}

async fn is_due(house: &House) -> bool {
    let shortest = house.store.shortest_history().await.unwrap().unwrap();
    house.store.shelf_due(shortest).await.unwrap().is_some()
}

pub(crate) async fn what_ended_longer_ago_than_the_plan_keeps_goes(house: &House) {
    house.entitle(unlimited(1)).await;
    let claims = house.accept(&events("old", 3), ROOMY).await.claims;
    house.record(success(&claims[0])).await;
    house.record(failure(&claims[1])).await;
    let waiting = house.queue(&events("waiting", 1)).await;
    assert_eq!(prune(house).await, [0; 0]);
    house.advance(DAY).await;
    house.record(success(&claims[2])).await;
    house.advance(HOUR).await;

    assert_eq!(prune(house).await, [2]);
    for gone in [0, 1] {
        assert!(house.store.execution(&house.acme, claims[gone].execution).await.unwrap().is_none());
    }
    assert_eq!(house.number("SELECT count(*) FROM attempt").await, 1);
    assert_eq!(house.number("SELECT count(*) FROM ending").await, 1);
    assert!(matches!(house.state(claims[2].execution).await, State::Ended(..)), "it ended an hour ago");
    assert_eq!(house.state(waiting[0]).await, State::Queued);
    house.advance(DAY).await;
    assert_eq!(prune(house).await, [1]);
    assert_eq!(house.state(waiting[0]).await, State::Queued, "what waits is never touched");
}

pub(crate) async fn what_stays_is_not_looked_at_before_it_may_go(house: &House) {
    house.entitle(unlimited(1)).await;
    let claims = house.accept(&events("e", 2), ROOMY).await.claims;
    house.record(success(&claims[0])).await;
    house.advance(DAY).await;
    house.record(success(&claims[1])).await;
    house.advance(HOUR).await;
    assert_eq!(prune(house).await, [1]);
    house.advance(secs(82_800)).await;
    assert!(!is_due(house).await, "a day after its end to the microsecond it is kept");
    house.advance(Span::from_micros(1)).await;
    assert_eq!(prune(house).await, [1]);
    assert_eq!(house.number("SELECT count(*) FROM shelf").await, 0, "an empty shelf is forgotten");
    house.accept(&events("late", 1), 0).await;
    house.advance(DAY).await;
    assert_eq!(prune(house).await, [0; 0]);
    assert!(!is_due(house).await, "it waits, and is looked at again in a day");
    house.advance(DAY).await;
    assert!(is_due(house).await);
}

pub(crate) async fn each_account_keeps_its_history_as_long_as_its_plan_says(house: &House) {
    house.entitle(unlimited(1)).await;
    let other = account("other");
    let keeps = |version, days: i64| Entitlements { history: secs(86_400 * days), ..unlimited(version) };
    house.store.apply_entitlements(&other, &keeps(1, 3)).await.unwrap();
    let made = [event("mine", vec![run(1, 1)]), event_of(&other, "theirs", vec![run(1, 1), run(1, 1)])];
    let claims = house.accept(&made, ROOMY).await.claims;
    house.store.finish(&claims.iter().map(success).collect::<Vec<_>>()).await.unwrap();
    house.advance(DAY.plus(HOUR)).await;
    assert_eq!(prune(house).await, [1]);
    house.advance(DAY).await;
    assert_eq!(prune(house).await, [0; 0], "theirs is kept for three days");
    house.store.apply_entitlements(&other, &keeps(2, 4)).await.unwrap();
    house.advance(DAY).await;
    assert_eq!(prune(house).await, [0; 0], "and for four on a larger plan");
    house.store.apply_entitlements(&other, &keeps(3, 2)).await.unwrap();
    assert_eq!(prune(house).await, [2], "on a smaller plan it goes at once");
}

pub(crate) async fn an_opened_execution_is_kept_however_old_its_first_end_is(house: &House) {
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e1", vec![run(1, 1)])).await;
    house.record(failure(&claim)).await;
    house.advance(DAY).await;
    house.advance(DAY).await;
    house.store.retry(&house.acme, claim.execution).await.unwrap();
    assert_eq!(prune(house).await, [0; 0]);
    let again = house.claim_one().await;
    house.record(success(&again)).await;
    house.advance(HOUR).await;
    assert_eq!(prune(house).await, [0; 0], "the latest end counts");
    house.advance(DAY).await;
    assert_eq!(prune(house).await, [1]);
}

pub(crate) async fn many_are_pruned_step_by_step(house: &House) {
    house.entitle(unlimited(1)).await;
    let claims = house.accept(&events("old", 1_100), ROOMY).await.claims;
    let finishes: Vec<_> = claims.iter().map(success).collect();
    house.store.finish(&finishes).await.unwrap();
    house.advance(DAY).await;
    house.advance(HOUR).await;
    let steps = prune(house).await;
    assert_eq!(steps.iter().sum::<usize>(), 1_100);
    assert!(steps.iter().all(|removed| *removed <= 128), "{steps:?}");
    assert_eq!(house.number("SELECT count(*) FROM execution").await, 0);
}

pub(crate) async fn what_is_opened_while_it_is_pruned_is_either_opened_or_gone(house: &House) {
    house.entitle(unlimited(1)).await;
    let claims = house.accept(&events("old", 200), ROOMY).await.claims;
    house.store.finish(&claims.iter().map(failure).collect::<Vec<_>>()).await.unwrap();
    house.advance(DAY).await;
    house.advance(HOUR).await;
    let another = house.another_store().await;
    let opening = async {
        let mut opened = 0;
        for claim in claims.iter().rev() {
            match another.retry(&house.acme, claim.execution).await.unwrap() {
                Retried::Reopened => opened += 1,
                Retried::NotFound => {}
                other => panic!("{other:?}"),
            }
        }
        opened
    };
    let (opened, pruned) = tokio::join!(opening, prune(house));
    assert_eq!(opened + pruned.iter().sum::<usize>(), 200);
    assert_eq!(house.number("SELECT count(*) FROM pending").await, i64::try_from(opened).unwrap());
}

pub(crate) async fn lanes_of_stopped_automations_go_once_nothing_stands_in_them(house: &House) {
    house.entitle(unlimited(1)).await;
    let claims = house.accept(&[event("e", vec![run(1, 1), run(2, 1), run(2, 2)])], ROOMY).await.claims;
    house.record(success(&claims[0])).await;
    house.record(success(&claims[1])).await;
    for number in [1, 2] {
        house.store.stop(&house.acme, automation(number), 1).await.unwrap();
    }
    assert_eq!(house.store.prune_lanes(0).await.unwrap(), (2, None), "an attempt is under way in the third");
    house.record(retry(&claims[2], secs(1))).await;
    assert!(matches!(house.state(claims[2].execution).await, State::Ended(..)), "stopped");
    assert_eq!(house.store.prune_lanes(0).await.unwrap(), (1, None));
    let mut again = run(1, 1);
    again.generation = 2;
    house.start(event("again", vec![again])).await;
    assert_eq!(
        house.store.prune_lanes(0).await.unwrap(),
        (0, None),
        "what was activated again has another lane"
    );
}

pub(crate) async fn an_event_is_new_again_once_its_receipt_is_pruned(house: &House) {
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e", vec![run(1, 1)])).await;
    house.record(success(&claim)).await;
    house.advance(DAY).await;
    assert_eq!(house.store.prune_receipts(DAY).await.unwrap(), 0, "not older yet");
    house.advance(HOUR).await;
    assert_eq!(prune(house).await, [1]);
    assert_eq!(house.store.prune_receipts(DAY).await.unwrap(), 1);
    let again = house.accept(&[event("e", vec![run(1, 1)])], 0).await;
    assert!(matches!(again.answers[0], Acceptance::Accepted(_)));
}
