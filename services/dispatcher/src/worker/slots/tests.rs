use std::task::Poll;

use sluice_domain::{ExecutionId, ReceiverLimits, Span};
use sluice_runtime::ManualClock;

use super::entrance::Coming;
use super::*;
use crate::plan::tests::plan_of;

const START: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

fn slots(total: usize) -> (Slots, ManualClock) {
    let (clock, hand) = Clock::manual(START);
    (Slots::new(total, clock, Limited::default()), hand)
}

fn account(name: &str) -> AccountId {
    name.parse().unwrap()
}

fn webhook(number: u8) -> WebhookId {
    WebhookId::from_bytes([number; 16])
}

fn claim(account: &AccountId, number: u8) -> Claim {
    let mut plan = plan_of(&[Span::ZERO]);
    plan.deliveries[0].webhook = webhook(number);
    Claim {
        account: account.clone(),
        seq: 1,
        execution: ExecutionId::from_bytes([1; 16]),
        cause: None,
        traceparent: String::new(),
        plan: plan.into(),
        step: 0,
        attempt: 1,
        retries: 0,
        ends: 0,
        started_at: START,
        token: 1,
        claimed_at: START,
        troubled: false,
    }
}

/// Takes as many seats as the account may have for this webhook.
fn fill(slots: &Slots, account: &AccountId, number: u8) -> Vec<Seat> {
    let mut seats = Vec::new();
    loop {
        let share = slots.share(account);
        if share.seats == 0 || share.openings.of(webhook(number)) == 0 {
            return seats;
        }
        seats.push(slots.take(&claim(account, number)));
    }
}

#[test]
fn one_account_leaves_seats_for_the_others_and_they_come_back() {
    let ((slots, _), flood, other) = (slots(16), account("flood"), account("other"));
    let seats = fill(&slots, &flood, 1);
    assert_eq!(seats.len(), 8, "half of all while the rest is free");
    assert_eq!(slots.share(&other).seats, 2, "an eighth from then on");
    drop(seats);
    assert_eq!((slots.free(), slots.share(&other).seats), (16, 8));
}

#[test]
fn a_single_seat_can_be_had() {
    let ((slots, _), acme) = (slots(1), account("acme"));
    let seats = fill(&slots, &acme, 1);
    assert_eq!((seats.len(), slots.share(&acme).seats, slots.free()), (1, 0, 0));
}

#[test]
fn a_receiver_that_hangs_leaves_its_account_most_of_its_share_and_never_more_than_three_quarters() {
    let ((slots, hand), acme) = (slots(1_024), account("acme"));
    let hung = fill(&slots, &acme, 1);
    assert_eq!((hung.len(), slots.share(&acme).seats), (60, 452));
    hand.advance(Span::from_secs(2));
    assert_eq!((slots.share(&acme).seats, slots.share(&acme).openings.of(webhook(2))), (512, 60));
    let mut all = Vec::new();
    for number in 2..200 {
        all.extend(fill(&slots, &acme, number));
        hand.advance(Span::from_secs(2));
    }
    assert_eq!(slots.free(), 256, "however many of its receivers hang");
    assert!(slots.share(&account("other")).seats > 100);
}

#[test]
fn work_that_was_left_is_offered_again_when_its_receiver_has_room_and_what_arrives_waits_behind_it() {
    let ((slots, _), acme) = (slots(1_024), account("acme"));
    let mut seats = fill(&slots, &acme, 1);
    let held = |receivers: &[u8], at: i64| Held {
        receivers: receivers.iter().map(|number| (webhook(*number), None)).collect(),
        at: START.plus(Span::from_micros(at)),
        all: true,
    };
    slots.hold(&acme, &held(&[1], 5));
    assert_eq!(slots.openable(), []);
    seats.truncate(30);
    assert_eq!(slots.openable(), std::slice::from_ref(&acme));
    assert_eq!(slots.share_of_new(&acme).openings.of(webhook(1)), 0);
    assert!(slots.share(&acme).openings.of(webhook(1)) > 0);
    slots.hold(&acme, &held(&[], 4));
    assert_eq!(slots.openable().len(), 1, "what was seen earlier does not count");
    slots.hold(&acme, &held(&[], 6));
    assert_eq!(slots.openable(), []);
    assert!(slots.share_of_new(&acme).openings.of(webhook(1)) > 0);
}

#[test]
fn nothing_is_kept_of_an_account_that_is_done() {
    let ((slots, _), acme) = (slots(16), account("acme"));
    drop(slots.take(&claim(&acme, 1)));
    assert!(slots.taken().by_account.is_empty());
    assert_eq!(slots.taken().known, 0);
}

#[tokio::test]
async fn a_freed_seat_is_told() {
    let ((slots, _), acme) = (slots(1), account("acme"));
    drop(slots.take(&claim(&acme, 1)));
    slots.freed().await;
}

#[tokio::test]
async fn a_receivers_own_limit_is_held_exactly_and_its_room_is_told() {
    let (clock, _) = Clock::manual(START);
    let (limited, acme) = (Limited::default(), account("acme"));
    let slots = Slots::new(1_024, clock, limited.clone());
    assert!(slots.turn([&acme]).await.is_none(), "nobody waits for a turn where there are no limits");
    limited.put(&acme, webhook(1), ReceiverLimits { max_in_flight: Some(3), rate: None });
    assert!(slots.turn([&acme]).await.is_some());
    assert_eq!(slots.share(&acme).openings.of(webhook(1)), 3, "also before anything is under way");
    let mut seats = fill(&slots, &acme, 1);
    assert_eq!((seats.len(), slots.share(&acme).openings.of(webhook(2)) > 3), (3, true));
    slots.hold(&acme, &Held { receivers: vec![(webhook(1), None)], at: START, all: true });
    assert_eq!(slots.openable(), []);
    seats.pop();
    slots.opened().await;
    assert_eq!(slots.openable(), std::slice::from_ref(&acme));
    let until = Some(START.plus(Span::from_secs(1)));
    slots.hold(
        &acme,
        &Held { receivers: vec![(webhook(1), until)], at: START.plus(Span::from_micros(1)), all: true },
    );
    assert_eq!(slots.openable(), [], "its rate holds it back");
}

/// Lets an event of one execution in, and says whether it had to wait.
async fn enters(slots: &Slots, account: &AccountId) -> (Coming, bool) {
    let entering = slots.enter(account, 1);
    tokio::pin!(entering);
    match futures_util::poll!(&mut entering) {
        Poll::Ready(coming) => (coming, false),
        Poll::Pending => (entering.await, true),
    }
}

/// Takes as many seats as the account may have, of receivers that are not held back.
fn fill_up(slots: &Slots, account: &AccountId) -> Vec<Seat> {
    (1..=20).flat_map(|number| fill(slots, account, number)).collect()
}

#[tokio::test(start_paused = true)]
async fn what_arrives_while_all_seats_of_its_account_are_taken_enters_when_one_is_freed() {
    let ((slots, _), acme, other) = (slots(64), account("acme"), account("other"));
    let mut seats = fill_up(&slots, &acme);
    assert_eq!(seats.len(), 32);
    let began = tokio::time::Instant::now();
    let entering = slots.enter(&acme, 1);
    tokio::pin!(entering);
    assert!(futures_util::poll!(&mut entering).is_pending());
    assert!(!enters(&slots, &other).await.1, "nobody else waits for it");
    seats.pop();
    let coming = entering.await;
    assert_eq!(began.elapsed(), std::time::Duration::ZERO);
    let (_next, waited) = enters(&slots, &acme).await;
    assert!(waited, "the seat is taken by who is on the way to it");
    drop(coming);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_enter_in_their_order_and_the_accounts_in_turn() {
    let ((slots, _), one, two) = (slots(16), account("one"), account("two"));
    let mut seats: Vec<Seat> = fill_up(&slots, &one).into_iter().chain(fill_up(&slots, &two)).collect();
    while slots.free() > 0 {
        seats.push(slots.take(&claim(&two, 1)));
    }
    let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
    for (account, name) in [(&one, "one 1"), (&one, "one 2"), (&one, "one 3"), (&two, "two 1")] {
        let (slots, account, told) = (slots.clone(), account.clone(), told.clone());
        tokio::spawn(async move {
            let coming = slots.enter(&account, 1).await;
            told.send((name, coming)).unwrap();
        });
        tokio::task::yield_now().await;
    }
    let mut entered = Vec::new();
    while entered.len() < 4 {
        drop(seats.pop());
        tokio::task::yield_now().await;
        while let Ok((name, _coming)) = order.try_recv() {
            entered.push(name);
        }
    }
    assert_eq!(
        entered.iter().filter(|name| name.starts_with("one")).collect::<Vec<_>>(),
        [&"one 1", &"one 2", &"one 3"]
    );
    assert!(entered[..2].contains(&"two 1"), "{entered:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_where_seats_come_free_slowly_nor_longer_than_they_have_patience() {
    let ((slots, hand), acme) = (slots(64), account("acme"));
    let mut seats = fill_up(&slots, &acme);
    let began = tokio::time::Instant::now();
    assert!(enters(&slots, &acme).await.1, "nobody knows yet that they come free slowly");
    assert_eq!(began.elapsed(), std::time::Duration::from_millis(500));
    hand.advance(Span::from_millis(500));
    assert!(!enters(&slots, &acme).await.1, "none came free for so long");
    seats.pop();
    let first = slots.enter(&acme, 40);
    tokio::pin!(first);
    assert!(futures_util::poll!(&mut first).is_ready(), "there is one");
    drop(seats);
    assert_eq!(slots.free(), 64);
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_while_it_waits_leaves_nothing_behind() {
    let ((slots, _), acme) = (slots(64), account("acme"));
    let seats = fill_up(&slots, &acme);
    {
        let waits = slots.enter(&acme, 1);
        tokio::pin!(waits);
        assert!(futures_util::poll!(&mut waits).is_pending());
    }
    drop(seats);
    drop(slots.enter(&acme, 3).await);
    let taken = slots.taken();
    assert!(taken.by_account.values().all(|account| account.arrivals.is_nothing()));
    assert_eq!((taken.entrance.coming, taken.entrance.waits(), taken.all), (0, false, 0));
}
