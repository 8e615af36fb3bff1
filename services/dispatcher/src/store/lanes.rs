//! The `lane` rows: made once, then remembered, since a lane never changes.

use std::collections::HashMap;

use sea_orm::Value;
use sluice_domain::{AccountId, AutomationId};
use sluice_storage::{Query, Row, StorageError, Transaction};

use super::Result;
use crate::gate::Lane;

/// One lane's number: `account, automation, generation, webhook`.
pub(super) const ONE: &str =
    "SELECT lane FROM lane WHERE account = $1 AND automation = $2 AND generation = $3 AND webhook = $4";

/// The lanes of an account: `account`.
pub(super) const ALL: &str =
    "SELECT lane, automation, generation, webhook FROM lane WHERE account = $1 ORDER BY lane";

/// Lanes that are known to be committed, by what they are: bounded, and only a memory of the table.
#[derive(Clone)]
pub(super) struct Lanes(moka::sync::Cache<(AccountId, Lane), i64>);

impl Default for Lanes {
    fn default() -> Self {
        Self(moka::sync::Cache::new(100_000))
    }
}

/// The look-ups of one transaction: a lane it makes is remembered beyond it only once another one finds it committed.
pub(super) struct Numbering<'a> {
    lanes: &'a Lanes,
    tx: &'a Transaction,
    made: HashMap<(AccountId, Lane), i64>,
}

impl Lanes {
    /// Begins the look-ups of a transaction.
    pub(super) fn within<'a>(&'a self, tx: &'a Transaction) -> Numbering<'a> {
        Numbering { lanes: self, tx, made: HashMap::new() }
    }
}

impl Numbering<'_> {
    /// The number of a lane, which is made if it is new.
    pub(super) async fn number(&mut self, account: &AccountId, lane: &Lane) -> Result<i64> {
        let key = (account.clone(), lane.clone());
        if let Some(number) = self.made.get(&key).copied().or_else(|| self.lanes.0.get(&key)) {
            return Ok(number);
        }
        if let Some(number) = self.find(&key).await? {
            self.lanes.0.insert(key, number);
            return Ok(number);
        }
        let insert = "INSERT INTO lane (account, automation, generation, webhook) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (account, automation, generation, webhook) DO NOTHING";
        self.tx.execute(insert, columns(&key)).await?;
        let number = self.find(&key).await?.ok_or_else(|| StorageError::decode("a lane vanished"))?;
        self.made.insert(key, number);
        Ok(number)
    }

    async fn find(&self, key: &(AccountId, Lane)) -> Result<Option<i64>> {
        self.tx.one(ONE, columns(key)).await?.map(|row| row.at(0)).transpose()
    }
}

fn columns((account, lane): &(AccountId, Lane)) -> Vec<Value> {
    vec![
        account.as_str().into(),
        automation_text(lane.automation).into(),
        lane.generation.into(),
        lane.webhook.to_string().into(),
    ]
}

/// All lanes of an account.
pub(super) async fn of(query: &impl Query, account: &AccountId) -> Result<Vec<(i64, Lane)>> {
    let rows = query.all(ALL, vec![account.as_str().into()]).await?;
    rows.iter().map(|row| Ok((row.get("lane")?, read(row)?))).collect()
}

/// The lane of a row that has its columns.
pub(super) fn read(row: &Row) -> Result<Lane> {
    let webhook: String = row.get("webhook")?;
    Ok(Lane {
        automation: automation(&row.get::<String>("automation")?)?,
        generation: row.get("generation")?,
        webhook: webhook.parse().map_err(StorageError::decode)?,
    })
}

/// How an automation stands in a column: its id, or nothing for notifications.
pub(super) fn automation_text(automation: Option<AutomationId>) -> String {
    automation.map_or_else(String::new, |id| id.to_string())
}

/// The automation in a column.
pub(super) fn automation(text: &str) -> Result<Option<AutomationId>> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(StorageError::decode) }
}
