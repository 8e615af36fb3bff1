//! The `pending` rows: the working set. A row is waiting until it gets a token, and waiting again when it gives it back.

use sea_orm::Value;
use sluice_domain::{Span, Timestamp};
use sluice_storage::rows::{chunks, placeholders};
use sluice_storage::{Backend, Query, Row, StorageError, Transaction};

use super::endings::Ending;
use super::{Result, lanes, sql};
use crate::change::{Change, Then, What};
use crate::execution::End;
use crate::gate::Lane;
use crate::turn::Turn;

const COLUMNS: &str = "seq, account, lane, turn, due_at, step, attempt, retries, interruptions, started_at, cancel, \
     ends, token, claimed_at, lease_until";
const WIDTH: usize = 15;

/// Writes one row back whole: all columns.
pub(super) const UPDATE: &str = "UPDATE pending SET lane = $3, turn = $4, due_at = $5, step = $6, attempt = $7, \
     retries = $8, interruptions = $9, started_at = $10, cancel = $11, ends = $12, token = $13, claimed_at = $14, \
     lease_until = $15 WHERE seq = $1 AND account = $2";

/// What marks a row as claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hold {
    /// What every later write must show.
    pub(super) token: i64,
    /// Since when.
    pub(super) claimed_at: Timestamp,
    /// Until when.
    pub(super) lease_until: Timestamp,
}

/// One row.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) seq: i64,
    pub(super) account: String,
    /// The number of its lane.
    pub(super) lane_number: i64,
    pub(super) turn: Turn,
    /// When it is due; `None` is ready.
    pub(super) due_at: Option<Timestamp>,
    pub(super) step: usize,
    pub(super) attempt: i64,
    pub(super) retries: u32,
    pub(super) interruptions: u32,
    pub(super) started_at: Option<Timestamp>,
    pub(super) cancel: bool,
    /// How often it ended before it was opened again.
    pub(super) ends: i64,
    pub(super) hold: Option<Hold>,
}

/// Inserts rows.
pub(super) async fn insert(tx: &Transaction, rows: &[Pending]) -> Result<()> {
    for piece in chunks(rows, tx.backend(), WIDTH) {
        let insert =
            format!("INSERT INTO pending ({COLUMNS}) VALUES {}", placeholders(piece.len(), WIDTH, 1));
        let values = piece.iter().flat_map(columns).collect();
        tx.execute(&insert, values).await?;
    }
    Ok(())
}

/// Writes a row that is held under lock back whole.
pub(super) async fn update(tx: &Transaction, row: &Pending) -> Result<()> {
    tx.execute(UPDATE, columns(row).into()).await?;
    Ok(())
}

/// Deletes rows whose executions ended.
pub(super) async fn delete(tx: &Transaction, seqs: &[i64]) -> Result<()> {
    for piece in chunks(seqs, tx.backend(), 1) {
        tx.execute(&deleting(piece.len()), sql::keys(piece)).await?;
    }
    Ok(())
}

/// Deletes that many rows: keys.
pub(super) fn deleting(rows: usize) -> String {
    format!("DELETE FROM pending WHERE seq IN ({})", sql::list(rows, 1))
}

/// That many rows with their lanes: keys.
pub(super) fn selecting(rows: usize, lock: &str) -> String {
    format!(
        "SELECT p.*, l.automation, l.generation, l.webhook FROM pending p JOIN lane l ON l.lane = p.lane \
         WHERE p.seq IN ({}) ORDER BY p.seq{lock}",
        sql::list(rows, 1)
    )
}

/// What makes [`selecting`] hold its rows until the end of the transaction.
pub(super) const fn held(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => "",
        Backend::Postgres => " FOR UPDATE OF p",
    }
}

/// Rows by key with their lanes, held until the end of the transaction.
pub(super) async fn locked(tx: &Transaction, seqs: &[i64]) -> Result<Vec<(Pending, Lane)>> {
    select(tx, seqs, held(tx.backend())).await
}

/// Rows by key with their lanes.
pub(super) async fn get(query: &impl Query, seqs: &[i64]) -> Result<Vec<(Pending, Lane)>> {
    select(query, seqs, "").await
}

async fn select(query: &impl Query, seqs: &[i64], lock: &str) -> Result<Vec<(Pending, Lane)>> {
    // One order for all who lock several, over the pieces too.
    let mut seqs = seqs.to_vec();
    seqs.sort_unstable();
    let mut found = Vec::with_capacity(seqs.len());
    for piece in chunks(&seqs, query.backend(), 1) {
        for row in query.all(&selecting(piece.len(), lock), sql::keys(piece)).await? {
            found.push((read(&row)?, lanes::read(&row)?));
        }
    }
    Ok(found)
}

impl Pending {
    /// Gives the claim back: the row waits again, and is due after that long.
    pub(super) fn release(&mut self, now: Timestamp, after: Span) {
        self.hold = None;
        self.due_at = (after > Span::ZERO).then(|| now.plus(after));
    }

    /// What happens when it ends without an attempt.
    pub(super) const fn ended(&self) -> Change {
        Change {
            seq: self.seq,
            what: What::Ended,
            step: self.step,
            attempt: 0,
            then: Then::Ended(self.ends + 1),
        }
    }

    /// How it ends.
    pub(super) fn ending(&self, end: End, at: Timestamp) -> Ending {
        Ending { seq: self.seq, number: self.ends + 1, end, step: self.step, started_at: self.started_at, at }
    }
}

fn columns(row: &Pending) -> [Value; WIDTH] {
    [
        row.seq.into(),
        row.account.as_str().into(),
        row.lane_number.into(),
        row.turn.code().into(),
        row.due_at.map_or(0, Timestamp::as_micros).into(),
        i64::try_from(row.step).unwrap_or(i64::MAX).into(),
        row.attempt.into(),
        i64::from(row.retries).into(),
        i64::from(row.interruptions).into(),
        row.started_at.map(Timestamp::as_micros).into(),
        i64::from(row.cancel).into(),
        row.ends.into(),
        row.hold.map(|hold| hold.token).into(),
        row.hold.map(|hold| hold.claimed_at.as_micros()).into(),
        row.hold.map(|hold| hold.lease_until.as_micros()).into(),
    ]
}

fn read(row: &Row) -> Result<Pending> {
    let small = |column: &str| -> Result<u32> {
        u32::try_from(row.get::<i64>(column)?).map_err(StorageError::decode)
    };
    let at = |column: &str| -> Result<Option<Timestamp>> {
        Ok(row.get::<Option<i64>>(column)?.map(Timestamp::from_micros))
    };
    let hold = match (row.get::<Option<i64>>("token")?, at("claimed_at")?, at("lease_until")?) {
        (Some(token), Some(claimed_at), Some(lease_until)) => Some(Hold { token, claimed_at, lease_until }),
        _ => None,
    };
    let turn: i64 = row.get("turn")?;
    let due_at: i64 = row.get("due_at")?;
    Ok(Pending {
        seq: row.get("seq")?,
        account: row.get("account")?,
        lane_number: row.get("lane")?,
        turn: Turn::from_code(turn).ok_or_else(|| StorageError::decode(format!("turn {turn}")))?,
        due_at: (due_at > 0).then(|| Timestamp::from_micros(due_at)),
        step: usize::try_from(row.get::<i64>("step")?).map_err(StorageError::decode)?,
        attempt: row.get("attempt")?,
        retries: small("retries")?,
        interruptions: small("interruptions")?,
        started_at: at("started_at")?,
        cancel: row.get::<i64>("cancel")? != 0,
        ends: row.get("ends")?,
        hold,
    })
}
