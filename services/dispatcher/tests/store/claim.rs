//! Claiming: the oldest ready work of an account, as far as gates, quota and room allow.

use std::collections::HashSet;

use sluice_dispatcher::execution::State;
use sluice_dispatcher::store::{NewEvent, NewExecution};
use sluice_domain::Span;

use super::makers::{
    House, ROOMY, advance, claimed, event, events, lease, notification, plan, run, secs, steps, unlimited,
    webhook,
};

pub(crate) async fn oldest_first_as_far_as_there_is_room(house: &House) {
    house.entitle(unlimited(1)).await;
    let made = events("e", 10);
    let ids = house.queue(&made).await;
    assert!(house.claim(0).await.is_empty());
    assert_eq!(claimed(&house.claim(4).await), ids[..4]);
    assert_eq!(claimed(&house.claim(4).await), ids[4..8]);
    assert_eq!(claimed(&house.claim(4).await), ids[8..]);
    assert!(house.claim(4).await.is_empty());
}

pub(crate) async fn quota_admits_its_burst_and_then_cell_by_cell(house: &House) {
    house.entitle(plan(1, 60, 3)).await;
    let ids = house.queue(&events("e", 8)).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), ids[..3]);
    house.advance(Span::from_micros(999_999)).await;
    assert!(house.claim(ROOMY).await.is_empty());
    house.advance(Span::from_micros(1)).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), ids[3..4]);
    house.advance(secs(2)).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), ids[4..6]);
    house.advance(secs(3_600)).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), ids[6..]);
}

pub(crate) async fn notifications_have_a_rate_of_their_own(house: &House) {
    let mut entitlements = plan(1, 60, 2);
    entitlements.notifications.burst = 3;
    house.entitle(entitlements).await;
    let mixed: Vec<NewEvent> =
        (0..5).map(|at| event(&format!("e{at}"), vec![notification(1), run(1, 1)])).collect();
    let ids = house.queue(&mixed).await;
    let claims = house.claim(ROOMY).await;
    assert_eq!(claimed(&claims), [ids[1], ids[3], ids[0], ids[2], ids[4]]);
    house.advance(secs(1)).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), [ids[5], ids[6]]);
}

pub(crate) async fn what_has_started_goes_on_although_the_quota_is_used_up(house: &House) {
    house.entitle(plan(1, 60, 1)).await;
    let first = house.start(event("e1", vec![steps(1, &[(1, Span::ZERO), (2, Span::ZERO)])])).await;
    let waiting = house.queue(&events("f", 2)).await;
    house.record(advance(&first)).await;
    let claims = house.claim(ROOMY).await;
    assert_eq!(claimed(&claims), [first.execution]);
    assert_eq!((claims[0].step, claims[0].attempt), (1, 1));
    house.advance(secs(1)).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), waiting[..1], "a further step costs nothing");
}

pub(crate) async fn gated_lanes_are_skipped_untouched_and_open_ones_merge_by_acceptance(house: &House) {
    house.entitle(plan(1, 60, 4)).await;
    let made: Vec<NewEvent> =
        (0..12_u8).map(|at| event(&format!("e{at}"), vec![run(1 + at % 2, 1 + at % 3)])).collect();
    let ids = house.queue(&made).await;
    house.put_gate(webhook(2), 1, true).await;
    let gated = "SELECT count(*) FROM pending p JOIN lane l ON l.lane = p.lane WHERE p.token IS NULL AND p.attempt = 1";
    let open: Vec<_> = (0..12).filter(|at| at % 3 != 1).map(|at| ids[at]).collect();
    assert_eq!(claimed(&house.claim(3).await), open[..3]);
    assert_eq!(claimed(&house.claim(ROOMY).await), open[3..4], "the quota's fourth cell");
    house.advance(secs(3_600)).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), open[4..]);
    assert_eq!(house.number(gated).await, 4);
    assert_eq!(house.wake().await, None, "nobody wakes up for what a gate holds back");
}

pub(crate) async fn many_open_lanes_merge_in_order(house: &House) {
    house.entitle(unlimited(1)).await;
    let of = |at: i64| NewExecution { generation: at % 120, ..run(1, 1 + u8::from(at % 7 == 0)) };
    let made: Vec<NewEvent> = (0..300).map(|at| event(&format!("e{at}"), vec![of(at)])).collect();
    let ids = house.queue(&made).await;
    house.put_gate(webhook(2), 1, true).await;
    let open: Vec<_> = (0..300).filter(|at| at % 7 != 0).map(|at| ids[at]).collect();
    let mut seen = Vec::new();
    for _ in 0..10 {
        seen.extend(claimed(&house.claim(31).await));
    }
    assert_eq!(seen, open);
}

pub(crate) async fn two_owners_claim_disjoint_sets(house: &House) {
    house.entitle(plan(1, 60, 80)).await;
    let ids = house.queue(&events("e", 100)).await;
    let other = house.another_store().await;
    let of = |store: sluice_dispatcher::store::Store| {
        let acme = house.acme.clone();
        tokio::spawn(async move {
            let mut claims = Vec::new();
            for _ in 0..8 {
                claims.extend(store.claim(&acme, 7).await.unwrap().claims);
            }
            claims
        })
    };
    let (ours, theirs) = (of(house.store.clone()), of(other));
    let mut all = claimed(&ours.await.unwrap());
    all.extend(claimed(&theirs.await.unwrap()));
    // An owner that met the other at the account went on to others; what they left is there for the next.
    all.extend(claimed(&house.claim(ROOMY).await));
    let distinct: HashSet<_> = all.iter().copied().collect();
    assert_eq!((all.len(), distinct.len()), (80, 80), "the burst, each once");
    assert!(ids[..80].iter().all(|id| distinct.contains(id)), "the oldest 80");
}

pub(crate) async fn a_claim_carries_what_is_to_be_sent(house: &House) {
    house.entitle(unlimited(1)).await;
    let made = event("e1", vec![steps(1, &[(1, secs(5)), (2, Span::ZERO)])]);
    let sluice_dispatcher::store::Work::Deliver(plan) = made.executions[0].work.clone() else {
        panic!("it delivers")
    };
    let ids = house.queue(std::slice::from_ref(&made)).await;
    house.advance(secs(5)).await;
    let claim = house.claim_one().await;
    assert_eq!((claim.execution, &claim.plan, &claim.traceparent), (ids[0], &plan, &made.traceparent));
    assert_eq!((claim.step, claim.attempt, claim.retries, claim.claimed_at), (0, 1, 0, house.now()));
    assert_eq!(house.state(ids[0]).await, State::Running);
    let until = house.number("SELECT lease_until FROM pending").await;
    assert_eq!(until, house.now().plus(lease().length).as_micros());
}

pub(crate) async fn more_due_than_becomes_ready_at_once_is_claimed_in_turns(house: &House) {
    house.entitle(unlimited(1)).await;
    let delayed = (0..1_100).map(|_| steps(1, &[(1, secs(10))])).collect();
    let ids = house.queue(&[event("e1", delayed)]).await;
    house.advance(secs(10)).await;
    let first = house.accept(&events("new", 1), ROOMY).await.claims;
    assert_eq!(first.len(), 1_000, "what is new waits behind what is due");
    assert_eq!(house.wake().await, Some(house.now()));
    let rest = claimed(&house.claim(ROOMY).await);
    assert_eq!(rest.len(), 101);
    let all: HashSet<_> = claimed(&first).into_iter().chain(rest).collect();
    assert!(ids.iter().all(|id| all.contains(id)));
}
