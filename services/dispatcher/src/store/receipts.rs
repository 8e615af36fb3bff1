//! The `receipt` rows: one an event that set something off, with the answer it got.

use std::collections::HashSet;

use sea_orm::Value;
use sluice_domain::{AccountId, ExecutionId, Timestamp};
use sluice_storage::{Backend, Column, Insertion, Query, StorageError, Transaction};

use super::accept::NewEvent;
use super::{Result, sql};

/// The receipt of an event: `account, event`.
pub(super) const ONE: &str = "SELECT digest, executions FROM receipt WHERE account = $1 AND event = $2";

/// The receipts written last: `limit`. On SQLite, where nobody else writes meanwhile.
pub(super) const NEWEST: &str = "SELECT account, event FROM receipt ORDER BY receipt DESC LIMIT $1";

const COLUMNS: [Column; 5] = [
    Column::text("account"),
    Column::text("event"),
    Column::bytes("digest"),
    Column::bytes("executions"),
    Column::int("at"),
];
const COUNTING: Insertion<5> = Insertion::new("receipt", COLUMNS, "ON CONFLICT (account, event) DO NOTHING");
const RETURNING: Insertion<5> =
    Insertion::new("receipt", COLUMNS, "ON CONFLICT (account, event) DO NOTHING RETURNING account, event");

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
    let rows = firsts.iter().map(|at| columns(&events[*at], now)).collect();
    let mut written = write(tx, rows).await?;
    let mut stands = Vec::with_capacity(events.len());
    let mut firsts = firsts.into_iter().peekable();
    for (at, event) in events.iter().enumerate() {
        // What comes again within the batch finds the receipt like any other repeat.
        let first = firsts.next_if_eq(&at).is_some();
        let key = || (event.account.as_str().to_owned(), event.event.id.clone());
        let fresh = first && written.as_mut().is_none_or(|written| written.remove(&key()));
        stands.push(if fresh { Receipt::Fresh } else { earlier(tx, event).await? });
    }
    Ok(stands)
}

/// Writes those that are not there; says which, unless all of them were written. SQLite is asked for them only then: each row that
/// it returns costs more than to write it.
async fn write(tx: &Transaction, rows: Vec<[Value; 5]>) -> Result<Option<HashSet<(String, String)>>> {
    let wanted = u64::try_from(rows.len()).map_err(StorageError::decode)?;
    let written = match tx.backend() {
        Backend::Postgres => RETURNING.returning(tx, rows).await?,
        Backend::Sqlite => {
            let count = COUNTING.run(tx, rows).await?;
            if count == wanted {
                return Ok(None);
            }
            let count = i64::try_from(count).map_err(StorageError::decode)?;
            tx.all(NEWEST, vec![count.into()]).await?
        }
    };
    let keys = written.iter().map(|row| Ok((row.at(0)?, row.at(1)?)));
    keys.collect::<Result<_>>().map(Some)
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
