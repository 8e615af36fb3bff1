//! Webhooks that the system gives up: what waits pauses until the registry has taken it up, then fails, and can be brought back.

use sluice_dispatcher::attempt::{Attempt, Verdict};
use sluice_dispatcher::breaker::{Standing, Why};
use sluice_dispatcher::claim::{Claim, Finish};
use sluice_dispatcher::execution::{End, EndReason, Next, PauseReason, State};
use sluice_dispatcher::store::{Disabling, Retried};
use sluice_domain::Span;

use super::breaker::break_open;
use super::makers::{
    House, ROOMY, advance, attempt, claimed, event, events, ids_of, report, retry, run, secs, steps, success,
    unlimited, webhook,
};
use super::ordering::line_of;

const PAUSED: State = State::Paused(PauseReason::WebhookDisabled, None);

/// The receiver answers 410.
fn gone(claim: &Claim) -> Finish {
    let tried = attempt(claim, Verdict::Failed);
    let answer =
        tried.answer.clone().map(|answer| sluice_dispatcher::attempt::KeptAnswer { status: 410, ..answer });
    let end = End::failed(EndReason::RefusedByReceiver, "the receiver answered 410");
    report(claim, Some(Attempt { answer, ..tried }), Next::End(end))
}

pub(crate) async fn lose(house: &House) {
    let claim = house.start(event("lost", vec![run(1, 1)])).await;
    house.record(gone(&claim)).await;
}

pub(crate) async fn answer(house: &House, revision: i64, standing: Standing) {
    house.store.settle_disabling(&house.acme, webhook(1), revision, standing).await.unwrap();
}

pub(crate) async fn told(house: &House, revision: i64, standing: Standing) -> bool {
    house.store.put_webhook(&house.acme, webhook(1), revision, standing).await.unwrap()
}

async fn swept(house: &House) -> usize {
    let mut steps = 0;
    while house.store.sweep_webhook(&house.acme, webhook(1)).await.unwrap() {
        steps += 1;
    }
    steps
}

fn disabling(house: &House, why: Why) -> Disabling {
    Disabling { account: house.acme.clone(), webhook: webhook(1), version: 1, why }
}

pub(crate) async fn what_waits_for_a_receiver_that_is_gone_fails_once_the_registry_knows(house: &House) {
    house.entitle(unlimited(1)).await;
    let ids = house.queue(&events("e", 4)).await;
    let under_way = house.claim(1).await.remove(0);
    lose_claimed(house).await;
    assert_eq!(house.state(ids[2]).await, PAUSED, "nothing fails before the registry has it");
    assert!(house.claim(ROOMY).await.is_empty());
    let after = house.another_store().await;
    assert_eq!(after.disabling().await.unwrap(), [disabling(house, Why::Gone)], "also after a restart");
    let gated = after.gated_webhooks().await.unwrap();
    assert_eq!(
        gated.into_values().collect::<Vec<_>>(),
        [true],
        "the registry's word that it is enabled is news"
    );
    answer(house, 7, Standing::DisabledBySystem(Why::Gone)).await;
    assert!(house.store.disabling().await.unwrap().is_empty());
    assert_eq!(house.store.unswept_webhooks().await.unwrap(), [(house.acme.clone(), webhook(1))]);
    assert_eq!(swept(house).await, 0);
    for id in &ids[2..] {
        assert_eq!(house.end(*id).await, End::webhook_disabled());
    }
    let new = event("new", vec![run(1, 1)]);
    assert!(house.accept(std::slice::from_ref(&new), ROOMY).await.claims.is_empty());
    assert_eq!(house.end(new.executions[0].id).await, End::webhook_disabled(), "at acceptance");
    house.record(retry(&under_way, secs(5))).await;
    assert_eq!(house.end(ids[0]).await, End::webhook_disabled(), "what would be tried again");
    assert!(house.store.unswept_webhooks().await.unwrap().is_empty());
}

pub(crate) async fn many_that_wait_are_ended_in_bounded_steps(house: &House) {
    house.entitle(unlimited(1)).await;
    let ids = house.queue(&events("e", 1_200)).await;
    lose_claimed(house).await;
    answer(house, 7, Standing::DisabledBySystem(Why::Gone)).await;
    assert_eq!(swept(house).await, 2, "500, 500 and the rest");
    assert_eq!(house.end(ids[1_199]).await, End::webhook_disabled());
}

/// The next of the queue is answered 410.
async fn lose_claimed(house: &House) {
    let claim = house.claim(1).await.remove(0);
    house.record(gone(&claim)).await;
}

pub(crate) async fn failing_for_too_long_disables_at_the_next_probe(house: &House) {
    house.entitle(unlimited(1)).await;
    break_open(house).await;
    let ids = house.queue(&events("e", 3)).await;
    house.advance(secs(4 * 86_400)).await;
    let probe = house.claim(1).await.remove(0);
    house.record(retry(&probe, secs(30 * 86_400))).await;
    assert!(house.store.disabling().await.unwrap().is_empty(), "it fails for four days");
    house.advance(secs(86_400)).await;
    let probe = house.claim(1).await.remove(0);
    house.record(retry(&probe, secs(30 * 86_400))).await;
    assert_eq!(house.store.disabling().await.unwrap(), [disabling(house, Why::Failing)]);
    answer(house, 7, Standing::DisabledBySystem(Why::Failing)).await;
    swept(house).await;
    assert_eq!(house.end(ids[2]).await, End::webhook_disabled());
}

pub(crate) async fn one_that_was_changed_since_goes_on(house: &House) {
    house.entitle(unlimited(1)).await;
    let ids = house.queue(&events("e", 2)).await;
    lose_claimed(house).await;
    assert_eq!(house.state(ids[1]).await, PAUSED);
    assert!(told(house, 5, Standing::Enabled).await, "its gate is open");
    assert!(house.claim(ROOMY).await.is_empty(), "and the registry has not answered yet");
    answer(house, 5, Standing::Enabled).await;
    assert_eq!(house.wake().await, Some(house.now()));
    assert_eq!(claimed(&house.claim(ROOMY).await), ids[1..]);
}

pub(crate) async fn one_that_was_enabled_again_before_the_answer_was_here_goes_on(house: &House) {
    house.entitle(unlimited(1)).await;
    let ids = house.queue(&events("e", 2)).await;
    lose_claimed(house).await;
    told(house, 9, Standing::Enabled).await;
    answer(house, 8, Standing::DisabledBySystem(Why::Gone)).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), ids[1..]);
}

pub(crate) async fn the_feed_may_be_faster_than_the_answer_and_neither_is_older_than_the_other(
    house: &House,
) {
    house.entitle(unlimited(1)).await;
    let ids = house.queue(&events("e", 2)).await;
    lose_claimed(house).await;
    assert!(told(house, 7, Standing::DisabledBySystem(Why::Gone)).await);
    answer(house, 7, Standing::DisabledBySystem(Why::Gone)).await;
    assert!(!told(house, 7, Standing::Enabled).await && !told(house, 6, Standing::Enabled).await);
    swept(house).await;
    assert_eq!(house.end(ids[1]).await, End::webhook_disabled());
    // A dispatcher that never saw it fail learns of it, too.
    told(house, 8, Standing::Enabled).await;
    told(house, 9, Standing::DisabledBySystem(Why::Gone)).await;
    let new = event("new", vec![run(1, 1)]);
    house.accept(std::slice::from_ref(&new), ROOMY).await;
    assert_eq!(house.end(new.executions[0].id).await, End::webhook_disabled());
    // What was read before the last word and comes after it enables nothing.
    assert!(told(house, 11, Standing::DisabledBySystem(Why::Gone)).await);
    assert!(!told(house, 10, Standing::Enabled).await);
    let newer = event("newer", vec![run(1, 1)]);
    house.accept(std::slice::from_ref(&newer), ROOMY).await;
    assert_eq!(house.end(newer.executions[0].id).await, End::webhook_disabled());
}

pub(crate) async fn a_late_answer_to_an_earlier_disabling_hides_no_later_one(house: &House) {
    house.entitle(unlimited(1)).await;
    lose(house).await;
    told(house, 5, Standing::Enabled).await;
    answer(house, 5, Standing::Enabled).await;
    let again = house.start(event("lost again", vec![run(1, 1)])).await;
    house.record(gone(&again)).await;
    // Another dispatcher had asked for the first disabling, too, and a request fails before there is an answer to the second.
    answer(house, 5, Standing::Enabled).await;
    let failing = house.start(event("failing", vec![run(1, 1)])).await;
    house.record(retry(&failing, secs(5))).await;
    answer(house, 6, Standing::DisabledBySystem(Why::Gone)).await;
    told(house, 6, Standing::DisabledBySystem(Why::Gone)).await;
    swept(house).await;
    assert_eq!(house.end(failing.execution).await, End::webhook_disabled());
}

pub(crate) async fn what_it_ends_leaves_its_records_line(house: &House) {
    house.entitle(unlimited(1)).await;
    let ids = house.queue(&line_of("1", 3)).await;
    lose_claimed(house).await;
    answer(house, 7, Standing::DisabledBySystem(Why::Gone)).await;
    swept(house).await;
    assert_eq!(house.end(ids[2]).await, End::webhook_disabled());
    assert_eq!(house.number("SELECT count(*) FROM line").await, 0);
    told(house, 8, Standing::Enabled).await;
    let next = line_of("1", 1).remove(0);
    assert_eq!(house.start(next.clone()).await.execution, next.executions[0].id, "nobody stands before it");
}

pub(crate) async fn what_failed_is_brought_back_once_the_webhook_is_enabled_again(house: &House) {
    house.entitle(unlimited(1)).await;
    let ids = house.queue(&events("e", 3)).await;
    lose_claimed(house).await;
    answer(house, 7, Standing::DisabledBySystem(Why::Gone)).await;
    swept(house).await;
    assert_eq!(house.store.retry(&house.acme, ids[1]).await.unwrap(), Retried::WebhookDisabled);
    assert!(told(house, 8, Standing::Enabled).await);
    assert_eq!(house.number("SELECT count(*) FROM breaker").await, 0);
    for id in &ids[1..] {
        assert_eq!(house.store.retry(&house.acme, *id).await.unwrap(), Retried::Reopened);
    }
    let claims = house.claim(ROOMY).await;
    assert_eq!(claimed(&claims), ids[1..]);
    assert!(claims.iter().all(|claim| claim.attempt == 1));
    house.record(success(&claims[0])).await;
    assert_eq!(house.end(ids[1]).await, End::succeeded());
}

pub(crate) async fn a_step_towards_it_ends_the_execution_where_it_stands(house: &House) {
    house.entitle(unlimited(1)).await;
    lose(house).await;
    answer(house, 7, Standing::DisabledBySystem(Why::Gone)).await;
    let claim = house.start(event("e", vec![steps(3, &[(2, Span::ZERO), (1, Span::ZERO)])])).await;
    house.record(advance(&claim)).await;
    assert_eq!(house.end(claim.execution).await, End::webhook_disabled());
    told(house, 8, Standing::Enabled).await;
    house.store.retry(&house.acme, claim.execution).await.unwrap();
    let again = house.claim_one().await;
    assert_eq!((again.execution, again.step), (claim.execution, 1), "the first step is not sent again");
}

pub(crate) async fn a_deleted_webhook_has_no_breaker_and_what_waits_goes_on_to_fail(house: &House) {
    house.entitle(unlimited(1)).await;
    let made = events("e", 2);
    house.queue(&made).await;
    lose_claimed(house).await;
    told(house, 7, Standing::Gone).await;
    assert_eq!(house.number("SELECT count(*) FROM breaker").await, 0);
    assert_eq!(claimed(&house.claim(ROOMY).await), ids_of(&made)[1..]);
}
