//! The tables let a row stand exactly where the machine has a stage for it.

use sea_orm::Value;
use sluice_dispatcher::attempt::Verdict;
use sluice_dispatcher::execution::{EndReason, EndState};
use sluice_dispatcher::pending::{Flat, Stage};

use super::makers::House;

/// Every combination of small values of the columns that a stage is made of, legal or not.
fn rows() -> impl Iterator<Item = Flat> {
    const ABSENT_OR_NOT: [Option<i64>; 2] = [None, Some(7)];
    let holds = || {
        let each = ABSENT_OR_NOT.into_iter();
        each.clone().flat_map(move |token| {
            let each = ABSENT_OR_NOT.into_iter();
            each.flat_map(move |claimed_at| ABSENT_OR_NOT.map(|lease_until| (token, claimed_at, lease_until)))
        })
    };
    (-1..=3).flat_map(move |turn| {
        [-1, 0, 5].into_iter().flat_map(move |due_at| {
            (-1..=2).flat_map(move |cancel| {
                ABSENT_OR_NOT.into_iter().flat_map(move |started_at| {
                    holds().map(move |(token, claimed_at, lease_until)| Flat {
                        turn,
                        due_at,
                        started_at,
                        cancel,
                        token,
                        claimed_at,
                        lease_until,
                    })
                })
            })
        })
    })
}

/// Whether a statement is carried out; nothing of it stays.
async fn stands(house: &House, statement: &str, values: Vec<Value>) -> bool {
    let tx = house.db.database().write("test").await.unwrap();
    let outcome = tx.execute(statement, values).await;
    tx.rollback().await.unwrap();
    outcome.is_ok()
}

pub(crate) async fn a_row_stands_exactly_where_the_machine_has_a_stage_for_it(house: &House) {
    let insert = "INSERT INTO pending (seq, account, lane, turn, due_at, step, attempt, retries, interruptions, started_at, \
         cancel, ends, token, claimed_at, lease_until) VALUES (1, 'acme', 1, $1, $2, 0, 1, 0, 0, $3, $4, 0, $5, $6, $7)";
    let (mut legal, mut illegal) = (0, 0);
    for flat in rows() {
        let values: Vec<Value> = vec![
            flat.turn.into(),
            flat.due_at.into(),
            flat.started_at.into(),
            flat.cancel.into(),
            flat.token.into(),
            flat.claimed_at.into(),
            flat.lease_until.into(),
        ];
        let stage = Stage::read(&flat);
        assert_eq!(stands(house, insert, values).await, stage.is_some(), "{flat:?} is {stage:?}");
        match stage {
            Some(stage) => {
                assert_eq!(stage.flat(), flat, "{stage:?} is written as it was read");
                legal += 1;
            }
            None => illegal += 1,
        }
    }
    println!("{:?}: {legal} legal rows and {illegal} illegal ones", house.db.backend());
    assert_eq!((legal, illegal), (8, 952));
}

pub(crate) async fn an_end_has_a_reason_exactly_where_it_is_not_a_success(house: &House) {
    let insert = "INSERT INTO ending (seq, number, state, reason, message, step, started_at, at) \
         VALUES (1, $1, $2, $3, '', 0, NULL, 1)";
    for (state, word) in
        ["SUCCEEDED", "FAILED", "STOPPED", "CANCELLED", "QUEUED", ""].map(|word| (EndState::read(word), word))
    {
        for reason in [None, Some(EndReason::Forbidden.as_str())] {
            for number in 0..=1_i64 {
                let meant = number > 0
                    && state.is_some_and(|state| (state == EndState::Succeeded) == reason.is_none());
                let values = vec![number.into(), word.into(), reason.into()];
                assert_eq!(stands(house, insert, values).await, meant, "{word} for {reason:?}, {number}");
            }
        }
    }
}

pub(crate) async fn an_attempt_is_kept_only_with_how_it_came_out(house: &House) {
    let insert = "INSERT INTO attempt (seq, step, number, verdict, started_at, ended_at, duration_us, url_path, request_headers, \
         response_headers, response_body, truncated, error) VALUES (1, 0, $1, $2, 1, 1, 1, '', '', '', $3, 0, '')";
    for word in ["STARTED", "SUCCEEDED", "FAILED_RETRYABLE", "FAILED", "INTERRUPTED", "QUEUED", ""] {
        for number in 0..=1_i64 {
            let verdict = Verdict::read(word);
            let meant = number > 0 && verdict.is_some_and(|verdict| verdict != Verdict::Started);
            let values = vec![number.into(), word.into(), Vec::<u8>::new().into()];
            assert_eq!(stands(house, insert, values).await, meant, "{word}, {number}");
        }
    }
}
