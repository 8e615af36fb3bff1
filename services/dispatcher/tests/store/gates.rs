//! What holds work back and lets it go on by itself: disabled webhooks, plans, quotas; and what is shown meanwhile.

use sluice_dispatcher::execution::{PauseReason, State};
use sluice_domain::{Allowance, Entitlements, ExecutionId, Span, Timestamp};

use super::finish::attempts;
use super::makers::{
    House, ROOMY, claimed, event, events, notification, plan, retry, run, secs, steps, success, unlimited,
    webhook,
};

/// 2026-02-01T00:00:00Z, when the first period ends that is counted from the epoch.
const FEBRUARY: Timestamp = Timestamp::from_micros(1_769_904_000_000_000);
/// 2026-03-01T00:00:00Z.
const MARCH: Timestamp = Timestamp::from_micros(1_772_323_200_000_000);

pub(crate) fn with_allowance(entitlements: Entitlements, amount: i64) -> Entitlements {
    Entitlements { allowance: Some(Allowance { amount, anchor: Timestamp::EPOCH }), ..entitlements }
}

async fn gate(house: &House, number: u8, revision: i64, closed: bool) -> bool {
    house.put_gate(webhook(number), revision, closed).await
}

pub(crate) async fn a_disabled_webhook_pauses_and_enabling_goes_on_oldest_first(house: &House) {
    house.entitle(unlimited(1)).await;
    assert!(gate(house, 1, 1, true).await);
    let made = events("e", 20);
    let mut ids = Vec::new();
    for one in &made {
        assert!(house.accept(std::slice::from_ref(one), ROOMY).await.claims.is_empty());
        ids.push(one.executions[0].id);
    }
    assert_eq!(house.wake().await, None);
    house.advance(secs(30 * 86_400)).await;
    assert!(house.claim(ROOMY).await.is_empty());
    for id in &ids {
        assert_eq!(house.state(*id).await, State::Paused(PauseReason::WebhookDisabled, None));
    }
    assert!(gate(house, 1, 2, false).await);
    assert_eq!(house.wake().await, Some(house.now()));
    let claims = house.claim(ROOMY).await;
    assert_eq!(claimed(&claims), ids);
    assert!(claims.iter().all(|claim| (claim.attempt, claim.retries) == (1, 0)), "no attempt was used");
}

pub(crate) async fn an_older_revision_changes_nothing(house: &House) {
    house.entitle(unlimited(1)).await;
    assert!(gate(house, 1, 5, true).await);
    assert!(!gate(house, 1, 5, false).await);
    assert!(!gate(house, 1, 4, false).await);
    assert!(house.accept(&events("e", 1), ROOMY).await.claims.is_empty());
    assert!(gate(house, 1, 6, false).await);
    assert!(!gate(house, 1, 5, true).await);
    assert_eq!(house.claim(ROOMY).await.len(), 1);
    let gated = house.store.gated_webhooks().await.unwrap();
    let open = ((house.acme.clone(), webhook(1)), false);
    assert_eq!(gated.into_iter().collect::<Vec<_>>(), [open], "that it is enabled is no news");
}

pub(crate) async fn a_gate_closed_during_an_attempt_holds_its_retry_back(house: &House) {
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e1", vec![run(1, 1)])).await;
    gate(house, 1, 1, true).await;
    house.record(retry(&claim, secs(5))).await;
    assert!(matches!(house.state(claim.execution).await, State::Waiting(_)), "not due: waiting");
    house.advance(secs(5)).await;
    assert_eq!(
        house.state(claim.execution).await,
        State::Paused(PauseReason::WebhookDisabled, None),
        "due: paused"
    );
    house.advance(secs(86_400 * 10)).await;
    assert!(house.claim(ROOMY).await.is_empty());
    gate(house, 1, 2, false).await;
    let again = house.claim_one().await;
    assert_eq!((again.attempt, again.retries), (2, 1));
    assert_eq!(attempts(house, claim.execution).await.len(), 2);
}

pub(crate) async fn older_entitlements_never_win(house: &House) {
    house.entitle(plan(5, 60, 2)).await;
    for version in [1, 4, 5] {
        assert!(!house.store.apply_entitlements(&house.acme, &unlimited(version)).await.unwrap());
    }
    assert_eq!(house.store.known_versions().await.unwrap(), [(house.acme.clone(), 5)]);
    assert_eq!(house.accept(&events("e", 5), ROOMY).await.claims.len(), 2);
}

pub(crate) async fn a_raised_plan_resumes_at_once(house: &House) {
    house.entitle(plan(1, 1, 2)).await;
    let made = events("e", 10);
    let ids: Vec<ExecutionId> = made.iter().map(|event| event.executions[0].id).collect();
    assert_eq!(house.accept(&made, ROOMY).await.claims.len(), 2);
    assert!(matches!(house.state(ids[9]).await, State::Paused(PauseReason::Quota, Some(_))));
    house.entitle(plan(2, 600, 8)).await;
    assert_eq!(house.wake().await, Some(house.now()));
    assert_eq!(claimed(&house.claim(ROOMY).await), ids[2..8], "what is used stays used, in cells");
    house.advance(Span::from_millis(200)).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), ids[8..]);
}

pub(crate) async fn a_plan_without_automations_pauses_until_it_has_them(house: &House) {
    let essential = |version| Entitlements { automations: false, ..unlimited(version) };
    house.entitle(essential(1)).await;
    let made = event("e1", vec![run(1, 1), notification(2)]);
    let ids: Vec<ExecutionId> = made.executions.iter().map(|execution| execution.id).collect();
    assert_eq!(
        claimed(&house.accept(&[made], ROOMY).await.claims),
        ids[1..],
        "event webhooks are on all plans"
    );
    assert_eq!(house.state(ids[0]).await, State::Paused(PauseReason::Plan, None));
    assert_eq!(house.wake().await, None);
    house.entitle(unlimited(2)).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), ids[..1]);
}

pub(crate) async fn an_exhausted_allowance_pauses_until_its_period_ends(house: &House) {
    house.entitle(with_allowance(unlimited(1), 3)).await;
    let made = events("e", 8);
    let ids: Vec<ExecutionId> = made.iter().map(|event| event.executions[0].id).collect();
    assert_eq!(claimed(&house.accept(&made, ROOMY).await.claims), ids[..3]);
    assert_eq!(house.state(ids[3]).await, State::Paused(PauseReason::Quota, Some(FEBRUARY)));
    assert_eq!(house.wake().await, Some(FEBRUARY));
    house.db.time.set(FEBRUARY.minus(Span::from_micros(1))).await;
    assert!(house.claim(ROOMY).await.is_empty());
    house.db.time.set(FEBRUARY).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), ids[3..6]);
    assert_eq!(house.wake().await, Some(MARCH));
    house.entitle(with_allowance(unlimited(2), 4)).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), ids[6..7], "one more in this period");
}

/// Runs the queue dry and says when each started.
async fn starts(house: &House, wanted: usize) -> Vec<(ExecutionId, Timestamp)> {
    let mut started = Vec::new();
    while started.len() < wanted {
        let (now, wake) = house.store.next_wake().await.unwrap();
        let wake = wake.unwrap_or_else(|| panic!("{} started and nobody wakes up", started.len()));
        house.db.time.set(wake.max(now)).await;
        let claims = house.claim(ROOMY).await;
        started.extend(claimed(&claims).into_iter().map(|id| (id, house.now())));
    }
    started
}

/// Compares what is shown of some places of the queue with when they start.
async fn promises_hold(house: &House, ids: &[ExecutionId], places: &[usize]) {
    let mut promised = Vec::new();
    for place in places {
        match house.state(ids[*place]).await {
            State::Paused(PauseReason::Quota, Some(until)) => promised.push(until),
            other => panic!("place {place} is {other:?}"),
        }
    }
    let started = starts(house, ids.len()).await;
    for (place, until) in places.iter().zip(promised) {
        assert_eq!(started[*place], (ids[*place], until), "place {place}");
    }
}

pub(crate) async fn the_expected_end_is_when_it_starts_by_rate(house: &House) {
    house.entitle(plan(1, 70, 3)).await;
    let made = events("e", 43);
    let ids: Vec<ExecutionId> = made.iter().map(|event| event.executions[0].id).collect();
    assert_eq!(house.accept(&made, ROOMY).await.claims.len(), 3);
    promises_hold(house, &ids[3..], &[0, 9, 39]).await;
}

pub(crate) async fn the_expected_end_is_when_it_starts_by_allowance(house: &House) {
    house.entitle(with_allowance(plan(1, 60, 4), 10)).await;
    let made = events("e", 29);
    let ids: Vec<ExecutionId> = made.iter().map(|event| event.executions[0].id).collect();
    assert_eq!(house.accept(&made, ROOMY).await.claims.len(), 4);
    promises_hold(house, &ids[4..], &[0, 5, 6, 9, 10, 15, 16, 24]).await;
}

pub(crate) async fn the_expected_end_does_not_count_what_a_gate_holds_back(house: &House) {
    house.entitle(plan(1, 60, 1)).await;
    let mut made = events("first", 1);
    for at in 0..6 {
        made.push(event(&format!("gated{at}"), vec![run(2, 2)]));
        made.push(event(&format!("open{at}"), vec![run(1, 1)]));
    }
    let ids: Vec<ExecutionId> = made.iter().map(|event| event.executions[0].id).collect();
    gate(house, 2, 1, true).await;
    assert_eq!(claimed(&house.accept(&made, ROOMY).await.claims), ids[..1]);
    let open: Vec<ExecutionId> = ids[1..].iter().copied().skip(1).step_by(2).collect();
    assert_eq!(house.state(ids[1]).await, State::Paused(PauseReason::WebhookDisabled, None));
    promises_hold(house, &open, &[0, 2, 5]).await;
}

pub(crate) async fn a_lowered_plan_lets_what_is_under_way_end(house: &House) {
    house.entitle(plan(1, 600, 10)).await;
    let made = event("e1", vec![steps(1, &[(1, Span::ZERO), (2, Span::ZERO)]), run(1, 1)]);
    let claims = house.accept(&[made], ROOMY).await.claims;
    let waiting = house.queue(&events("f", 1)).await;
    house.entitle(Entitlements { automations: false, ..plan(2, 600, 10) }).await;
    house.record(success(&claims[1])).await;
    house.record(super::makers::advance(&claims[0])).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), [claims[0].execution], "what has started goes on");
    assert_eq!(house.state(waiting[0]).await, State::Paused(PauseReason::Plan, None));
}
