//! Ordering by record: whose turn it is at a webhook that wants it.

use sluice_dispatcher::execution::State;
use sluice_dispatcher::line::IN_LINE;
use sluice_dispatcher::store::{Cancelled, NewEvent, NewExecution, Retried, Work};
use sluice_domain::{ExecutionId, Span};

use super::makers::{
    House, ROOMY, advance, automation, claimed, event, failure, lease, notification, plan, retry, run, secs,
    steps, success, unlimited, webhook,
};

/// The same to webhooks that are ordered by record.
fn ordered(mut execution: NewExecution) -> NewExecution {
    if let Work::Deliver(plan) = &mut execution.work {
        std::sync::Arc::make_mut(plan).deliveries.iter_mut().for_each(|delivery| delivery.ordered = true);
    }
    execution
}

/// An event about a record that sets this off.
fn about(record: &str, execution: NewExecution) -> NewEvent {
    let mut event = event(&execution.id.to_string(), vec![execution]);
    event.event.record_id = record.into();
    event
}

pub(crate) fn line_of(record: &str, count: usize) -> Vec<NewEvent> {
    (0..count).map(|_| about(record, ordered(run(1, 1)))).collect()
}

fn ids(events: &[NewEvent]) -> Vec<ExecutionId> {
    super::makers::ids_of(events)
}

async fn in_line(house: &House, id: ExecutionId) -> bool {
    house.state(id).await == State::Waiting(IN_LINE)
}

pub(crate) async fn the_next_about_a_record_starts_when_the_one_before_is_over(house: &House) {
    house.entitle(unlimited(1)).await;
    let line = line_of("1", 3);
    let mut batch = line.clone();
    batch.push(about("2", ordered(run(1, 1))));
    batch.push(about("1", run(1, 2)));
    batch.push(about("1", ordered(run(1, 3))));
    let started = house.accept(&batch, ROOMY).await.claims;
    let (line, all) = (ids(&line), ids(&batch));
    assert_eq!(claimed(&started), [all[0], all[3], all[4], all[5]], "other records and webhooks go on");
    assert!(in_line(house, line[1]).await && in_line(house, line[2]).await);
    assert_eq!(house.wake().await, None, "nobody looks for what waits for its turn");
    assert!(house.claim(ROOMY).await.is_empty());
    house.record(success(&started[0])).await;
    assert!(house.state(line[1]).await == State::Queued && in_line(house, line[2]).await);
    let second = house.claim_one().await;
    assert_eq!(second.execution, line[1]);
    house.record(failure(&second)).await;
    assert_eq!(house.claim_one().await.execution, line[2], "a failure lets the next through");
}

pub(crate) async fn what_comes_later_stands_behind_what_is_there(house: &House) {
    house.entitle(unlimited(1)).await;
    let first = house.start(about("1", ordered(run(1, 1)))).await;
    let (second, third) = (about("1", ordered(run(2, 1))), about("1", ordered(notification(1))));
    assert!(house.accept(std::slice::from_ref(&second), ROOMY).await.claims.is_empty());
    house.record(success(&first)).await;
    let claims = house.accept(&[third], ROOMY).await.claims;
    assert_eq!(claimed(&claims), ids(&[second]), "whoever was called goes first, whatever set it off");
}

pub(crate) async fn a_retry_holds_the_later_ones_up_over_a_restart(house: &House) {
    house.entitle(unlimited(1)).await;
    let line = line_of("1", 2);
    let first = house.accept(&line, ROOMY).await.claims.remove(0);
    house.record(retry(&first, secs(60))).await;
    house.advance(secs(59)).await;
    assert!(house.claim(ROOMY).await.is_empty());
    house.advance(secs(1)).await;
    let again = house.another_store().await.claim(&house.acme, ROOMY).await.unwrap().claims;
    assert_eq!((claimed(&again), again[0].attempt), (vec![first.execution], 2));
    house.record(success(&again[0])).await;
    assert_eq!(house.claim_one().await.execution, ids(&line)[1]);
}

pub(crate) async fn a_delay_holds_nobody_up_and_then_takes_its_place_behind(house: &House) {
    house.entitle(unlimited(1)).await;
    let delayed = about("1", ordered(steps(1, &[(1, secs(30))])));
    let line = line_of("1", 2);
    let batch = [vec![delayed.clone()], line.clone()].concat();
    let first = house.accept(&batch, ROOMY).await.claims.remove(0);
    assert_eq!(first.execution, ids(&line)[0]);
    house.advance(secs(30)).await;
    assert!(house.claim(ROOMY).await.is_empty(), "it comes due during another one");
    let delayed = ids(&[delayed])[0];
    assert!(in_line(house, delayed).await);
    house.record(success(&first)).await;
    let second = house.claim_one().await;
    assert_eq!(second.execution, ids(&line)[1]);
    house.record(success(&second)).await;
    assert_eq!(house.claim_one().await.execution, delayed);
}

pub(crate) async fn what_comes_due_and_what_is_accepted_in_one_transaction_stand_in_that_order(
    house: &House,
) {
    house.entitle(unlimited(1)).await;
    let delayed = about("1", ordered(steps(1, &[(1, secs(5))])));
    house.accept(std::slice::from_ref(&delayed), ROOMY).await;
    house.advance(secs(5)).await;
    let line = line_of("1", 2);
    let claims = house.accept(&line, ROOMY).await.claims;
    assert_eq!(claimed(&claims), ids(&[delayed]));
    assert_eq!(house.store.cancel(&house.acme, ids(&line)[0]).await.unwrap(), Cancelled::Ended);
    assert!(house.claim(ROOMY).await.is_empty(), "nobody is called while the first is under way");
    house.record(success(&claims[0])).await;
    assert_eq!(house.claim_one().await.execution, ids(&line)[1]);
}

pub(crate) async fn cancelled_ones_let_the_next_through_wherever_they_stand(house: &House) {
    house.entitle(unlimited(1)).await;
    let events = line_of("1", 4);
    let line = ids(&events);
    house.queue(&events).await;
    let cancel = |id| house.store.cancel(&house.acme, id);
    assert_eq!(cancel(line[1]).await.unwrap(), Cancelled::Ended);
    assert_eq!(cancel(line[0]).await.unwrap(), Cancelled::Ended);
    let third = house.claim_one().await;
    assert_eq!(third.execution, line[2]);
    assert_eq!(cancel(line[2]).await.unwrap(), Cancelled::WhenAttemptEnds);
    assert!(house.claim(ROOMY).await.is_empty(), "its attempt is under way");
    house.record(retry(&third, secs(5))).await;
    assert_eq!(house.claim_one().await.execution, line[3]);
}

pub(crate) async fn a_stopped_automation_lets_those_of_others_through(house: &House) {
    house.entitle(unlimited(1)).await;
    let mine = [about("1", ordered(run(1, 1))), about("1", ordered(run(1, 1)))];
    let others = about("1", ordered(run(2, 1)));
    house.queue(&[mine.to_vec(), vec![others.clone()]].concat()).await;
    house.store.stop(&house.acme, automation(1), 1).await.unwrap();
    assert_eq!(claimed(&house.claim(ROOMY).await), ids(&[others]));
}

pub(crate) async fn a_rescued_one_keeps_its_place(house: &House) {
    house.entitle(unlimited(1)).await;
    let line = line_of("1", 2);
    let first = house.accept(&line, ROOMY).await.claims.remove(0);
    house.advance(lease().length).await;
    assert_eq!(house.store.rescue().await.unwrap().len(), 1);
    let again = house.claim_one().await;
    assert_eq!((again.execution, again.attempt), (first.execution, 2));
    house.record(success(&again)).await;
    assert_eq!(house.claim_one().await.execution, ids(&line)[1]);
}

pub(crate) async fn what_a_rescue_ends_lets_the_next_through(house: &House) {
    house.entitle(unlimited(1)).await;
    let events = [about("1", ordered(run(1, 1))), about("1", ordered(run(2, 1)))];
    house.accept(&events, ROOMY).await;
    house.store.stop(&house.acme, automation(1), 1).await.unwrap();
    house.advance(lease().length).await;
    house.store.rescue().await.unwrap();
    assert_eq!(house.claim_one().await.execution, ids(&events)[1]);
}

pub(crate) async fn further_steps_come_to_the_end_of_their_line(house: &House) {
    house.entitle(unlimited(1)).await;
    let long = about("1", ordered(steps(1, &[(1, Span::ZERO), (1, Span::ZERO), (2, secs(10))])));
    let other = about("1", ordered(run(2, 1)));
    let first = house.accept(&[long.clone(), other.clone()], ROOMY).await.claims.remove(0);
    house.record(advance(&first)).await;
    let between = house.claim_one().await;
    assert_eq!(between.execution, ids(&[other])[0], "it came before the second step");
    house.record(success(&between)).await;
    let second = house.claim_one().await;
    assert_eq!((second.execution, second.step), (first.execution, 1));
    house.record(advance(&second)).await;
    assert_eq!(house.number("SELECT count(*) FROM line WHERE place IS NULL").await, 1, "its delay runs");
    house.advance(secs(10)).await;
    let third = house.claim_one().await;
    assert_eq!(third.step, 2);
    house.record(success(&third)).await;
    assert_eq!(house.number("SELECT count(*) FROM line").await, 0);
}

pub(crate) async fn one_that_is_opened_again_goes_to_the_end_of_the_line(house: &House) {
    house.entitle(unlimited(1)).await;
    let line = line_of("1", 3);
    let first = house.accept(&line, ROOMY).await.claims.remove(0);
    house.record(failure(&first)).await;
    let second = house.claim_one().await;
    assert_eq!(house.store.retry(&house.acme, first.execution).await.unwrap(), Retried::Reopened);
    assert!(in_line(house, first.execution).await);
    house.record(success(&second)).await;
    let third = house.claim_one().await;
    assert_eq!(third.execution, ids(&line)[2]);
    house.record(success(&third)).await;
    let again = house.claim_one().await;
    assert_eq!((again.execution, again.attempt), (first.execution, 2));
    house.record(success(&again)).await;
}

pub(crate) async fn whoever_waits_for_its_turn_is_not_charged(house: &House) {
    house.entitle(plan(1, 60, 2)).await;
    let line = line_of("1", 3);
    let first = house.accept(&line, ROOMY).await.claims.remove(0);
    let free = house.start(about("2", ordered(run(1, 1)))).await;
    assert_ne!(free.execution, first.execution, "of two units one was left");
    house.record(success(&first)).await;
    assert!(house.claim(ROOMY).await.is_empty(), "both units are spent");
    assert!(matches!(house.state(ids(&line)[1]).await, State::Paused(..)), "its turn came, its unit did not");
    house.advance(secs(1)).await;
    assert_eq!(house.claim_one().await.execution, ids(&line)[1]);
}

pub(crate) async fn a_disabled_webhook_pauses_the_whole_line(house: &House) {
    house.entitle(unlimited(1)).await;
    house.put_gate(webhook(1), 1, true).await;
    let line = line_of("1", 2);
    house.queue(&line).await;
    for id in ids(&line) {
        assert!(matches!(house.state(id).await, State::Paused(..)));
    }
    house.put_gate(webhook(1), 2, false).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), [ids(&line)[0]]);
}

pub(crate) async fn what_is_not_ordered_has_no_place_anywhere(house: &House) {
    house.entitle(unlimited(1)).await;
    let claims = house.accept(&super::makers::events("free", 10), ROOMY).await.claims;
    assert_eq!(claims.len(), 10);
    house.record(retry(&claims[0], secs(1))).await;
    assert_eq!(house.number("SELECT count(*) FROM line").await, 0);
}
