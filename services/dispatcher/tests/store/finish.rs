//! The end of attempts: recorded under the claim's token, and the execution ends, moves on or waits again.

use sluice_dispatcher::attempt::Verdict;
use sluice_dispatcher::claim::Reported;
use sluice_dispatcher::execution::{EndReason, EndState, State};
use sluice_dispatcher::store::{Cancelled, Retried};
use sluice_domain::{ExecutionId, Span};

use super::makers::{
    House, ROOMY, advance, attempt, automation, event, events, failure, hand_back, lease, plan, retry, run,
    secs, steps, success, unlimited, webhook,
};

/// The attempts of an execution: delivery, number, how it came out.
pub(crate) async fn attempts(house: &House, id: ExecutionId) -> Vec<(usize, i64, Verdict)> {
    let shown = house.shown(id).await;
    assert_eq!(usize::try_from(shown.attempt_count).unwrap(), shown.attempts.len());
    shown.attempts.iter().map(|attempt| (attempt.step, attempt.number, attempt.verdict)).collect()
}

pub(crate) async fn success_of_the_last_delivery_ends_it(house: &House) {
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e1", vec![run(1, 1)])).await;
    let started = house.now();
    house.advance(secs(2)).await;
    house.record(success(&claim)).await;
    let shown = house.shown(claim.execution).await;
    let State::Ended(end, at) = shown.state else { panic!("{:?}", shown.state) };
    assert_eq!((end.state, end.reason, at), (EndState::Succeeded, None, house.now()));
    assert_eq!(shown.started_at, Some(started));
    let kept = &shown.attempts[0];
    let sent = attempt(&claim, Verdict::Succeeded);
    assert_eq!((kept.started_at, kept.ended_at), (started, Some(house.now())));
    assert_eq!((&kept.answer, &kept.request_headers), (&sent.answer, &sent.request_headers));
    assert_eq!(house.number("SELECT count(*) FROM pending").await, 0);
}

pub(crate) async fn a_failure_for_good_ends_it_with_its_reason(house: &House) {
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e1", vec![steps(1, &[(1, Span::ZERO), (2, Span::ZERO)])])).await;
    house.record(failure(&claim)).await;
    let end = house.end(claim.execution).await;
    assert_eq!((end.state, end.reason), (EndState::Failed, Some(EndReason::RefusedByReceiver)));
    assert_eq!(attempts(house, claim.execution).await, [(0, 1, Verdict::Failed)]);
    assert!(house.claim(ROOMY).await.is_empty(), "the second delivery is not sent");
}

pub(crate) async fn success_moves_on_to_the_next_delivery_at_once(house: &House) {
    house.entitle(unlimited(1)).await;
    let first = house.start(event("e1", vec![steps(1, &[(1, Span::ZERO), (2, Span::ZERO)])])).await;
    house.record(advance(&first)).await;
    assert_eq!(house.state(first.execution).await, State::Waiting(house.now()));
    let second = house.claim_one().await;
    assert_eq!((second.step, second.attempt, second.retries), (1, 1, 0));
    assert_eq!(second.plan.deliveries[second.step].webhook, webhook(2));
    assert_ne!(second.token, first.token);
    house.record(success(&second)).await;
    assert_eq!(
        attempts(house, first.execution).await,
        [(0, 1, Verdict::Succeeded), (1, 1, Verdict::Succeeded)]
    );
}

pub(crate) async fn success_moves_on_to_a_delayed_delivery_when_it_is_due(house: &House) {
    house.entitle(unlimited(1)).await;
    let first = house.start(event("e1", vec![steps(1, &[(1, Span::ZERO), (2, secs(90))])])).await;
    house.advance(secs(3)).await;
    house.record(advance(&first)).await;
    let due = house.now().plus(secs(90));
    assert_eq!(house.state(first.execution).await, State::Waiting(due), "counted from the delivery before");
    house.db.time.set(due.minus(Span::from_micros(1))).await;
    assert!(house.claim(ROOMY).await.is_empty());
    house.db.time.set(due).await;
    assert_eq!(house.claim_one().await.step, 1);
}

pub(crate) async fn retries_are_numbered_and_counted(house: &House) {
    house.entitle(unlimited(1)).await;
    let mut claim = house.start(event("e1", vec![steps(1, &[(1, Span::ZERO), (2, Span::ZERO)])])).await;
    for used in 1..=3 {
        house.record(retry(&claim, secs(5))).await;
        house.advance(secs(5)).await;
        claim = house.claim_one().await;
        assert_eq!((claim.attempt, claim.retries), (i64::from(used) + 1, used));
    }
    house.record(advance(&claim)).await;
    let claim = house.claim_one().await;
    assert_eq!(
        (claim.step, claim.attempt, claim.retries),
        (1, 1, 0),
        "a fresh schedule for the next delivery"
    );
    let retried = |number| (0, number, Verdict::Retried);
    assert_eq!(
        attempts(house, claim.execution).await,
        [retried(1), retried(2), retried(3), (0, 4, Verdict::Succeeded), (1, 1, Verdict::Started)]
    );
}

pub(crate) async fn a_hand_back_leaves_no_attempt_and_frees_its_number(house: &House) {
    house.entitle(plan(1, 60, 1)).await;
    let claim = house.start(event("e1", vec![run(1, 1)])).await;
    house.record(hand_back(&claim, Span::ZERO)).await;
    assert!(attempts(house, claim.execution).await.is_empty());
    let again = house.claim_one().await;
    assert_eq!((again.attempt, again.retries), (1, 0));
    house.record(hand_back(&again, secs(4))).await;
    assert!(house.claim(ROOMY).await.is_empty());
    house.advance(secs(4)).await;
    let last = house.claim_one().await;
    house.record(success(&last)).await;
    assert_eq!(attempts(house, claim.execution).await, [(0, 1, Verdict::Succeeded)]);
    assert_eq!(
        house.accept(&events("f", 2), ROOMY).await.claims.len(),
        1,
        "only the first claim was charged"
    );
}

pub(crate) async fn a_wrong_token_writes_nothing(house: &House) {
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e1", vec![run(1, 1)])).await;
    let mut forged = success(&claim);
    forged.claim.token ^= 1;
    assert_eq!(house.report(forged).await, Reported::ClaimLost);
    let mut misplaced = success(&claim);
    misplaced.claim.seq += 1;
    assert_eq!(house.report(misplaced).await, Reported::ClaimLost);
    assert_eq!(attempts(house, claim.execution).await, [(0, 1, Verdict::Started)]);
    assert_eq!(house.report(success(&claim)).await, Reported::Recorded);
}

pub(crate) async fn a_report_after_rescue_writes_nothing(house: &House) {
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e1", vec![run(1, 1)])).await;
    house.advance(lease().length).await;
    assert_eq!(house.store.rescue().await.unwrap().len(), 1);
    assert_eq!(house.report(success(&claim)).await, Reported::ClaimLost, "it waits");
    let next = house.claim_one().await;
    assert_eq!(house.report(retry(&claim, secs(1))).await, Reported::ClaimLost, "another has it");
    house.record(success(&next)).await;
    assert_eq!(house.report(failure(&claim)).await, Reported::ClaimLost, "it has ended");
    assert_eq!(
        attempts(house, claim.execution).await,
        [(0, 1, Verdict::Interrupted), (0, 2, Verdict::Succeeded)]
    );
}

pub(crate) async fn the_same_report_twice_is_recorded_once(house: &House) {
    house.entitle(unlimited(1)).await;
    let claims = house.accept(&events("e", 2), ROOMY).await.claims;
    let batch = [success(&claims[0]), retry(&claims[1], secs(1)), success(&claims[0])];
    assert_eq!(
        house.store.finish(&batch).await.unwrap(),
        [Reported::Recorded, Reported::Recorded, Reported::ClaimLost]
    );
    assert_eq!(house.report(retry(&claims[1], secs(1))).await, Reported::ClaimLost);
    assert_eq!(house.number("SELECT count(*) FROM attempt").await, 2);
}

pub(crate) async fn cancelling_during_an_attempt_ends_what_would_go_on(house: &House) {
    house.entitle(unlimited(1)).await;
    let claims = house.accept(&events("e", 3), ROOMY).await.claims;
    for claim in &claims {
        let cancelled = house.store.cancel(&house.acme, claim.execution).await.unwrap();
        assert_eq!(cancelled, Cancelled::WhenAttemptEnds);
        assert_eq!(house.state(claim.execution).await, State::Running);
    }
    let batch = [retry(&claims[0], secs(1)), hand_back(&claims[1], secs(1)), failure(&claims[2])];
    house.store.finish(&batch).await.unwrap();
    for claim in &claims[..2] {
        let end = house.end(claim.execution).await;
        assert_eq!((end.state, end.reason), (EndState::Cancelled, Some(EndReason::Cancelled)));
    }
    assert_eq!(house.end(claims[2].execution).await.state, EndState::Failed);
    assert_eq!(attempts(house, claims[0].execution).await, [(0, 1, Verdict::Retried)]);
    assert!(attempts(house, claims[1].execution).await.is_empty());
}

pub(crate) async fn an_execution_cancelled_between_deliveries_opens_again_at_the_one_not_sent(house: &House) {
    house.entitle(unlimited(1)).await;
    let two = steps(1, &[(1, Span::ZERO), (2, Span::ZERO)]);
    let claim = house.start(event("e1", vec![two])).await;
    house.store.cancel(&house.acme, claim.execution).await.unwrap();
    house.record(advance(&claim)).await;
    assert_eq!(house.end(claim.execution).await.state, EndState::Cancelled);
    house.store.retry(&house.acme, claim.execution).await.unwrap();
    let again = house.claim_one().await;
    assert_eq!((again.step, again.attempt), (1, 1), "the first was delivered");
    house.record(success(&again)).await;
}

pub(crate) async fn cancelling_during_the_last_attempt_leaves_its_success(house: &House) {
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e1", vec![run(1, 1)])).await;
    house.store.cancel(&house.acme, claim.execution).await.unwrap();
    house.record(success(&claim)).await;
    assert_eq!(house.end(claim.execution).await.state, EndState::Succeeded);
}

pub(crate) async fn stopping_during_an_attempt_ends_what_would_go_on(house: &House) {
    house.entitle(unlimited(1)).await;
    let made =
        event("e1", vec![steps(1, &[(1, Span::ZERO), (2, Span::ZERO)]), run(1, 1), run(1, 1), run(2, 1)]);
    let claims = house.accept(&[made], ROOMY).await.claims;
    let stopped = house.store.stop(&house.acme, automation(1), 1).await.unwrap();
    assert_eq!((stopped.generation, stopped.more), (1, false));
    let batch =
        [advance(&claims[0]), retry(&claims[1], secs(1)), success(&claims[2]), retry(&claims[3], secs(1))];
    house.store.finish(&batch).await.unwrap();
    for claim in &claims[..2] {
        let end = house.end(claim.execution).await;
        assert_eq!((end.state, end.reason), (EndState::Stopped, Some(EndReason::AutomationDeactivated)));
    }
    assert_eq!(house.end(claims[2].execution).await.state, EndState::Succeeded);
    assert!(matches!(house.state(claims[3].execution).await, State::Waiting(_)), "another automation");
    assert_eq!(attempts(house, claims[0].execution).await, [(0, 1, Verdict::Succeeded)]);
}

pub(crate) async fn ends_are_numbered_after_a_retry(house: &House) {
    house.entitle(unlimited(1)).await;
    let mut claim = house.start(event("e1", vec![run(1, 1)])).await;
    for _ in 0..2 {
        house.record(failure(&claim)).await;
        house.advance(secs(1)).await;
        let retried = house.store.retry(&house.acme, claim.execution).await.unwrap();
        assert_eq!(retried, Retried::Reopened);
        claim = house.claim_one().await;
    }
    house.record(success(&claim)).await;
    assert_eq!(house.number("SELECT max(number) FROM ending").await, 3);
    assert_eq!(house.end(claim.execution).await.state, EndState::Succeeded, "the latest counts");
    assert_eq!(
        attempts(house, claim.execution).await,
        [(0, 1, Verdict::Failed), (0, 2, Verdict::Failed), (0, 3, Verdict::Succeeded)]
    );
}
