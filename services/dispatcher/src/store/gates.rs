//! The `gate` rows: which are closed for the accounts of a transaction, and how one closes or opens. What is held back because its
//! webhook fails stands in other rows, which are read with them.

use std::collections::HashMap;

use sea_orm::Value;
use sluice_domain::AccountId;
use sluice_storage::rows::chunks;
use sluice_storage::{Query, Row, StorageError, Transaction};

use super::{Result, breakers, sql};
use crate::gate::{Closed, Gates, Subject};

/// The word in the place of a gate's kind where the row is a breaker.
const BREAKER: &str = "BREAKER";

/// The closed gates of these accounts and their webhooks that fail; an account without any is absent.
pub(super) async fn closed<'a>(
    query: &impl Query,
    accounts: impl IntoIterator<Item = &'a AccountId>,
) -> Result<HashMap<AccountId, Gates>> {
    let accounts: Vec<&AccountId> = accounts.into_iter().collect();
    let mut found: HashMap<AccountId, Gates> = HashMap::new();
    for piece in chunks(&accounts, query.backend(), 1) {
        let values = piece.iter().map(|account| account.as_str().into()).collect();
        for row in query.all(&selecting(piece.len()), values).await? {
            let account: String = row.get("account")?;
            let account = account.parse().map_err(StorageError::decode)?;
            let gates = found.entry(account).or_default();
            if row.get::<String>("kind")? == BREAKER {
                let webhook: String = row.get("subject")?;
                gates.fails(webhook.parse().map_err(StorageError::decode)?, breakers::read(&row)?);
            } else {
                gates.close(Closed {
                    subject: subject(&row)?,
                    generation: row.get("generation")?,
                    swept: row.get::<i64>("unswept")? == 0,
                });
            }
        }
    }
    Ok(found)
}

/// The closed gates and the breakers of that many accounts: their names.
pub(super) fn selecting(accounts: usize) -> String {
    let list = sql::list(accounts, 1);
    let columns = breakers::COLUMNS;
    format!(
        "SELECT account, kind, subject, generation, NULL AS state, NULL AS failures, NULL AS since, NULL AS opened, \
         NULL AS until, NULL AS token, NULL AS why, NULL AS version, NULL AS revision, unswept \
         FROM gate WHERE account IN ({list}) AND closed = 1 \
         UNION ALL SELECT account, '{BREAKER}', webhook, 0, {columns} FROM breaker WHERE account IN ({list})"
    )
}

/// Puts a gate at a generation; one at or above it stays as it is. Says whether it changed.
pub(super) async fn put(
    tx: &Transaction,
    account: &AccountId,
    subject: Subject,
    generation: i64,
    closed: bool,
) -> Result<bool> {
    let sweep = closed && matches!(subject, Subject::Automation(_));
    let values: Vec<Value> = vec![
        account.as_str().into(),
        subject.kind().into(),
        subject.id().into(),
        generation.into(),
        i64::from(closed).into(),
        i64::from(sweep).into(),
    ];
    let upsert = "INSERT INTO gate (account, kind, subject, generation, closed, unswept) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (account, kind, subject) DO UPDATE SET generation = excluded.generation, closed = excluded.closed, \
         unswept = excluded.unswept WHERE gate.generation < excluded.generation";
    Ok(tx.execute(upsert, values).await? > 0)
}

fn subject(row: &Row) -> Result<Subject> {
    let kind: String = row.get("kind")?;
    let id: String = row.get("subject")?;
    match kind.as_str() {
        "WEBHOOK" => Ok(Subject::Webhook(id.parse().map_err(StorageError::decode)?)),
        "AUTOMATION" => Ok(Subject::Automation(id.parse().map_err(StorageError::decode)?)),
        other => Err(StorageError::decode(format!("gate kind {other}"))),
    }
}
