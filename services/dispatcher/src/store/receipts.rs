//! The `receipt` rows: one an event that set something off, with the answer it got.

use std::collections::HashSet;

use sea_orm::Value;
use sluice_domain::{AccountId, ExecutionId, Timestamp};
use sluice_storage::{Column, Insertion, Query, StorageError, Transaction};

use super::accept::NewEvent;
use super::{Result, sql};

/// The receipt of an event: `account, event`.
pub(super) const ONE: &str = "SELECT digest, executions FROM receipt WHERE account = $1 AND event = $2";

const INSERTION: Insertion<5> = Insertion::new(
    "receipt",
    [
        Column::text("account"),
        Column::text("event"),
        Column::bytes("digest"),
        Column::bytes("executions"),
        Column::int("at"),
    ],
    "ON CONFLICT (account, event) DO NOTHING RETURNING account, event",
);

/// What the table says of an event that is to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Receipt {
    /// It is new, and has its receipt now.
    Fresh,
    /// It was accepted before, with this answer.
    Repeated(Vec<ExecutionId>),
    /// Another event was accepted under its id.
    Reused,
}

/// Writes a receipt for each event that has none, and says how each stands. The accounts are locked.
pub(super) async fn settle(tx: &Transaction, events: &[NewEvent], now: Timestamp) -> Result<Vec<Receipt>> {
    let mut seen: HashSet<(&AccountId, &str)> = HashSet::new();
    let firsts: Vec<usize> =
        (0..events.len()).filter(|at| seen.insert((&events[*at].account, &events[*at].event.id))).collect();
    let mut written: HashSet<(String, String)> = HashSet::new();
    let rows = firsts.iter().map(|at| columns(&events[*at], now)).collect();
    for row in INSERTION.returning(tx, rows).await? {
        written.insert((row.at(0)?, row.at(1)?));
    }
    let mut stands = Vec::with_capacity(events.len());
    for event in events {
        // The first of a key takes it out: what comes again within the batch finds the receipt like any other repeat.
        let key = (event.account.as_str().to_owned(), event.event.id.clone());
        stands.push(if written.remove(&key) { Receipt::Fresh } else { earlier(tx, event).await? });
    }
    Ok(stands)
}

/// How an event stands whose receipt was there before.
async fn earlier(tx: &Transaction, event: &NewEvent) -> Result<Receipt> {
    let key: Vec<Value> = vec![event.account.as_str().into(), event.event.id.as_str().into()];
    let row = tx.one(ONE, key).await?.ok_or_else(|| StorageError::decode("a receipt vanished"))?;
    if row.at::<Vec<u8>>(0)? != event.digest {
        return Ok(Receipt::Reused);
    }
    Ok(Receipt::Repeated(decode(&row.at::<Vec<u8>>(1)?)?))
}

/// Takes receipts back from events that are refused after all.
pub(super) async fn withdraw(tx: &Transaction, account: &AccountId, events: &[&str]) -> Result<()> {
    let delete =
        format!("DELETE FROM receipt WHERE account = $1 AND event IN ({})", sql::list(events.len(), 2));
    let mut values: Vec<Value> = vec![account.as_str().into()];
    values.extend(events.iter().map(|event| Value::from(*event)));
    tx.execute(&delete, values).await?;
    Ok(())
}

fn columns(event: &NewEvent, now: Timestamp) -> [Value; 5] {
    let ids: Vec<u8> = event.executions.iter().flat_map(|execution| execution.id.to_bytes()).collect();
    [
        event.account.as_str().into(),
        event.event.id.as_str().into(),
        event.digest.to_vec().into(),
        ids.into(),
        now.as_micros().into(),
    ]
}

fn decode(ids: &[u8]) -> Result<Vec<ExecutionId>> {
    let (whole, rest) = ids.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(StorageError::decode("a receipt's ids are cut off"));
    }
    Ok(whole.iter().map(|id| ExecutionId::from_bytes(*id)).collect())
}
