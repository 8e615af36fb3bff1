//! The backlog's end: an event that would exceed what may wait is refused whole, what was accepted is never dropped, and the count
//! that decides is true whatever happens to what waits.

use std::collections::HashMap;

use sluice_dispatcher::store::{Acceptance, NewEvent, Store};
use sluice_domain::{AccountId, Entitlements, ExecutionId};
use sluice_runtime::Entropy;

use super::makers::{
    House, ROOMY, account, automation, event, event_of, events, failure, hand_back, ids_of, plan, rejected,
    retry, run, secs, success, unlimited,
};

/// Steps of the random schedule: in CI, and with `SLUICE_TEST_SIZE=full`.
const STEPS: [u32; 2] = [150, 3_000];

fn narrow(version: i64, max_waiting: i64) -> Entitlements {
    Entitlements { max_waiting, ..plan(version, 60, 1) }
}

fn refused(waiting: i64, max_waiting: i64) -> Acceptance {
    Acceptance::BacklogFull { waiting, max_waiting }
}

pub(crate) async fn an_event_is_refused_whole_and_leaves_room_for_smaller_ones(house: &House) {
    house.entitle(narrow(1, 4)).await;
    house.queue(&events("e", 2)).await;
    let wide = event("wide", vec![run(1, 1), run(2, 1), run(3, 2)]);
    let small = event("small", vec![run(1, 1), rejected(), run(2, 1)]);
    let batch = [wide.clone(), small.clone(), event("one", vec![run(1, 1)])];
    let answers = house.accept(&batch, 0).await.answers;
    assert_eq!(answers, [refused(2, 4), Acceptance::Accepted(ids_of(&[small])), refused(2, 4)]);
    assert_eq!(house.number("SELECT waiting FROM account").await, 4, "what ended at once does not wait");
    for execution in wide.executions {
        assert!(
            house.store.execution(&house.acme, execution.id).await.unwrap().is_none(),
            "nothing of it was made"
        );
    }
    assert_eq!(house.number("SELECT count(*) FROM receipt WHERE event = 'wide'").await, 0);
}

pub(crate) async fn repeats_are_answered_and_other_accounts_accepted_in_the_batch_that_is_refused(
    house: &House,
) {
    house.entitle(narrow(1, 2)).await;
    let other = account("other");
    house.store.apply_entitlements(&other, &narrow(1, 2)).await.unwrap();
    let first = event("first", vec![run(1, 1), run(1, 1)]);
    house.queue(std::slice::from_ref(&first)).await;
    let theirs = |id| event_of(&other, id, vec![run(1, 1)]);
    let batch = [
        event("second", vec![run(1, 1)]),
        theirs("first"),
        NewEvent { executions: vec![run(1, 1)], ..first.clone() },
        NewEvent { digest: [2; 32], ..first.clone() },
        theirs("second"),
        theirs("third"),
        event("second", vec![run(1, 1)]),
    ];
    let answers = house.accept(&batch, 0).await.answers;
    let accepted = |event: &NewEvent| Acceptance::Accepted(ids_of(std::slice::from_ref(event)));
    assert_eq!(
        answers,
        [
            refused(2, 2),
            accepted(&batch[1]),
            Acceptance::Repeated(ids_of(&[first])),
            Acceptance::IdReused,
            accepted(&batch[4]),
            refused(0, 2),
            refused(2, 2),
        ]
    );
}

pub(crate) async fn a_lowered_end_refuses_what_comes_and_drops_nothing_that_waits(house: &House) {
    house.entitle(narrow(1, 50)).await;
    let ids = house.queue(&events("e", 40)).await;
    house.entitle(narrow(2, 3)).await;
    assert_eq!(house.accept(&events("f", 1), 0).await.answers, [refused(40, 3)]);
    let repeated =
        house.accept(&[NewEvent { executions: vec![run(1, 1)], ..events("e", 1).remove(0) }], 0).await;
    assert!(matches!(repeated.answers[0], Acceptance::Repeated(_)));
    let mut delivered = Vec::new();
    for _ in 0..ids.len() {
        house.advance(secs(1)).await;
        for claim in house.claim(ROOMY).await {
            delivered.push(claim.execution);
            house.record(success(&claim)).await;
        }
    }
    assert_eq!(delivered, ids, "all that was accepted, in order");
    assert!(matches!(house.accept(&events("f", 1), ROOMY).await.answers[0], Acceptance::Accepted(_)));
}

pub(crate) async fn room_comes_back_when_what_waits_starts_is_cancelled_or_is_stopped(house: &House) {
    house.entitle(narrow(1, 3)).await;
    let full = async |what: &str| {
        let answers = house.accept(&events(&format!("x-{what}"), 1), 0).await.answers;
        assert_eq!(answers, [refused(3, 3)], "{what}");
    };
    let one_more = async |what: &str| {
        let answers = house.accept(&events(what, 1), 0).await.answers;
        assert!(matches!(answers[0], Acceptance::Accepted(_)), "{what}: {answers:?}");
    };
    let ids = house.queue(&events("e", 3)).await;
    full("at first").await;
    let claim = house.claim_one().await;
    one_more("started").await;
    full("again").await;
    house.record(retry(&claim, secs(5))).await;
    assert_eq!(house.accept(&events("y", 1), 0).await.answers, [refused(4, 3)], "a retry waits, too");
    house.store.cancel(&house.acme, claim.execution).await.unwrap();
    full("a retry was cancelled").await;
    house.store.cancel(&house.acme, ids[1]).await.unwrap();
    one_more("cancelled").await;
    house.store.retry(&house.acme, ids[1]).await.unwrap();
    assert_eq!(
        house.accept(&events("z", 1), 0).await.answers,
        [refused(4, 3)],
        "what was opened again waits"
    );
    house.store.stop(&house.acme, automation(1), 1).await.unwrap();
    assert_eq!(house.number("SELECT waiting FROM account").await, 0);
}

/// Random batches, claims, reports, cancellations, stops, plans and restarts; each answer is what counting says.
pub(crate) async fn random_schedules_are_answered_as_counting_says(house: &House) {
    let full = sluice_testkit::full_size();
    let steps = STEPS[usize::from(full)];
    let dice = Entropy::seeded(7);
    let below = |end: u64| usize::try_from(dice.u64() % end).unwrap();
    let accounts = [house.acme.clone(), account("other")];
    let (mut ends, mut versions, mut store) = ([12_i64, 5], [1, 1], house.another_store().await);
    for (account, end) in accounts.iter().zip(ends) {
        let first = Entitlements { max_waiting: end, ..unlimited(1) };
        store.apply_entitlements(account, &first).await.unwrap();
    }
    let (mut held, mut known, mut tally) = (Vec::new(), Vec::<(AccountId, ExecutionId)>::new(), [0_usize; 3]);
    for step in 0..steps {
        match below(20) {
            0..8 => {
                let made = |at| {
                    let account = &accounts[below(2)];
                    let executions =
                        (0..=below(4)).map(|_| run(1 + u8::try_from(below(2)).unwrap(), 1)).collect();
                    event_of(account, &format!("{step}-{at}"), executions)
                };
                let batch: Vec<NewEvent> = (0..=below(6)).map(made).collect();
                let meant = counted(house, &accounts, ends, &batch).await;
                let accepted = store.accept(&batch, below(4)).await.unwrap();
                assert_eq!(accepted.answers, meant, "step {step}");
                for (event, answer) in batch.iter().zip(&accepted.answers) {
                    tally[usize::from(matches!(answer, Acceptance::Accepted(_)))] += 1;
                    if let Acceptance::Accepted(ids) = answer {
                        known.extend(ids.iter().map(|id| (event.account.clone(), *id)));
                    }
                }
                held.extend(accepted.claims);
            }
            8..11 => held.extend(store.claim(&accounts[below(2)], below(6)).await.unwrap().claims),
            11..15 if !held.is_empty() => {
                let claim = held.swap_remove(below(held.len() as u64));
                let finish = match below(4) {
                    0 => retry(&claim, secs(1)),
                    1 => failure(&claim),
                    2 => hand_back(&claim, secs(1)),
                    _ => success(&claim),
                };
                store.finish(&[finish]).await.unwrap();
            }
            15 | 16 if !known.is_empty() => {
                let (account, id) = &known[below(known.len() as u64)];
                if below(2) == 0 {
                    store.cancel(account, *id).await.unwrap();
                } else {
                    store.retry(account, *id).await.unwrap();
                }
            }
            17 => {
                let which = below(2);
                versions[which] += 1;
                ends[which] = i64::try_from(1 + below(20)).unwrap();
                let next = Entitlements { max_waiting: ends[which], ..unlimited(versions[which]) };
                store.apply_entitlements(&accounts[which], &next).await.unwrap();
            }
            18 => {
                std::mem::replace(&mut store, house.another_store().await).database().close().await;
                tally[2] += 1;
            }
            _ => {
                house.advance(secs(i64::try_from(below(60)).unwrap())).await;
                store.rescue().await.unwrap();
                held.retain(|claim: &sluice_dispatcher::claim::Claim| {
                    claim.claimed_at.plus(super::makers::lease().length) > house.now()
                });
            }
        }
    }
    println!(
        "backlog on {:?}: {} events accepted, {} refused whole, {} restarts, each answer as counting says",
        house.db.backend(),
        tally[1],
        tally[0],
        tally[2]
    );
    assert!(tally[0] > 10 && tally[1] > 10, "both kinds of answers: {tally:?}");
    drain(house, &store, &accounts).await;
    store.database().close().await;
}

/// What each event of a batch must be answered: it fits as a whole into what may wait, beside what waits and what came before it.
async fn counted(
    house: &House,
    accounts: &[AccountId; 2],
    ends: [i64; 2],
    batch: &[NewEvent],
) -> Vec<Acceptance> {
    let mut waiting = HashMap::new();
    for (account, end) in accounts.iter().zip(ends) {
        let select = format!("SELECT count(*) FROM pending WHERE account = '{account}' AND token IS NULL");
        let now = house.number(&select).await;
        waiting.insert(account.clone(), (now, now, end));
    }
    let answer = |event: &NewEvent| {
        let (now, so_far, end) = waiting.get_mut(&event.account).unwrap();
        let more = i64::try_from(event.executions.len()).unwrap();
        if *so_far + more > *end {
            return refused(*now, *end);
        }
        *so_far += more;
        Acceptance::Accepted(ids_of(std::slice::from_ref(event)))
    };
    batch.iter().map(answer).collect()
}

/// Everything that was accepted comes to its end.
async fn drain(house: &House, store: &Store, accounts: &[AccountId; 2]) {
    for _ in 0..10_000 {
        if house.number("SELECT count(*) FROM pending").await == 0 {
            return;
        }
        house.advance(secs(60)).await;
        store.rescue().await.unwrap();
        for account in accounts {
            let claims = store.claim(account, ROOMY).await.unwrap().claims;
            let reports: Vec<_> = claims.iter().map(success).collect();
            store.finish(&reports).await.unwrap();
        }
    }
    panic!("something that was accepted never ends");
}
