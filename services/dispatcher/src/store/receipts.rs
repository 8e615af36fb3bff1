//! The `receipt` rows: one an event that set something off, with the answer it got.

use std::collections::HashMap;

use sea_orm::Value;
use sluice_domain::{AccountId, ExecutionId, Timestamp};
use sluice_storage::rows::{chunks, placeholders};
use sluice_storage::{Query, StorageError, Transaction};

use super::accept::NewEvent;
use super::{Result, executions, sql};

/// The receipt of an event: `account, event`.
pub(super) const ONE: &str = "SELECT digest, executions FROM receipt WHERE account = $1 AND event = $2";

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
    let mut first: HashMap<(&AccountId, &str), usize> = HashMap::new();
    let unique: Vec<usize> = (0..events.len())
        .filter(|at| *first.entry((&events[*at].account, &events[*at].event.id)).or_insert(*at) == *at)
        .collect();
    for piece in chunks(&unique, tx.backend(), 5) {
        let insert = format!(
            "INSERT INTO receipt (account, event, digest, executions, at) VALUES {} ON CONFLICT (account, event) DO NOTHING",
            placeholders(piece.len(), 5, 1)
        );
        let values = piece.iter().flat_map(|at| columns(&events[*at], now)).collect();
        let inserted = tx.execute(&insert, values).await?;
        if usize::try_from(inserted).ok() != Some(piece.len()) {
            return compare(tx, events, &unique).await;
        }
    }
    if unique.len() == events.len() {
        return Ok(vec![Receipt::Fresh; events.len()]);
    }
    compare(tx, events, &unique).await
}

/// Reads every event's receipt and says whether this very transaction wrote it. `unique` are the places in `events` of those
/// whose key did not occur before.
async fn compare(tx: &Transaction, events: &[NewEvent], unique: &[usize]) -> Result<Vec<Receipt>> {
    // Receipts of this transaction may be missing still, when a piece before them had a repeat.
    let mut stands = Vec::with_capacity(events.len());
    for (at, event) in events.iter().enumerate() {
        let key: Vec<Value> = vec![event.account.as_str().into(), event.event.id.as_str().into()];
        let Some(row) = tx.one(ONE, key).await? else {
            let insert =
                "INSERT INTO receipt (account, event, digest, executions, at) VALUES ($1, $2, $3, $4, $5)";
            tx.execute(insert, columns(event, tx.now().await?).into()).await?;
            stands.push(Receipt::Fresh);
            continue;
        };
        let digest: Vec<u8> = row.at(0)?;
        let ids = decode(&row.at::<Vec<u8>>(1)?)?;
        // A call that is repeated because its commit was in doubt shows the same ids as the receipt it left: what tells the two
        // apart is that its executions are there.
        let known = match ids.first() {
            Some(id) if ids == event.ids() && unique.binary_search(&at).is_ok() => {
                executions::seq_of(tx, &event.account, *id).await?.is_some()
            }
            _ => true,
        };
        stands.push(match (digest == event.digest, known) {
            (false, _) => Receipt::Reused,
            (true, false) => Receipt::Fresh,
            (true, true) => Receipt::Repeated(ids),
        });
    }
    Ok(stands)
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
