//! What people and the registry ask for: stopping, cancelling, trying again.

use sluice_dispatcher::attempt::Verdict;
use sluice_dispatcher::execution::{EndReason, EndState, State};
use sluice_dispatcher::store::{Cancelled, NewEvent, NewExecution, Retried};
use sluice_domain::{ExecutionId, Span};

use super::finish::attempts;
use super::makers::{
    House, ROOMY, account, advance, automation, claimed, event, events, failure, new_id, plan, rejected,
    retry, run, secs, steps, success, unlimited,
};

pub(crate) async fn stopping_sweeps_in_steps(house: &House) {
    let made: Vec<NewEvent> = (0..1_234)
        .map(|at| event(&format!("e{at}"), vec![run(if at % 40 == 0 { 2 } else { 1 }, 1)]))
        .collect();
    house.queue(&made).await;
    let key = (house.acme.clone(), automation(1));
    let mut stopped = house.store.stop(&key.0, key.1, 1).await.unwrap();
    let mut steps = 1;
    while stopped.more {
        super::invariants::check(house).await;
        assert_eq!(house.store.unswept().await.unwrap(), std::slice::from_ref(&key));
        stopped = house.store.sweep(&key.0, key.1).await.unwrap();
        steps += 1;
    }
    assert_eq!((steps, stopped.generation), (3, 1));
    assert!(house.store.unswept().await.unwrap().is_empty());
    assert_eq!(house.number("SELECT count(*) FROM pending").await, 31);
    assert_eq!(house.number("SELECT count(*) FROM ending WHERE state = 'STOPPED'").await, 1_203);
}

pub(crate) async fn stopping_reaches_its_generation_and_those_before_and_no_others(house: &House) {
    let of = |generation| NewExecution { generation, ..run(1, 1) };
    let ids = house.queue(&[event("e1", vec![of(1), of(2), of(3), run(2, 1)])]).await;
    house.store.stop(&house.acme, automation(1), 2).await.unwrap();
    for id in &ids[..2] {
        assert_eq!(house.end(*id).await.state, EndState::Stopped);
    }
    house.entitle(unlimited(1)).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), ids[2..]);
}

pub(crate) async fn a_marker_never_goes_back(house: &House) {
    let stop = |generation| house.store.stop(&house.acme, automation(1), generation);
    assert_eq!(stop(5).await.unwrap().generation, 5);
    assert_eq!(stop(3).await.unwrap().generation, 5);
    let made = event("e1", vec![NewExecution { generation: 4, ..run(1, 1) }]);
    let id = made.executions[0].id;
    house.accept(&[made], ROOMY).await;
    assert_eq!(house.end(id).await.state, EndState::Stopped);
}

async fn cancel(house: &House, id: ExecutionId) -> Cancelled {
    house.store.cancel(&house.acme, id).await.unwrap()
}

async fn try_again(house: &House, id: ExecutionId) -> Retried {
    house.store.retry(&house.acme, id).await.unwrap()
}

pub(crate) async fn cancel_in_every_state(house: &House) {
    let unknown = house.queue(&events("paused", 1)).await[0];
    assert_eq!(cancel(house, unknown).await, Cancelled::Ended);
    assert_eq!(cancel(house, unknown).await, Cancelled::AlreadyEnded(EndState::Cancelled));

    house.entitle(unlimited(1)).await;
    let queued = house.queue(&events("queued", 1)).await[0];
    assert_eq!(house.state(queued).await, State::Queued);
    assert_eq!(cancel(house, queued).await, Cancelled::Ended);

    let running = house.start(event("running", vec![run(1, 1)])).await;
    assert_eq!(cancel(house, running.execution).await, Cancelled::WhenAttemptEnds);
    assert_eq!(cancel(house, running.execution).await, Cancelled::WhenAttemptEnds);
    house.record(retry(&running, secs(1))).await;
    assert_eq!(cancel(house, running.execution).await, Cancelled::AlreadyEnded(EndState::Cancelled));

    let waiting = house.start(event("waiting", vec![run(1, 1)])).await;
    house.record(retry(&waiting, secs(60))).await;
    assert_eq!(cancel(house, waiting.execution).await, Cancelled::Ended);
    assert_eq!(attempts(house, waiting.execution).await, [(0, 1, Verdict::Retried)]);

    for (name, finish, state) in [
        ("good", success as fn(&_) -> _, EndState::Succeeded),
        ("bad", failure as fn(&_) -> _, EndState::Failed),
    ] {
        let claim = house.start(event(name, vec![run(1, 1)])).await;
        house.record(finish(&claim)).await;
        assert_eq!(cancel(house, claim.execution).await, Cancelled::AlreadyEnded(state));
    }
    house.advance(secs(3_600)).await;
    assert!(house.claim(ROOMY).await.is_empty(), "nothing of it goes on");
}

pub(crate) async fn retry_in_every_state(house: &House) {
    house.entitle(unlimited(1)).await;
    let queued = house.queue(&events("queued", 1)).await[0];
    assert_eq!(try_again(house, queued).await, Retried::NotEnded);
    assert_eq!(cancel(house, queued).await, Cancelled::Ended);
    assert_eq!(try_again(house, queued).await, Retried::Reopened);
    assert_eq!(try_again(house, queued).await, Retried::NotEnded);
    let claim = house.claim_one().await;
    assert_eq!(try_again(house, queued).await, Retried::NotEnded, "running");
    house.record(success(&claim)).await;
    assert_eq!(try_again(house, queued).await, Retried::Final(EndState::Succeeded));

    let made = event("rejected", vec![rejected()]);
    let id = made.executions[0].id;
    house.accept(&[made], ROOMY).await;
    assert_eq!(try_again(house, id).await, Retried::NothingToSend);

    let claims = house.accept(&[event("two", vec![run(3, 1), run(3, 1)])], ROOMY).await.claims;
    house.record(failure(&claims[0])).await;
    house.record(retry(&claims[1], secs(1))).await;
    house.store.stop(&house.acme, automation(3), 1).await.unwrap();
    assert_eq!(try_again(house, claims[0].execution).await, Retried::AutomationDeactivated);
    assert_eq!(try_again(house, claims[1].execution).await, Retried::Final(EndState::Stopped));
}

pub(crate) async fn a_retry_costs_nothing_more_and_keeps_the_delivery_and_its_numbers(house: &House) {
    house.entitle(plan(1, 1, 1)).await;
    let first = house.start(event("e1", vec![steps(1, &[(1, Span::ZERO), (2, Span::ZERO)])])).await;
    house.record(advance(&first)).await;
    let second = house.claim_one().await;
    house.record(retry(&second, Span::ZERO)).await;
    let second = house.claim_one().await;
    house.record(failure(&second)).await;
    let started = house.shown(first.execution).await.started_at;

    assert_eq!(try_again(house, first.execution).await, Retried::Reopened);
    assert_eq!(house.wake().await, Some(house.now()));
    let third = house.claim_one().await;
    assert_eq!((third.step, third.attempt, third.retries), (1, 3, 0), "numbers go on, the schedule is fresh");
    assert_eq!(third.plan.deliveries[1].id, first.plan.deliveries[1].id);
    house.record(success(&third)).await;
    assert_eq!(house.shown(first.execution).await.started_at, started);
    assert_eq!(
        attempts(house, first.execution).await,
        [
            (0, 1, Verdict::Succeeded),
            (1, 1, Verdict::Retried),
            (1, 2, Verdict::Failed),
            (1, 3, Verdict::Succeeded)
        ]
    );
}

pub(crate) async fn a_retry_of_what_never_started_is_charged_when_it_starts(house: &House) {
    house.entitle(plan(1, 60, 1)).await;
    let first = house.start(event("e1", vec![run(1, 1)])).await;
    let waiting = house.queue(&events("f", 1)).await[0];
    assert_eq!(cancel(house, waiting).await, Cancelled::Ended);
    let end = house.end(waiting).await;
    assert_eq!((end.state, end.reason), (EndState::Cancelled, Some(EndReason::Cancelled)));
    assert_eq!(try_again(house, waiting).await, Retried::Reopened);
    assert!(house.claim(ROOMY).await.is_empty(), "no cell is free");
    house.advance(secs(1)).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), [waiting]);
    assert!(house.accept(&events("g", 1), ROOMY).await.claims.is_empty());
    house.record(success(&first)).await;
}

pub(crate) async fn foreign_and_unknown_executions_are_not_found(house: &House) {
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e1", vec![run(1, 1)])).await;
    house.record(failure(&claim)).await;
    let other = account("other");
    house.store.apply_entitlements(&other, &unlimited(1)).await.unwrap();
    for (account, id) in [(&other, claim.execution), (&other, new_id()), (&house.acme, new_id())] {
        assert_eq!(house.store.cancel(account, id).await.unwrap(), Cancelled::NotFound);
        assert_eq!(house.store.retry(account, id).await.unwrap(), Retried::NotFound);
        assert!(house.store.execution(account, id).await.unwrap().is_none());
    }
    assert_eq!(house.end(claim.execution).await.reason, Some(EndReason::RefusedByReceiver));
}
