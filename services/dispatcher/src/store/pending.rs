//! The `pending` rows: the working set. A row is waiting until it gets a token, and waiting again when it gives it back.

use sea_orm::Value;
use sluice_domain::Timestamp;
use sluice_storage::{Backend, Column, Insertion, Query, Row, StorageError, Transaction};

use super::{Result, accounts, endings, lanes, lines, sql};
use crate::change::Changes;
use crate::gate::Lane;
use crate::pending::{Flat, Pending, Stage};
use crate::quota::AccountQuota;
use crate::transition::Ending;

const WIDTH: usize = 15;

const INSERTION: Insertion<WIDTH> = Insertion::new(
    "pending",
    [
        Column::int("seq"),
        Column::text("account"),
        Column::int("lane"),
        Column::int("turn"),
        Column::int("due_at"),
        Column::int("step"),
        Column::int("attempt"),
        Column::int("retries"),
        Column::int("interruptions"),
        Column::int("started_at"),
        Column::int("cancel"),
        Column::int("ends"),
        Column::int("token"),
        Column::int("claimed_at"),
        Column::int("lease_until"),
    ],
    "",
);

/// Writes one row back whole: all columns.
pub(super) const UPDATE: &str = "UPDATE pending SET lane = $3, turn = $4, due_at = $5, step = $6, attempt = $7, \
     retries = $8, interruptions = $9, started_at = $10, cancel = $11, ends = $12, token = $13, claimed_at = $14, \
     lease_until = $15 WHERE seq = $1 AND account = $2";

/// Inserts rows.
pub(super) async fn insert(tx: &Transaction, rows: &[Pending]) -> Result<()> {
    INSERTION.run(tx, rows.iter().map(columns).collect()).await.map(drop)
}

/// Writes a row that is held under lock back whole.
pub(super) async fn update(tx: &Transaction, row: &Pending) -> Result<()> {
    tx.execute(UPDATE, columns(row).into()).await?;
    Ok(())
}

/// Deletes rows whose executions ended.
pub(super) async fn delete(tx: &Transaction, seqs: &[i64]) -> Result<()> {
    let delete = |backend, rows| format!("DELETE FROM pending WHERE seq {}", sql::among(backend, rows, 1));
    sql::execute_of(tx, &[], seqs, delete).await.map(drop)
}

/// Ends what waits of a locked account: the ends are on record, the rows gone, their lines left, and the account counts them no more.
pub(super) async fn end_waiting(
    tx: &Transaction,
    quota: &mut AccountQuota,
    ends: &[Ending],
    now: Timestamp,
    changes: &mut Changes,
) -> Result<()> {
    if ends.is_empty() {
        return Ok(());
    }
    let seqs: Vec<i64> = ends.iter().map(|ending| ending.seq).collect();
    endings::insert(tx, ends).await?;
    delete(tx, &seqs).await?;
    lines::leave(tx, &seqs, [&mut *quota], now, changes).await?;
    quota.waiting -= i64::try_from(seqs.len()).unwrap_or(0);
    accounts::save(tx, [&*quota]).await
}

/// Deletes that many rows if they are held under a token: `token`, keys.
pub(super) fn deleting(backend: Backend, rows: usize) -> String {
    format!("DELETE FROM pending WHERE token = $1 AND seq {}", sql::among(backend, rows, 2))
}

/// Deletes rows that are held under a token. Says whether all of them were.
pub(super) async fn delete_held(tx: &Transaction, token: i64, seqs: &[i64]) -> Result<bool> {
    let deleted = sql::execute_of(tx, &[token.into()], seqs, deleting).await?;
    Ok(usize::try_from(deleted).is_ok_and(|deleted| deleted == seqs.len()))
}

/// That many rows with their lanes: keys.
pub(super) fn selecting(backend: Backend, rows: usize, lock: &str) -> String {
    format!(
        "SELECT p.*, l.automation, l.generation, l.webhook FROM pending p JOIN lane l ON l.lane = p.lane \
         WHERE p.seq {} ORDER BY p.seq{lock}",
        sql::among(backend, rows, 1)
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
    let rows = sql::all_of(query, &seqs, |backend, rows| selecting(backend, rows, lock)).await?;
    rows.iter().map(|row| Ok((read(row)?, lanes::read(row)?))).collect()
}

fn columns(row: &Pending) -> [Value; WIDTH] {
    let flat = row.stage.flat();
    [
        row.seq.into(),
        row.account.as_str().into(),
        row.lane_number.into(),
        flat.turn.into(),
        flat.due_at.into(),
        i64::try_from(row.step).unwrap_or(i64::MAX).into(),
        row.attempt.into(),
        i64::from(row.retries).into(),
        i64::from(row.interruptions).into(),
        flat.started_at.into(),
        flat.cancel.into(),
        row.ends.into(),
        flat.token.into(),
        flat.claimed_at.into(),
        flat.lease_until.into(),
    ]
}

fn read(row: &Row) -> Result<Pending> {
    let small = |column: &str| -> Result<u32> {
        u32::try_from(row.get::<i64>(column)?).map_err(StorageError::decode)
    };
    let flat = Flat {
        turn: row.get("turn")?,
        due_at: row.get("due_at")?,
        started_at: row.get("started_at")?,
        cancel: row.get("cancel")?,
        token: row.get("token")?,
        claimed_at: row.get("claimed_at")?,
        lease_until: row.get("lease_until")?,
    };
    let stage = Stage::read(&flat).ok_or_else(|| StorageError::decode(format!("no stage: {flat:?}")))?;
    Ok(Pending {
        seq: row.get("seq")?,
        account: row.get("account")?,
        lane_number: row.get("lane")?,
        step: usize::try_from(row.get::<i64>("step")?).map_err(StorageError::decode)?,
        attempt: row.get("attempt")?,
        retries: small("retries")?,
        interruptions: small("interruptions")?,
        ends: row.get("ends")?,
        stage,
    })
}
