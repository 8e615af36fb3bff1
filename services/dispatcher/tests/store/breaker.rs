//! A webhook that fails: counted, held back but for one probe at a time, let go; all of it durable, and nothing lost by it.

use sluice_dispatcher::claim::{Claim, Finish};
use sluice_dispatcher::execution::{PauseReason, State};
use sluice_dispatcher::pause::{Before, Pauses};
use sluice_domain::{ExecutionId, Span, Timestamp};

use super::finish::attempts;
use super::makers::{
    House, ROOMY, claimed, event, events, failure, hand_back, ids_of, lease, notification, retry, run, secs,
    steps, success, unlimited, webhook,
};

/// How long those that failed are kept out of the way.
const LATER: Span = Span::from_secs(86_400);

/// Lets webhook 1 fail as often and as long as its breaker bears; says how it failed last and until when it is open.
pub(crate) async fn break_open(house: &House) -> (Vec<Claim>, Timestamp) {
    let mut failed = Vec::new();
    while house.number("SELECT count(*) FROM breaker WHERE state = 'OPEN'").await == 0 {
        let claim = house.start(event(&format!("failed{}", failed.len()), vec![run(1, 1)])).await;
        house.advance(secs(7)).await;
        house.record(retry(&claim, LATER)).await;
        failed.push(claim);
    }
    (failed, opens(house).await)
}

/// When the next probe goes.
async fn opens(house: &House) -> Timestamp {
    Timestamp::from_micros(house.number("SELECT until FROM breaker").await)
}

async fn rows(house: &House) -> i64 {
    house.number("SELECT count(*) FROM breaker").await
}

async fn go_to(house: &House, at: Timestamp) {
    house.db.time.set(at).await;
}

fn open(until: Timestamp) -> State {
    State::Paused(PauseReason::BreakerOpen, Some(until))
}

pub(crate) async fn failing_holds_a_webhook_back_and_no_other(house: &House) {
    house.entitle(unlimited(1)).await;
    let (_, until) = break_open(house).await;
    let opened = until.since(house.now());
    assert!((secs(24)..=secs(36)).contains(&opened), "30 s and a fifth either way: {opened:?}");
    let made = events("e", 20);
    assert!(house.accept(&made, ROOMY).await.claims.is_empty());
    for id in ids_of(&made) {
        assert_eq!(house.state(id).await, open(until));
    }
    assert_eq!(house.accept(&[event("other", vec![run(1, 2)])], ROOMY).await.claims.len(), 1);
    let (_, pauses) = house.store.pauses(&house.acme).await.unwrap();
    let told = (Before::Webhook(webhook(1)), Some((PauseReason::BreakerOpen, Some(until))));
    assert_eq!(pauses.since(&Pauses::default()), [told]);
    assert_eq!(pauses.next_end(), Some(until));
    go_to(house, until.minus(Span::from_micros(1))).await;
    assert!(house.claim(ROOMY).await.is_empty());
}

pub(crate) async fn a_few_failures_or_failures_for_a_moment_open_nothing(house: &House) {
    house.entitle(unlimited(1)).await;
    let claims = house.accept(&events("burst", 100), ROOMY).await.claims;
    for claim in &claims {
        house.record(retry(claim, LATER)).await;
    }
    assert_eq!(house.number("SELECT failures FROM breaker").await, 100);
    assert_eq!(house.accept(&events("e", 5), ROOMY).await.claims.len(), 5);
}

pub(crate) async fn failures_with_a_success_between_open_nothing_and_leave_no_row(house: &House) {
    house.entitle(unlimited(1)).await;
    for number in 0..30 {
        let failing = house.start(event(&format!("f{number}"), vec![run(1, 1)])).await;
        house.advance(secs(60)).await;
        house.record(retry(&failing, LATER)).await;
        assert_eq!(rows(house).await, 1);
        let fine = house.start(event(&format!("s{number}"), vec![run(1, 1)])).await;
        let finish = if number % 2 == 0 { success(&fine) } else { failure(&fine) };
        house.record(finish).await;
        assert_eq!(rows(house).await, 0, "also an answer that refuses shows a living receiver");
    }
}

pub(crate) async fn a_success_writes_nothing_where_nothing_failed(house: &House) {
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e1", vec![run(1, 1)])).await;
    assert!(!claim.troubled);
    assert!(success(&claim).leaves_account());
    house.record(success(&claim)).await;
    assert_eq!(rows(house).await, 0);
}

pub(crate) async fn one_probe_goes_at_its_time_and_its_success_lets_the_rest_go_oldest_first(house: &House) {
    house.entitle(unlimited(1)).await;
    let (failed, until) = break_open(house).await;
    let ids = house.queue(&events("e", 50)).await;
    assert_eq!(house.wake().await, Some(until));
    go_to(house, until).await;
    let another = house.another_store().await;
    let probe = house.claim_one().await;
    assert_eq!((probe.execution, probe.attempt, probe.troubled), (ids[0], 1, true));
    assert!(
        house.claim(ROOMY).await.is_empty()
            && another.claim(&house.acme, ROOMY).await.unwrap().claims.is_empty()
    );
    assert!(house.accept(&events("late", 1), ROOMY).await.claims.is_empty());
    assert_eq!(house.state(ids[1]).await, State::Paused(PauseReason::BreakerOpen, None));
    assert_eq!(house.wake().await, Some(house.now().plus(lease().length)));
    house.advance(secs(3)).await;
    house.record(success(&probe)).await;
    assert_eq!((house.wake().await, rows(house).await), (Some(house.now()), 0));
    let rest = house.claim(ROOMY).await;
    assert_eq!(claimed(&rest)[..49], ids[1..]);
    assert_eq!(rest.len(), 50, "the late one last");
    assert!(rest.iter().all(|claim| (claim.attempt, claim.retries) == (1, 0)), "waiting used no attempt");
    assert_eq!(attempts(house, failed[0].execution).await.len(), 1);
}

pub(crate) async fn probes_that_fail_make_the_pause_longer_and_each_is_the_next_in_line(house: &House) {
    house.entitle(unlimited(1)).await;
    let (_, mut until) = break_open(house).await;
    let ids = house.queue(&events("e", 5)).await;
    let mut mean = 30;
    for id in &ids {
        go_to(house, until).await;
        let probe = house.claim_one().await;
        assert_eq!(probe.execution, *id);
        house.record(retry(&probe, LATER)).await;
        mean *= 2;
        until = opens(house).await;
        let opened = until.since(house.now());
        assert!((secs(mean * 8 / 10)..=secs(mean * 12 / 10)).contains(&opened), "{mean}: {opened:?}");
    }
    assert_eq!(house.number("SELECT failures FROM breaker").await, 15);
}

pub(crate) async fn a_process_that_starts_again_finds_it_as_it_was(house: &House) {
    house.entitle(unlimited(1)).await;
    let (_, until) = break_open(house).await;
    let ids = house.queue(&events("e", 3)).await;
    let after = house.another_store().await;
    let gated = after.gated_webhooks().await.unwrap();
    let failing = ((house.acme.clone(), webhook(1)), false);
    assert_eq!(
        gated.into_iter().collect::<Vec<_>>(),
        [failing],
        "the registry's word that it is enabled is no news"
    );
    go_to(house, until.minus(Span::from_micros(1))).await;
    assert!(after.claim(&house.acme, ROOMY).await.unwrap().claims.is_empty());
    go_to(house, until).await;
    let probe = after.claim(&house.acme, ROOMY).await.unwrap().claims;
    assert_eq!(claimed(&probe), ids[..1]);
    // Its owner dies; the one that comes up finds the probe under way and does not go before the lease is over.
    let again = house.another_store().await;
    go_to(house, until.plus(lease().length).minus(Span::from_micros(1))).await;
    assert!(again.claim(&house.acme, ROOMY).await.unwrap().claims.is_empty());
    go_to(house, until.plus(lease().length)).await;
    assert_eq!(again.rescue().await.unwrap().len(), 1);
    let probe = again.claim(&house.acme, ROOMY).await.unwrap().claims;
    assert_eq!((claimed(&probe), probe[0].attempt, probe[0].retries), (ids[..1].to_vec(), 2, 0));
    assert!(again.claim(&house.acme, ROOMY).await.unwrap().claims.is_empty());
    again.finish(&[success(&probe[0])]).await.unwrap();
    assert_eq!(claimed(&again.claim(&house.acme, ROOMY).await.unwrap().claims), ids[1..]);
}

pub(crate) async fn a_probe_that_was_not_dialled_makes_room_for_the_next(house: &House) {
    house.entitle(unlimited(1)).await;
    let (_, until) = break_open(house).await;
    let ids = house.queue(&events("e", 2)).await;
    go_to(house, until).await;
    let probe = house.claim_one().await;
    house.record(hand_back(&probe, secs(2))).await;
    assert_eq!(house.wake().await, Some(until.plus(secs(2))), "the registry is away: not at once");
    assert!(house.claim(ROOMY).await.is_empty());
    house.advance(secs(2)).await;
    let probe = house.claim_one().await;
    assert_eq!((probe.execution, probe.attempt), (ids[0], 1));
    house.record(hand_back(&probe, Span::ZERO)).await;
    assert_eq!(house.claim_one().await.execution, ids[0]);
}

pub(crate) async fn a_new_event_is_the_probe_where_nothing_older_is_ready(house: &House) {
    house.entitle(unlimited(1)).await;
    let (_, until) = break_open(house).await;
    go_to(house, until).await;
    assert!(house.claim(ROOMY).await.is_empty(), "nothing is ready");
    let made = [event("a", vec![run(1, 1), run(2, 1)]), event("b", vec![run(1, 1)])];
    let claims = house.accept(&made, ROOMY).await.claims;
    assert_eq!(claimed(&claims), ids_of(&made)[..1], "one of them, of whatever automation");
    house.record(success(&claims[0])).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), ids_of(&made)[1..]);
}

pub(crate) async fn what_is_under_way_when_it_opens_ends_as_it_does(house: &House) {
    house.entitle(unlimited(1)).await;
    let before = house.start(event("before", vec![run(1, 1)])).await;
    let (_, until) = break_open(house).await;
    let waiting = house.queue(&events("e", 1)).await;
    house.record(retry(&before, LATER)).await;
    assert_eq!(house.number("SELECT failures FROM breaker").await, 10, "it tells nothing new");
    assert_eq!(house.state(waiting[0]).await, open(until));
    assert_eq!(attempts(house, before.execution).await.len(), 1);
}

pub(crate) async fn a_success_of_what_was_under_way_opens_the_gate_at_once(house: &House) {
    house.entitle(unlimited(1)).await;
    let failing = house.start(event("first", vec![run(1, 1)])).await;
    house.record(retry(&failing, LATER)).await;
    let under_way = house.start(event("under way", vec![run(1, 1)])).await;
    assert!(under_way.troubled);
    break_open(house).await;
    let waiting = house.queue(&events("e", 2)).await;
    house.record(success(&under_way)).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), waiting);
}

pub(crate) async fn a_report_of_another_claim_leaves_the_probe_alone(house: &House) {
    house.entitle(unlimited(1)).await;
    let failing = house.start(event("first", vec![run(1, 1)])).await;
    house.record(retry(&failing, LATER)).await;
    let others = house.accept(&events("under way", 2), ROOMY).await.claims;
    let (_, until) = break_open(house).await;
    house.queue(&events("e", 2)).await;
    go_to(house, until).await;
    // Their leases are long over, and nobody has taken them back yet.
    let probe = house.claim_one().await;
    house.record(retry(&others[0], LATER)).await;
    house.record(hand_back(&others[1], LATER)).await;
    assert!(house.claim(ROOMY).await.is_empty(), "the probe is still under way");
    house.record(success(&probe)).await;
    assert_eq!(house.claim(ROOMY).await.len(), 1);
}

pub(crate) async fn a_pause_longer_than_all_retries_uses_no_attempt_and_loses_nothing(house: &House) {
    house.entitle(unlimited(1)).await;
    let (_, until) = break_open(house).await;
    let made: Vec<_> = (0..500).map(|at| event(&format!("e{at}"), vec![notification(1)])).collect();
    let ids: Vec<ExecutionId> = house.queue(&made).await;
    house.advance(secs(30 * 86_400)).await;
    assert!(house.now() > until);
    let probe = house.claim_one().await;
    house.record(success(&probe)).await;
    let rest = house.claim(ROOMY).await;
    let fresh: Vec<&Claim> = rest.iter().filter(|claim| ids.contains(&claim.execution)).collect();
    assert_eq!(fresh.len() + usize::from(ids.contains(&probe.execution)), ids.len());
    assert!(fresh.iter().all(|claim| claim.attempt == 1));
    let finishes: Vec<Finish> = rest.iter().map(success).collect();
    house.store.finish(&finishes).await.unwrap();
}

pub(crate) async fn a_second_step_towards_it_waits_and_the_first_goes_on(house: &House) {
    house.entitle(unlimited(1)).await;
    let (_, until) = break_open(house).await;
    let claim = house.start(event("e", vec![steps(3, &[(2, Span::ZERO), (1, Span::ZERO)])])).await;
    house.record(super::makers::advance(&claim)).await;
    assert_eq!(house.state(claim.execution).await, open(until));
    assert!(house.claim(ROOMY).await.is_empty());
    go_to(house, until).await;
    assert_eq!(house.claim_one().await.execution, claim.execution, "it is the probe");
}

pub(crate) async fn each_webhook_has_a_breaker_and_a_probe_of_its_own(house: &House) {
    house.entitle(unlimited(1)).await;
    for number in 0..10 {
        let made = event(&format!("f{number}"), vec![run(1, 1), run(1, 2)]);
        let claims = house.accept(&[made], ROOMY).await.claims;
        house.advance(secs(7)).await;
        for claim in &claims {
            house.record(retry(claim, LATER)).await;
        }
    }
    assert_eq!(rows(house).await, 2);
    let mut ids = Vec::new();
    for number in 0..4 {
        let made = event(&format!("e{number}"), vec![run(1, 1), run(1, 2), run(1, 3)]);
        ids.extend(ids_of(std::slice::from_ref(&made)));
        house.queue(&[made]).await;
    }
    house.advance(secs(60)).await;
    let claims = house.claim(ROOMY).await;
    let expected = [ids[0], ids[1], ids[2], ids[5], ids[8], ids[11]];
    assert_eq!(claimed(&claims), expected, "a probe each, and all of the one that works");
}

pub(crate) async fn a_probe_is_charged_like_any_other_start(house: &House) {
    house.entitle(super::makers::plan(1, 60, 11)).await;
    let (_, until) = break_open(house).await;
    let ids = house.queue(&events("e", 2)).await;
    go_to(house, until).await;
    // Eleven cells are full again by now; another webhook's work takes them.
    let made: Vec<_> = (0..11).map(|at| event(&format!("o{at}"), vec![run(1, 2)])).collect();
    house.queue(&made).await;
    let claims = house.claim(ROOMY).await;
    assert_eq!(claims.len(), 11);
    assert_eq!(claims[0].execution, ids[0], "the probe is the oldest");
    assert_eq!(house.number("SELECT waiting FROM account").await, 10 + 1 + 1);
}
