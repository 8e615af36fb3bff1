//! Receivers that have as much under way as they may: what waits for them stays where it is, and keeps nobody else.

use sluice_dispatcher::execution::State;
use sluice_dispatcher::receiver::{Openings, Share};
use sluice_dispatcher::store::Room;
use sluice_domain::{Rate, ReceiverLimits, Span, Timestamp, WebhookId};

use super::makers::{
    House, ROOMY, claimed, event, ids_of, notification, retry, run, success, unlimited, webhook,
};

/// Room for everything but these receivers, which may have so many.
fn share(receivers: &[(u8, usize)]) -> Share {
    let mut openings = Openings::unbounded();
    receivers.iter().for_each(|(number, more)| openings.set(webhook(*number), *more));
    Share { seats: ROOMY, openings, looks: false }
}

fn webhooks(numbers: &[u8]) -> Vec<(WebhookId, Option<Timestamp>)> {
    numbers.iter().map(|number| (webhook(*number), None)).collect()
}

pub(crate) async fn a_claim_takes_of_each_receiver_what_it_may_have_oldest_first_and_leaves_the_rest_untouched(
    house: &House,
) {
    house.entitle(unlimited(1)).await;
    // Automation 1 and 2 towards 1, so that a receiver has several lanes; a notification too.
    let runs = [run(1, 1), run(2, 2), run(2, 1), run(1, 2), run(1, 1), notification(1), notification(2)];
    let events: Vec<_> =
        runs.into_iter().enumerate().map(|(at, run)| event(&format!("e{at}"), vec![run])).collect();
    let ids = house.queue(&events).await;
    let shown = house.shown(ids[4]).await;

    let first = house.store.claim(&house.acme, share(&[(1, 2)])).await.unwrap();
    assert_eq!(claimed(&first.claims), [ids[0], ids[1], ids[2], ids[3], ids[6]]);
    let held = first.held.unwrap();
    assert_eq!((held.receivers, held.all), (webhooks(&[1]), true));
    let left = house.shown(ids[4]).await;
    assert_eq!(left.state, shown.state);
    assert!(matches!(left.state, State::Queued), "{:?}", left.state);
    let attempts = house.number("SELECT count(*) FROM pending WHERE token IS NULL AND attempt > 1").await;
    assert_eq!(attempts, 0);

    // Nothing is due, so nothing is looked at, unless by whoever knows that there is room.
    let later = house.store.claim(&house.acme, share(&[])).await.unwrap();
    assert_eq!((later.claims.len(), later.held.unwrap().all), (0, false));
    let looks = Share { looks: true, ..share(&[(1, 1)]) };
    let again = house.store.claim(&house.acme, looks.clone()).await.unwrap();
    assert_eq!(claimed(&again.claims), [ids[4]]);
    assert_eq!(again.held.unwrap().receivers, webhooks(&[1]));
    let last = house.store.claim(&house.acme, looks).await.unwrap();
    assert_eq!((claimed(&last.claims), last.held.unwrap().receivers), (vec![ids[5]], vec![]));
    assert_eq!(house.wake().await, None, "nothing waits");
}

pub(crate) async fn a_claim_beyond_what_any_receiver_may_have_is_cut_there(house: &House) {
    house.entitle(unlimited(1)).await;
    let events: Vec<_> =
        (0..30).map(|at| event(&format!("e{at}"), vec![run(1, 1 + u8::from(at >= 20))])).collect();
    let ids = house.queue(&events).await;
    let claim = house.store.claim(&house.acme, Share { seats: 8, ..share(&[(1, 5)]) }).await.unwrap();
    assert_eq!(claimed(&claim.claims), [&ids[..5], &ids[20..23]].concat());
    assert_eq!(house.wake().await, Some(house.now()), "the second has more, and room for it");
}

pub(crate) async fn what_arrives_for_a_full_receiver_waits_and_what_arrives_for_others_starts(house: &House) {
    house.entitle(unlimited(1)).await;
    let batch: Vec<_> = [1, 2, 1, 1, 2]
        .into_iter()
        .enumerate()
        .map(|(at, to)| event(&format!("e{at}"), vec![run(1, to)]))
        .collect();
    let ids = ids_of(&batch);
    let room =
        |to_first| Room { total: ROOMY, shares: [(house.acme.clone(), share(&[(1, to_first)]))].into() };
    let accepted = house.store.accept(&batch, room(1)).await.unwrap();
    assert_eq!(claimed(&accepted.claims), [ids[0], ids[1], ids[4]]);
    let [(account, held)] = &accepted.held[..] else { panic!("{:?}", accepted.held) };
    assert_eq!((account, &held.receivers, held.all), (&house.acme, &webhooks(&[1]), false));
    assert_eq!(house.wake().await, Some(house.now().plus(Span::from_secs(30))), "nobody spins for it");

    // While the older ones wait, who knows of them offers the receiver nothing for what arrives.
    let next = [event("n1", vec![run(1, 1)]), event("n2", vec![run(1, 2)])];
    let accepted = house.store.accept(&next, room(0)).await.unwrap();
    assert_eq!(claimed(&accepted.claims), [next[1].executions[0].id]);
    let looks = Share { looks: true, ..share(&[(1, 2)]) };
    let claim = house.store.claim(&house.acme, looks.clone()).await.unwrap();
    assert_eq!(claimed(&claim.claims), [ids[2], ids[3]], "in the order of acceptance");
    let last = house.store.claim(&house.acme, looks).await.unwrap();
    assert_eq!(claimed(&last.claims), ids_of(&next[..1]));
}

pub(crate) async fn what_was_left_for_a_full_receiver_is_looked_at_again_in_any_case(house: &House) {
    house.entitle(unlimited(1)).await;
    let ids = house.queue(&[event("e1", vec![run(1, 1)])]).await;
    assert_eq!(house.store.claim(&house.acme, share(&[(1, 0)])).await.unwrap().claims.len(), 0);
    house.advance(Span::from_secs(31)).await;
    let claims = house.claim(ROOMY).await;
    assert_eq!(claimed(&claims), ids, "also by another process, without a word from the first");
    house.record(success(&claims[0])).await;
}

pub(crate) async fn a_gate_and_a_full_receiver_hold_back_each_their_own(house: &House) {
    house.entitle(unlimited(1)).await;
    let events: Vec<_> = [1, 2, 3, 1, 2, 3]
        .into_iter()
        .enumerate()
        .map(|(at, to)| event(&format!("e{at}"), vec![run(1, to)]))
        .collect();
    let ids = house.queue(&events).await;
    house.put_gate(webhook(1), 1, true).await;
    let claim = house.store.claim(&house.acme, share(&[(2, 1)])).await.unwrap();
    assert_eq!(claimed(&claim.claims), [ids[1], ids[2], ids[5]]);
    assert_eq!(claim.held.unwrap().receivers, webhooks(&[2]));
    house.put_gate(webhook(1), 2, false).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), [ids[0], ids[3], ids[4]]);
}

/// So many a minute, and so many at once.
fn a_minute(units: u32, burst: u32) -> ReceiverLimits {
    ReceiverLimits { max_in_flight: None, rate: Some(Rate { units, per: Span::from_secs(60), burst }) }
}

pub(crate) async fn a_receivers_rate_holds_over_acceptance_claims_and_a_restart(house: &House) {
    house.entitle(unlimited(1)).await;
    assert!(house.store.put_receiver_limits(&house.acme, webhook(1), a_minute(60, 2)).await.unwrap());
    assert!(!house.store.put_receiver_limits(&house.acme, webhook(1), a_minute(60, 2)).await.unwrap());
    let batch: Vec<_> =
        (0..6).map(|at| event(&format!("e{at}"), vec![run(1, 1 + u8::from(at == 5))])).collect();
    let ids = ids_of(&batch);
    let accepted = house.accept(&batch, ROOMY).await;
    assert_eq!(claimed(&accepted.claims), [ids[0], ids[1], ids[5]], "the burst, and whoever has no limit");
    let next = house.now().plus(Span::from_secs(1));
    assert_eq!(accepted.held[0].1.receivers, [(webhook(1), Some(next))]);
    assert_eq!(house.wake().await, Some(next));
    assert_eq!(house.state(ids[2]).await, State::Queued);

    // A retry is a request, too.
    house.record(retry(&accepted.claims[0], Span::ZERO)).await;
    house.advance(Span::from_secs(2)).await;
    let again = house.another_store().await;
    let claims = again.claim(&house.acme, ROOMY).await.unwrap().claims;
    assert_eq!(claimed(&claims), [ids[0], ids[2]], "two seconds, two cells, whoever counts them");
    assert_eq!(house.claim(ROOMY).await.len(), 0);

    // What is used stays used in cells, and without a limit nothing is held back.
    house.store.put_receiver_limits(&house.acme, webhook(1), a_minute(6, 2)).await.unwrap();
    assert_eq!(house.claim(ROOMY).await.len(), 0);
    assert_eq!(house.wake().await, Some(house.now().plus(Span::from_secs(10))));
    house.store.put_receiver_limits(&house.acme, webhook(1), ReceiverLimits::default()).await.unwrap();
    assert_eq!(claimed(&house.claim(ROOMY).await), [ids[3], ids[4]]);
    assert_eq!(house.number("SELECT count(*) FROM receiver").await, 0);
}

pub(crate) async fn limits_are_known_again_after_a_restart(house: &House) {
    let limits = ReceiverLimits { max_in_flight: Some(3), ..a_minute(5, 5) };
    house.store.put_receiver_limits(&house.acme, webhook(1), limits).await.unwrap();
    let in_flight = ReceiverLimits { max_in_flight: Some(1), rate: None };
    house.store.put_receiver_limits(&house.acme, webhook(2), in_flight).await.unwrap();
    let again = house.another_store().await;
    let known = again.limited().of(&house.acme).unwrap();
    assert_eq!((known[&webhook(1)], known[&webhook(2)], known.len()), (limits, in_flight, 2));
}
