//! The `line` rows: who stands in a record's line at a webhook, and whose turn comes when somebody leaves it. The account is locked.

use std::collections::{BTreeSet, HashMap};

use sea_orm::Value;
use sluice_domain::{AccountId, Timestamp, WebhookId};
use sluice_storage::rows::{chunks, placeholders};
use sluice_storage::{Backend, Column, Insertion, Query, Row, StorageError, Transaction};

use super::{Result, executions, sql};
use crate::change::{Change, Changes, Then, What};
use crate::execution::Execution;
use crate::line::{IN_LINE, Key, Lines};
use crate::quota::AccountQuota;
use crate::turn::Turn;

const INSERTION: Insertion<5> = Insertion::new(
    "line",
    [
        Column::int("seq"),
        Column::text("account"),
        Column::text("webhook"),
        Column::text("record"),
        Column::int("place"),
    ],
    "",
);

/// Whoever comes next in a line is ready: `account, webhook, record`, the time of those in line.
pub(super) const CALL: &str = "UPDATE pending SET due_at = 0 WHERE due_at = $4 AND seq = (SELECT seq FROM line WHERE account = $1 \
     AND webhook = $2 AND record = $3 AND place IS NOT NULL ORDER BY place LIMIT 1) RETURNING seq, step, turn";

/// Those of that many lines in which somebody stands: `account`, webhooks and records.
pub(super) fn occupying(lines: usize) -> String {
    format!(
        "SELECT DISTINCT webhook, record FROM line WHERE account = $1 AND place IS NOT NULL AND (webhook, record) IN (VALUES {})",
        placeholders(lines, 2, 2)
    )
}

/// Of that many those who are on the way to a line: keys.
pub(super) fn coming(backend: Backend, rows: usize) -> String {
    let among = sql::among(backend, rows, 1);
    format!("SELECT seq, webhook, record FROM line WHERE seq {among} AND place IS NULL ORDER BY seq")
}

/// That many are over: keys.
pub(super) fn leaving(backend: Backend, rows: usize) -> String {
    format!("DELETE FROM line WHERE seq {} RETURNING account, webhook, record", sql::among(backend, rows, 1))
}

/// Somebody in a line, or on the way there.
#[derive(Debug, Clone)]
pub(super) struct Comer {
    pub(super) seq: i64,
    pub(super) key: Key,
    /// Whether a delay runs, so that it has no place yet.
    pub(super) delayed: bool,
}

/// The lines that new executions of an account come to, with who stands there; nobody is asked where none is ordered.
pub(super) async fn before<'a>(
    tx: &Transaction,
    account: &AccountId,
    new: impl Iterator<Item = &'a Execution>,
) -> Result<Lines> {
    let key = |new: &'a Execution| {
        let first = new.plan.deliveries.first().filter(|first| first.ordered)?;
        Some(Key::of(first.webhook, &new.event))
    };
    let keys: BTreeSet<Key> = new.filter_map(key).collect();
    occupied(tx, account, &Vec::from_iter(keys)).await
}

/// Those of an account's lines in which somebody stands.
async fn occupied(tx: &Transaction, account: &AccountId, keys: &[Key]) -> Result<Lines> {
    let mut lines = Lines::default();
    for piece in chunks(keys, tx.backend(), 3) {
        let mut values: Vec<Value> = vec![account.as_str().into()];
        values.extend(
            piece.iter().flat_map(|key| [key.webhook.to_string().into(), key.record.as_str().into()]),
        );
        for row in tx.all(&occupying(piece.len()), values).await? {
            lines.occupy(key(&row)?);
        }
    }
    Ok(lines)
}

/// Inserts rows. Their places follow all that were given before: also to those who were due in the same transaction.
pub(super) async fn insert(tx: &Transaction, account: &AccountId, rows: &[Comer]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let places = executions::places(tx, rows.len()).await?;
    let columns = |(row, place): (&Comer, i64)| -> [Value; 5] {
        let place = (!row.delayed).then_some(place);
        let (webhook, record) = (row.key.webhook.to_string(), row.key.record.as_str());
        [row.seq.into(), account.as_str().into(), webhook.into(), record.into(), place.into()]
    };
    INSERTION.run(tx, rows.iter().zip(places).map(columns).collect()).await.map(drop)
}

/// The delivery that an execution stands at now comes to its line, or to the delay before it. If it must wait there, it is not ready
/// after all.
pub(super) async fn enter(
    tx: &Transaction,
    account: &AccountId,
    seq: i64,
    webhook: WebhookId,
    delayed: bool,
    changes: &mut Changes,
) -> Result<()> {
    let row = tx.one("SELECT event FROM execution WHERE seq = $1", vec![seq.into()]).await?;
    let row = row.ok_or_else(|| StorageError::decode("an execution vanished"))?;
    let event = serde_json::from_str(&row.at::<String>(0)?).map_err(StorageError::decode)?;
    let standing = Comer { seq, key: Key::of(webhook, &event), delayed: true };
    insert(tx, account, &[standing]).await?;
    if delayed { Ok(()) } else { join_due(tx, account, &[seq], changes).await }
}

/// Of these, due now, those that are ordered come to their lines. Those who must wait there are not ready after all.
pub(super) async fn join_due(
    tx: &Transaction,
    account: &AccountId,
    due: &[i64],
    changes: &mut Changes,
) -> Result<()> {
    for row in sql::all_of(tx, due, coming).await? {
        let (seq, key): (i64, Key) = (row.get("seq")?, key(&row)?);
        let until = occupied(tx, account, std::slice::from_ref(&key)).await?.join(key);
        let place = executions::places(tx, 1).await?.pop();
        tx.execute("UPDATE line SET place = $2 WHERE seq = $1", vec![seq.into(), place.into()]).await?;
        let Some(until) = until else { continue };
        let update = "UPDATE pending SET due_at = $2 WHERE seq = $1 RETURNING seq, step";
        if let Some(row) = tx.one(update, vec![seq.into(), until.as_micros().into()]).await? {
            changes.add(account, turn(&row, Then::Waits(until))?);
        }
    }
    Ok(())
}

/// These are over: whoever comes next in their lines is ready, and their accounts are told.
pub(super) async fn leave<'a>(
    tx: &Transaction,
    over: &[i64],
    quotas: impl IntoIterator<Item = &'a mut AccountQuota>,
    now: Timestamp,
    changes: &mut Changes,
) -> Result<()> {
    let mut left: BTreeSet<(String, Key)> = BTreeSet::new();
    for row in sql::all_of(tx, over, leaving).await? {
        left.insert((row.get("account")?, key(&row)?));
    }
    if left.is_empty() {
        return Ok(());
    }
    let mut quotas: HashMap<String, &mut AccountQuota> =
        quotas.into_iter().map(|quota| (quota.account.as_str().to_owned(), quota)).collect();
    for (account, key) in left {
        let (webhook, micros) = (key.webhook.to_string(), IN_LINE.as_micros());
        let values = vec![account.as_str().into(), webhook.into(), key.record.into(), micros.into()];
        let Some(row) = tx.one(CALL, values).await? else { continue };
        let quota =
            quotas.get_mut(&account).ok_or_else(|| StorageError::decode("a line's account is not locked"))?;
        let started = row.get::<i64>("turn")? == Turn::Continuing.code();
        let then = if started { Then::Waits(now) } else { Then::Queues };
        changes.add(&quota.account, turn(&row, then)?);
        quota.wake_at = Some(quota.wake_at.map_or(now, |wake_at| wake_at.min(now)));
    }
    Ok(())
}

fn turn(row: &Row, then: Then) -> Result<Change> {
    let step = usize::try_from(row.get::<i64>("step")?).map_err(StorageError::decode)?;
    Ok(Change { seq: row.get("seq")?, what: What::Turn, step, attempt: 0, then })
}

fn key(row: &Row) -> Result<Key> {
    let webhook: String = row.get("webhook")?;
    Ok(Key { webhook: webhook.parse().map_err(StorageError::decode)?, record: row.get("record")? })
}
