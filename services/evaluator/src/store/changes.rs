//! Changes of an automation that exists: conditional on the version that was read.

use sluice_domain::{AccountId, AutomationId};
use sluice_storage::{Query, StorageError, Transaction};

use super::{
    Store, TRIES, definition_text, forget_webhooks, key, name_webhooks, state_text, stops, take_turn,
};
use crate::automation::{Automation, Stop};

/// One change, and what it depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'a> {
    /// As it was read.
    pub(crate) before: &'a Automation,
    /// As it shall be; `None` deletes it.
    pub(crate) after: Option<&'a Automation>,
    /// The stop that has to reach the dispatcher: committed with the change.
    pub(crate) stop: Option<&'a Stop>,
    /// How many active automations the account may have, this one included; `None` when it becomes none more.
    pub(crate) most_active: Option<u32>,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed {
    /// It is on disk; the account's revision from then on.
    Done(i64),
    /// Another change came between, or it is gone; nothing was done.
    Overtaken,
    /// The account has this many active ones already; nothing was done.
    LimitReached(i64),
}

impl Store {
    /// Makes a change if the automation still has the version that was read.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn change(&self, change: Change<'_>) -> Result<Changed, StorageError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_change(change).await {
                Err(StorageError::Retry(_)) if tries < TRIES => {}
                other => return other,
            }
        }
    }

    async fn try_change(&self, change: Change<'_>) -> Result<Changed, StorageError> {
        let Change { before, after, stop, most_active } = change;
        let transaction = self.database.write("automation_change").await?;
        let revision = take_turn(&transaction, &before.account).await?;
        if let Some(most) = most_active {
            let active = active_count(&transaction, &before.account).await?;
            if active >= i64::from(most) {
                transaction.rollback().await?;
                return Ok(Changed::LimitReached(active));
            }
        }
        let rows = match after {
            Some(after) => update(&transaction, before, after).await?,
            None => delete(&transaction, &before.account, before.id, before.version).await?,
        };
        if rows == 0 {
            transaction.rollback().await?;
            return Ok(Changed::Overtaken);
        }
        if let Some(stop) = stop {
            stops::put(&transaction, stop).await?;
        }
        transaction.commit().await?;
        Ok(Changed::Done(revision))
    }
}

async fn active_count(transaction: &Transaction, account: &AccountId) -> Result<i64, StorageError> {
    let sql = "SELECT count(*) FROM automations WHERE account = $1 AND state = 'ACTIVE'";
    let row = transaction.one(sql, vec![account.as_str().into()]).await?;
    row.ok_or_else(|| StorageError::decode("count(*) gave no row"))?.at(0)
}

async fn update(
    transaction: &Transaction,
    before: &Automation,
    after: &Automation,
) -> Result<u64, StorageError> {
    let rows = transaction
        .execute(
            "UPDATE automations SET definition = $1, state = $2, version = $3, generation = $4, updated_at = $5
             WHERE account = $6 AND id = $7 AND version = $8",
            vec![
                definition_text(after)?.into(),
                state_text(after.state).into(),
                after.version.into(),
                after.generation.into(),
                after.updated_at.as_micros().into(),
                before.account.as_str().into(),
                key(before.id),
                before.version.into(),
            ],
        )
        .await?;
    if rows > 0 && after.definition != before.definition {
        name_webhooks(transaction, after).await?;
    }
    Ok(rows)
}

async fn delete(
    transaction: &Transaction,
    account: &AccountId,
    id: AutomationId,
    version: i64,
) -> Result<u64, StorageError> {
    let sql = "DELETE FROM automations WHERE account = $1 AND id = $2 AND version = $3";
    let rows = transaction.execute(sql, vec![account.as_str().into(), key(id), version.into()]).await?;
    if rows > 0 {
        forget_webhooks(transaction, account, id).await?;
    }
    Ok(rows)
}
