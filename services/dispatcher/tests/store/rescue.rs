//! Rescue: what became of claims whose owner did not report within the lease.

use sluice_dispatcher::attempt::{Attempt, Verdict};
use sluice_dispatcher::claim::{Claim, Finish, Reported};
use sluice_dispatcher::execution::{EndReason, EndState, Next, State};
use sluice_domain::Span;

use super::finish::attempts;
use super::makers::{
    House, ROOMY, automation, claimed, event, events, lease, plan, retry, run, secs, success, unlimited,
};

async fn interrupt(house: &House) {
    house.advance(lease().length).await;
    assert_eq!(house.store.rescue().await.unwrap().len(), 1);
}

pub(crate) async fn an_interrupted_attempt_is_kept_and_uses_no_retry(house: &House) {
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e1", vec![run(1, 1)])).await;
    let began = house.now();
    house.advance(lease().length).await;
    let [cut_off] = &house.store.rescue().await.unwrap()[..] else { panic!("one was cut off") };
    assert_eq!((cut_off.execution, cut_off.step, cut_off.attempt), (claim.execution, 0, 1));
    assert_eq!((&cut_off.traceparent, cut_off.claimed_at), (&claim.traceparent, began));
    let again = house.claim_one().await;
    assert_eq!((again.attempt, again.retries), (2, 0));
    let kept = house.shown(claim.execution).await.attempts.remove(0);
    assert_eq!((kept.number, kept.verdict), (1, Verdict::Interrupted));
    assert_eq!((kept.started_at, kept.ended_at, kept.answer), (began, Some(house.now()), None));
    house.record(retry(&again, secs(5))).await;
    house.advance(secs(5)).await;
    let third = house.claim_one().await;
    assert_eq!((third.attempt, third.retries), (3, 1));
}

pub(crate) async fn an_attempt_that_its_owner_cut_off_uses_no_retry_and_counts_as_interrupted(house: &House) {
    house.entitle(unlimited(1)).await;
    let mut claim: Claim = house.start(event("e1", vec![run(1, 1)])).await;
    for number in 2..=5 {
        let report = retry(&claim, secs(5));
        let attempt =
            report.attempt.clone().map(|attempt| Attempt { verdict: Verdict::Interrupted, ..attempt });
        house.record(Finish { attempt, next: Next::HandBack(Span::ZERO), ..report }).await;
        claim = house.claim_one().await;
        assert_eq!((claim.attempt, claim.retries), (number, 0), "at once");
    }
    interrupt(house).await;
    assert!(matches!(house.state(claim.execution).await, State::Waiting(_)), "the fifth in a row");
    let verdicts = attempts(house, claim.execution).await.into_iter().map(|(_, _, verdict)| verdict);
    assert_eq!(verdicts.collect::<Vec<_>>(), [Verdict::Interrupted; 5]);
}

pub(crate) async fn nothing_is_rescued_before_its_lease_ends(house: &House) {
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e1", vec![run(1, 1)])).await;
    house.advance(Span::from_micros(lease().length.as_micros() - 1)).await;
    assert_eq!(house.store.rescue().await.unwrap().len(), 0);
    assert_eq!(house.state(claim.execution).await, State::Running);
    house.advance(Span::from_micros(1)).await;
    assert_eq!(house.store.rescue().await.unwrap().len(), 1);
    assert_eq!(house.store.rescue().await.unwrap().len(), 0);
}

pub(crate) async fn five_interruptions_go_on_at_once_and_then_the_schedule_counts(house: &House) {
    house.entitle(unlimited(1)).await;
    let first = house.start(event("e1", vec![run(1, 1)])).await;
    for number in 1..5 {
        interrupt(house).await;
        assert_eq!(house.claim_one().await.attempt, number + 1, "at once");
    }
    for (interruptions, mean) in [(5, 5), (6, 20), (7, 80)] {
        interrupt(house).await;
        let State::Waiting(due) = house.state(first.execution).await else { panic!("it waits") };
        let wait = due.since(house.now());
        let (least, most) = (secs(mean * 4 / 5), secs(mean * 6 / 5));
        assert!((least..=most).contains(&wait), "after {interruptions}: {wait:?}");
        assert!(house.claim(ROOMY).await.is_empty());
        house.db.time.set(due).await;
        assert_eq!(house.claim_one().await.attempt, interruptions + 1);
    }
    assert_eq!(attempts(house, first.execution).await.len(), 8, "it never fails for that");
}

pub(crate) async fn a_report_between_interruptions_starts_the_count_anew(house: &House) {
    house.entitle(unlimited(1)).await;
    let mut claim: Claim = house.start(event("e1", vec![run(1, 1)])).await;
    for _ in 0..2 {
        for _ in 0..4 {
            interrupt(house).await;
            claim = house.claim_one().await;
        }
        house.record(retry(&claim, secs(5))).await;
        house.advance(secs(5)).await;
        claim = house.claim_one().await;
    }
    assert_eq!((claim.attempt, claim.retries), (11, 2));
}

pub(crate) async fn a_rescue_respects_the_stop_marker(house: &House) {
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e1", vec![run(1, 1)])).await;
    house.store.stop(&house.acme, automation(1), 1).await.unwrap();
    assert_eq!(house.state(claim.execution).await, State::Running);
    interrupt(house).await;
    let end = house.end(claim.execution).await;
    assert_eq!((end.state, end.reason), (EndState::Stopped, Some(EndReason::AutomationDeactivated)));
    assert_eq!(attempts(house, claim.execution).await, [(0, 1, Verdict::Interrupted)]);
}

pub(crate) async fn a_rescue_respects_a_request_to_cancel(house: &House) {
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e1", vec![run(1, 1)])).await;
    house.store.cancel(&house.acme, claim.execution).await.unwrap();
    interrupt(house).await;
    assert_eq!(house.end(claim.execution).await.state, EndState::Cancelled);
}

pub(crate) async fn rescued_work_goes_on_without_a_second_charge(house: &House) {
    house.entitle(plan(1, 1, 2)).await;
    let made = events("e", 3);
    let claims = house.accept(&made, ROOMY).await.claims;
    assert_eq!(claims.len(), 2);
    house.record(success(&claims[1])).await;
    interrupt(house).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), [claims[0].execution], "no cell is free, none is needed");
}

pub(crate) async fn a_report_and_a_rescue_at_once_leave_one_of_them(house: &House) {
    house.entitle(unlimited(1)).await;
    let claims = house.accept(&events("e", 40), ROOMY).await.claims;
    house.advance(lease().length).await;
    let (ours, theirs) = (house.store.clone(), house.another_store().await);
    let reporting = tokio::spawn(async move {
        let mut reports = Vec::new();
        for (at, claim) in claims.iter().enumerate() {
            let finish = if at % 2 == 0 { success(claim) } else { retry(claim, secs(1)) };
            reports.extend(ours.finish(&[finish]).await.unwrap());
        }
        reports
    });
    let rescued = theirs.rescue().await.unwrap().len();
    let reports = reporting.await.unwrap();
    let recorded = reports.iter().filter(|report| **report == Reported::Recorded).count();
    assert_eq!(recorded + rescued, 40);
    assert_eq!(house.number("SELECT count(*) FROM attempt").await, 40);
}
