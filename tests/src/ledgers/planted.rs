//! A fault planted in each invariant, and found.

use proto::dispatcher::v1::{
    Attempt, AttemptOutcome, Delivery, End, EndReason, EventSummary, Execution, ExecutionState,
};

use super::{Asked, Ledgers, Seen, Terms};
use crate::house::micros;

const MS: i64 = 1_000;
/// When the process was killed.
const KILL: i64 = 400 * MS;
const TERMS: Terms =
    Terms { first: 100 * MS, factor: 2.0, longest: 400 * MS, retries: Some(2), lease: 500 * MS };

fn at(micros: i64) -> Option<prost_types::Timestamp> {
    #[allow(clippy::cast_possible_truncation, reason = "below a second")]
    let nanos = (micros % 1_000_000 * 1_000) as i32;
    Some(prost_types::Timestamp { seconds: micros / 1_000_000, nanos })
}

fn attempt(number: i32, outcome: AttemptOutcome, from: i64, to: i64) -> Attempt {
    let (start_time, end_time) = (at(from * MS), at(to * MS));
    Attempt { number, outcome: outcome.into(), start_time, end_time, ..Attempt::default() }
}

fn delivery(id: &str, delay: i64, attempts: Vec<Attempt>) -> Delivery {
    let delay = Some(prost_types::Duration { seconds: delay, nanos: 0 });
    Delivery { id: id.to_owned(), delay, attempts, ..Delivery::default() }
}

/// Accepted at 0, retried once, cut off by the kill once, then delivered, and a second later the next request.
fn execution() -> Execution {
    use AttemptOutcome::{FailedRetryable, Interrupted, Succeeded};
    let first = vec![
        attempt(1, FailedRetryable, 10, 20),
        attempt(2, Interrupted, 300, 900),
        attempt(3, Succeeded, 900, 910),
    ];
    Execution {
        name: "ex-1".into(),
        automation: "au-1".into(),
        event: Some(EventSummary { id: "e-1".into(), ..EventSummary::default() }),
        state: ExecutionState::Succeeded.into(),
        create_time: at(0),
        start_time: at(10 * MS),
        end: Some(End { end_time: at(1_960 * MS), ..End::default() }),
        deliveries: vec![
            delivery("dl-1", 0, first),
            delivery("dl-2", 1, vec![attempt(1, Succeeded, 1_950, 1_960)]),
        ],
        ..Execution::default()
    }
}

fn hit(delivery: &str, number: i32, at: i64) -> Seen {
    Seen { key: (delivery.to_owned(), number), path: "/in".into(), at: at * MS }
}

fn hits() -> Vec<Seen> {
    vec![hit("dl-1", 1, 15), hit("dl-1", 2, 310), hit("dl-1", 3, 905), hit("dl-2", 1, 1_955)]
}

fn asked() -> Asked {
    Asked { acknowledged: [("e-1".to_owned(), vec!["ex-1".to_owned()])].into(), ..Asked::default() }
}

/// The faults in the ledgers after something was done to them.
fn after(plant: impl FnOnce(&mut Asked, &mut Vec<Seen>, &mut Vec<Execution>)) -> Vec<String> {
    let (mut asked, mut hits, mut history) = (asked(), hits(), vec![execution()]);
    plant(&mut asked, &mut hits, &mut history);
    Ledgers::closed(asked, hits, history, TERMS).violations(&[KILL])
}

fn finds(invariant: &str, plant: impl FnOnce(&mut Asked, &mut Vec<Seen>, &mut Vec<Execution>)) {
    let found = after(plant);
    assert!(found.iter().any(|line| line.starts_with(invariant)), "{invariant}: {found:#?}");
}

/// The attempts of the first delivery.
fn first(history: &mut [Execution]) -> &mut Vec<Attempt> {
    &mut history[0].deliveries[0].attempts
}

#[test]
fn ledgers_in_order_break_nothing() {
    assert_eq!(after(|_, _, _| {}), Vec::<String>::new());
}

#[test]
fn a_loss_breaks_the_first() {
    finds("I1", |_, _, history| history.clear());
    finds("I1", |_, _, history| history[0].set_state(ExecutionState::Waiting));
    finds("I1", |_, _, history| history[0].set_state(ExecutionState::Failed));
    finds("I1", |_, _, history| history[0].set_state(ExecutionState::Stopped));
    finds("I1", |asked, _, _| asked.refused.extend(["e-1".to_owned()]));
    finds("I1", |asked, _, history| {
        asked.acknowledged.clear();
        asked.doubtful.insert("e-1".into());
        history[0].set_state(ExecutionState::Queued);
    });
}

#[test]
fn what_was_in_doubt_may_be_there_or_not() {
    let doubt = |asked: &mut Asked| {
        asked.acknowledged.clear();
        asked.doubtful.insert("e-1".into());
    };
    assert_eq!(after(|asked, _, _| doubt(asked)), Vec::<String>::new());
    let nothing = after(|asked, hits, history| {
        doubt(asked);
        hits.clear();
        history.clear();
    });
    assert_eq!(nothing, Vec::<String>::new());
}

#[test]
fn what_somebody_asked_for_is_no_loss() {
    let cancelled = after(|asked, _, history| {
        asked.ended.insert("ex-1".into());
        history[0].set_state(ExecutionState::Cancelled);
    });
    assert_eq!(cancelled, Vec::<String>::new());
    let refused = after(|asked, _, history| {
        asked.refused.insert("e-1".into());
        history[0].set_state(ExecutionState::Failed);
        if let Some(end) = &mut history[0].end {
            end.set_reason(EndReason::RefusedByReceiver);
        }
    });
    assert_eq!(refused, Vec::<String>::new());
}

#[test]
fn what_nobody_asked_for_breaks_the_second() {
    finds("I2", |asked, _, _| asked.acknowledged.clear());
    finds("I2", |_, _, history| {
        history.push(Execution { name: "ex-2".into(), deliveries: Vec::new(), ..execution() });
    });
}

#[test]
fn a_second_set_breaks_the_third() {
    finds("I3", |asked, _, history| {
        history.push(Execution { name: "ex-2".into(), deliveries: Vec::new(), ..execution() });
        asked.acknowledged.insert("e-1".into(), vec!["ex-1".into(), "ex-2".into()]);
    });
}

#[test]
fn a_hit_too_many_breaks_the_fourth() {
    finds("I4", |_, hits, _| hits.push(hit("dl-1", 3, 906)));
    finds("I4", |_, _, history| {
        let attempts = first(history);
        attempts[1] = attempt(2, AttemptOutcome::Interrupted, 500, 900);
    });
}

#[test]
fn a_hit_without_an_attempt_and_an_attempt_without_a_hit_break_the_fifth() {
    finds("I5", |_, _, history| first(history).truncate(1));
    finds("I5", |_, hits, _| drop(hits.remove(0)));
    finds("I5", |_, hits, _| hits[0].at = 5 * MS);
    let cut_off_before_it_was_sent = after(|_, hits, _| drop(hits.remove(1)));
    assert_eq!(cut_off_before_it_was_sent, Vec::<String>::new());
}

#[test]
fn an_attempt_out_of_its_turn_or_time_breaks_the_sixth() {
    finds("I6", |_, _, history| first(history)[2].number = 4);
    finds("I6: attempt 2 of dl-1 came before", |_, _, history| {
        first(history)[1].start_time = at(90 * MS);
    });
    finds("I6: dl-1 was seen again", |_, hits, _| hits[1].at = 90 * MS);
    finds("I6: dl-2 was seen again", |_, hits, _| hits[3].at = 1_800 * MS);
    finds("I6: attempt 1 of dl-2 began out", |_, _, history| {
        history[0].deliveries[1].attempts[0].start_time = at(1_800 * MS);
    });
    finds("I6: attempt 1 of dl-2 began out", |_, _, history| {
        if let Some(end) = &mut history[0].end {
            end.end_time = at(1_000 * MS);
        }
    });
    finds("I6: dl-1 went on", |_, _, history| first(history)[1].set_outcome(AttemptOutcome::Succeeded));
    finds("I6: attempt 1 of dl-1 began out", |_, _, history| history[0].create_time = at(12 * MS));
}

#[test]
fn a_retry_that_a_pause_used_breaks_the_seventh() {
    finds("I7", |_, _, history| {
        let last = first(history).last_mut().expect("an attempt");
        last.set_outcome(AttemptOutcome::FailedRetryable);
        if let Some(end) = &mut history[0].end {
            end.set_reason(EndReason::RetriesExhausted);
        }
    });
}

#[test]
fn what_stays_cut_off_longer_than_its_lease_breaks_the_eleventh() {
    let stuck = |end: i64, back: i64| {
        let mut execution = execution();
        execution.deliveries[0].attempts[1].end_time = at(end * MS);
        Ledgers::closed(asked(), hits(), vec![execution], TERMS).stuck(&[(KILL, back * MS)])
    };
    assert_eq!(stuck(900, 600), 100 * MS, "the lease was over at 800 ms");
    assert_eq!(stuck(900, 850), 50 * MS, "nobody was there to see it before 850 ms");
    assert_eq!(stuck(5_000, 600), 4_200 * MS);
    assert_eq!(micros(at(KILL)), KILL);
}
