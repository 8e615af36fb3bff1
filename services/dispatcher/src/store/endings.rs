//! The `attempt` and `ending` rows: what is appended when an attempt or an execution ends.

use std::borrow::Cow;
use std::collections::HashMap;

use sea_orm::Value;
use sluice_domain::{Span, Timestamp};
use sluice_storage::rows::chunks;
use sluice_storage::{Backend, Column, Insertion, Query, Row, StorageError, Transaction};

use super::{Result, sql};
use crate::attempt::{Attempt, KeptAnswer, KeptHeader, Verdict};
use crate::execution::{End, EndReason, EndState};
use crate::transition::Ending;

const ATTEMPT_COLUMNS: &str = "seq, step, number, verdict, started_at, ended_at, duration_us, url_path, request_headers, \
     status, response_headers, response_body, truncated, error";
const ATTEMPT_WIDTH: usize = 14;

const ENDING_COLUMNS: &str = "seq, number, state, reason, message, step, started_at, at";
const ENDING_WIDTH: usize = 8;

const ATTEMPTS: Insertion<ATTEMPT_WIDTH> = Insertion::new(
    "attempt",
    [
        Column::int("seq"),
        Column::int("step"),
        Column::int("number"),
        Column::text("verdict"),
        Column::int("started_at"),
        Column::int("ended_at"),
        Column::int("duration_us"),
        Column::text("url_path"),
        Column::text("request_headers"),
        Column::int("status"),
        Column::text("response_headers"),
        Column::bytes("response_body"),
        Column::int("truncated"),
        Column::text("error"),
    ],
    "",
);

const ENDINGS: Insertion<ENDING_WIDTH> = Insertion::new(
    "ending",
    [
        Column::int("seq"),
        Column::int("number"),
        Column::text("state"),
        Column::text("reason"),
        Column::text("message"),
        Column::int("step"),
        Column::int("started_at"),
        Column::int("at"),
    ],
    "",
);

/// Appends ended attempts.
pub(super) async fn insert_attempts(
    tx: &Transaction,
    attempts: &[(i64, Cow<'_, Attempt>)],
    now: Timestamp,
) -> Result<()> {
    let rows = attempts.iter().map(|(seq, attempt)| attempt_columns(*seq, attempt, now));
    ATTEMPTS.run(tx, rows.collect::<Result<_>>()?).await.map(drop)
}

/// Appends ends, numbered by the caller. Those that are no success get their account beside them, and so into the index by end.
pub(super) async fn insert(tx: &Transaction, endings: &[Ending]) -> Result<()> {
    let (successes, others): (Vec<&Ending>, Vec<&Ending>) =
        endings.iter().partition(|ending| ending.end.state == EndState::Succeeded);
    ENDINGS.run(tx, successes.into_iter().map(ending_columns).collect()).await?;
    for piece in chunks(&others, tx.backend(), ENDING_WIDTH) {
        let values = piece.iter().flat_map(|ending| ending_columns(ending)).collect();
        tx.execute(&inserting_found(piece.len()), values).await?;
    }
    Ok(())
}

/// Appends that many ends with their accounts, which stand with the executions.
fn inserting_found(rows: usize) -> String {
    let row = |at: usize| {
        let first = at * ENDING_WIDTH + 1;
        let columns = sql::list(ENDING_WIDTH, first);
        format!("({columns},(SELECT account FROM execution WHERE seq = ${first}))")
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!("INSERT INTO ending ({ENDING_COLUMNS}, account) VALUES {}", rows.join(","))
}

/// These ends are no longer in force: what they ended is open again, and is not found by them.
pub(super) async fn overtake(tx: &Transaction, seqs: &[i64]) -> Result<()> {
    sql::execute_of(tx, &[], seqs, overtaking).await.map(drop)
}

/// The same of that many executions: keys.
pub(super) fn overtaking(backend: Backend, executions: usize) -> String {
    let among = sql::among(backend, executions, 1);
    format!("UPDATE ending SET account = NULL WHERE seq {among} AND account IS NOT NULL")
}

/// All ends of these executions, of each in order of number.
pub(super) async fn all(query: &impl Query, seqs: &[i64]) -> Result<Vec<Ending>> {
    sql::all_of(query, seqs, selecting).await?.iter().map(read).collect()
}

/// The latest end of each of these executions that has one.
pub(super) async fn latest(query: &impl Query, seqs: &[i64]) -> Result<Vec<Ending>> {
    let mut found = all(query, seqs).await?;
    found.reverse();
    found.dedup_by_key(|ending| ending.seq);
    found.reverse();
    Ok(found)
}

/// The same, held until the end of the transaction: who prunes waits, or went before.
pub(super) async fn latest_held(tx: &Transaction, seqs: &[i64]) -> Result<Vec<Ending>> {
    if tx.backend() == Backend::Postgres {
        sql::all_of(tx, seqs, |backend, keys| holding(backend, keys, sql::locked(backend))).await?;
    }
    latest(tx, seqs).await
}

/// Which of that many executions have ended, with what makes the rows held: keys.
pub(super) fn holding(backend: Backend, executions: usize, lock: &str) -> String {
    let among = sql::among(backend, executions, 1);
    format!("SELECT seq FROM ending WHERE seq {among} ORDER BY seq, number{lock}")
}

/// All ends of that many executions: keys.
pub(super) fn selecting(backend: Backend, executions: usize) -> String {
    format!(
        "SELECT {ENDING_COLUMNS} FROM ending WHERE seq {} ORDER BY seq, number",
        sql::among(backend, executions, 1)
    )
}

/// All attempts of one execution: its key.
pub(super) fn selecting_attempts() -> String {
    format!("SELECT {ATTEMPT_COLUMNS} FROM attempt WHERE seq = $1 ORDER BY step, number")
}

/// The attempts of that many executions without headers and bodies: keys.
pub(super) fn selecting_briefly(backend: Backend, executions: usize) -> String {
    let nothing = match backend {
        Backend::Sqlite => "x''",
        Backend::Postgres => "''::bytea",
    };
    let among = sql::among(backend, executions, 1);
    format!(
        "SELECT seq, step, number, verdict, started_at, ended_at, duration_us, url_path, '[]' AS request_headers, status, \
         '[]' AS response_headers, {nothing} AS response_body, truncated, error FROM attempt WHERE seq {among}"
    )
}

/// How many attempts that many executions have: keys.
pub(super) fn counting_attempts(backend: Backend, executions: usize) -> String {
    let among = sql::among(backend, executions, 1);
    format!("SELECT seq, count(*) AS attempts FROM attempt WHERE seq {among} GROUP BY seq")
}

/// The numbers of the last attempts of that many executions' deliveries: keys.
pub(super) fn last_numbers(backend: Backend, executions: usize) -> String {
    let among = sql::among(backend, executions, 1);
    format!("SELECT seq, step, max(number) FROM attempt WHERE seq {among} GROUP BY seq, step")
}

/// All attempts of one execution, by delivery and number.
pub(super) async fn attempts(query: &impl Query, seq: i64) -> Result<Vec<Attempt>> {
    query.all(&selecting_attempts(), vec![seq.into()]).await?.iter().map(read_attempt).collect()
}

/// The attempts of these executions, each with its execution's key, without headers and bodies.
pub(super) async fn brief_attempts(query: &impl Query, seqs: &[i64]) -> Result<Vec<(i64, Attempt)>> {
    let rows = sql::all_of(query, seqs, selecting_briefly).await?;
    rows.iter().map(|row| Ok((row.get("seq")?, read_attempt(row)?))).collect()
}

/// How many attempts each of these executions has on record.
pub(super) async fn attempt_counts(query: &impl Query, seqs: &[i64]) -> Result<Vec<(i64, i64)>> {
    let rows = sql::all_of(query, seqs, counting_attempts).await?;
    rows.iter().map(|row| Ok((row.at(0)?, row.at(1)?))).collect()
}

/// The number of the last attempt of each delivery of these executions, by execution and delivery.
pub(super) async fn last_attempts(query: &impl Query, seqs: &[i64]) -> Result<HashMap<(i64, usize), i64>> {
    let mut found = HashMap::new();
    for row in sql::all_of(query, seqs, last_numbers).await? {
        let step = usize::try_from(row.at::<i64>(1)?).map_err(StorageError::decode)?;
        found.insert((row.at(0)?, step), row.at(2)?);
    }
    Ok(found)
}

fn json(headers: &[KeptHeader]) -> Result<Value> {
    Ok(serde_json::to_string(headers).map_err(StorageError::decode)?.into())
}

fn attempt_columns(seq: i64, attempt: &Attempt, now: Timestamp) -> Result<[Value; ATTEMPT_WIDTH]> {
    let answer = attempt.answer.as_ref();
    Ok([
        seq.into(),
        i64::try_from(attempt.step).map_err(StorageError::decode)?.into(),
        attempt.number.into(),
        attempt.verdict.as_str().into(),
        attempt.started_at.as_micros().into(),
        now.as_micros().into(),
        attempt.duration.as_micros().into(),
        attempt.url_path.as_str().into(),
        json(&attempt.request_headers)?,
        answer.map(|answer| i64::from(answer.status)).into(),
        json(answer.map_or(&[], |answer| &answer.headers))?,
        answer.map_or_else(Vec::new, |answer| answer.body.clone()).into(),
        i64::from(answer.is_some_and(|answer| answer.truncated)).into(),
        attempt.error.as_str().into(),
    ])
}

fn ending_columns(ending: &Ending) -> [Value; ENDING_WIDTH] {
    [
        ending.seq.into(),
        ending.number.into(),
        ending.end.state.as_str().into(),
        ending.end.reason.map(EndReason::as_str).into(),
        ending.end.message.as_str().into(),
        i64::try_from(ending.step).unwrap_or(i64::MAX).into(),
        ending.started_at.map(Timestamp::as_micros).into(),
        ending.at.as_micros().into(),
    ]
}

fn read(row: &Row) -> Result<Ending> {
    let state: String = row.get("state")?;
    let reason: Option<String> = row.get("reason")?;
    let reason = reason
        .map(|text| EndReason::read(&text).ok_or_else(|| StorageError::decode(format!("end reason {text}"))))
        .transpose()?;
    Ok(Ending {
        seq: row.get("seq")?,
        number: row.get("number")?,
        end: End {
            state: EndState::read(&state)
                .ok_or_else(|| StorageError::decode(format!("end state {state}")))?,
            reason,
            message: row.get("message")?,
        },
        step: usize::try_from(row.get::<i64>("step")?).map_err(StorageError::decode)?,
        started_at: row.get::<Option<i64>>("started_at")?.map(Timestamp::from_micros),
        at: Timestamp::from_micros(row.get("at")?),
    })
}

fn read_attempt(row: &Row) -> Result<Attempt> {
    let headers = |column: &str| -> Result<Vec<KeptHeader>> {
        serde_json::from_str(&row.get::<String>(column)?).map_err(StorageError::decode)
    };
    let verdict: String = row.get("verdict")?;
    let answer = match row.get::<Option<i64>>("status")? {
        None => None,
        Some(status) => Some(KeptAnswer {
            status: u16::try_from(status).map_err(StorageError::decode)?,
            headers: headers("response_headers")?,
            body: row.get("response_body")?,
            truncated: row.get::<i64>("truncated")? != 0,
        }),
    };
    Ok(Attempt {
        step: usize::try_from(row.get::<i64>("step")?).map_err(StorageError::decode)?,
        number: row.get("number")?,
        verdict: Verdict::read(&verdict).ok_or_else(|| StorageError::decode(format!("verdict {verdict}")))?,
        started_at: Timestamp::from_micros(row.get("started_at")?),
        ended_at: Some(Timestamp::from_micros(row.get("ended_at")?)),
        duration: Span::from_micros(row.get("duration_us")?),
        url_path: row.get("url_path")?,
        request_headers: headers("request_headers")?,
        answer,
        error: row.get("error")?,
    })
}
