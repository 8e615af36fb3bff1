//! The `lane` rows: made once, then remembered, since a lane never changes.

use std::collections::{BTreeMap, HashMap, HashSet};

use sea_orm::Value;
use sluice_domain::{AccountId, AutomationId};
use sluice_storage::{Query, Row, StorageError, Transaction};

use super::{Result, Store, accounts, gates, sql, whole};
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

/// How many lanes one step looks at.
const LANES_AT_ONCE: i64 = 500;

/// Lanes in their order: `after, limit`.
pub(super) const NEXT: &str =
    "SELECT lane, account, automation, generation, webhook FROM lane WHERE lane > $1 ORDER BY lane LIMIT $2";

/// What an account has under way: `account`.
pub(super) const UNDER_WAY: &str =
    "SELECT lane FROM pending WHERE account = $1 AND token IS NOT NULL AND lease_until > 0";

/// Something that waits in a lane: `lane`.
pub(super) const WAITS_IN: &str =
    "SELECT seq FROM pending WHERE lane = $1 AND token IS NULL ORDER BY lane, turn, due_at, seq LIMIT 1";

impl Store {
    /// Deletes lanes behind this one that nothing will queue in again: their automations were stopped since. Says how many, and where to
    /// go on.
    ///
    /// # Errors
    /// When the database does not answer; what was deleted before stays so.
    pub async fn prune_lanes(&self, after: i64) -> Result<(usize, Option<i64>)> {
        let reader = self.database.read();
        let rows = reader.all(NEXT, vec![after.into(), LANES_AT_ONCE.into()]).await?;
        let mut lanes: BTreeMap<AccountId, Vec<(i64, Lane)>> = BTreeMap::new();
        for row in &rows {
            let account: String = row.get("account")?;
            let account = account.parse().map_err(StorageError::decode)?;
            lanes.entry(account).or_default().push((row.get("lane")?, read(row)?));
        }
        let closed = gates::closed(&reader, lanes.keys()).await?;
        let mut removed = 0;
        for (account, lanes) in &lanes {
            let Some(gates) = closed.get(account) else { continue };
            let stopped = lanes.iter().filter(|(_, lane)| gates.stops(lane.automation, lane.generation));
            let stopped: Vec<i64> = stopped.map(|(number, _)| *number).collect();
            if !stopped.is_empty() {
                removed += whole!(self.prune_lanes_once(account, &stopped))?;
            }
        }
        let last = rows.last().map(|row| row.get("lane")).transpose()?;
        let all = i64::try_from(rows.len()).unwrap_or(0) < LANES_AT_ONCE;
        Ok((removed, last.filter(|_| !all)))
    }

    /// Deletes those of an account's stopped lanes that nothing stands in any more. Under the account's lock nothing new comes to them: a
    /// stop marker never goes back, and whoever accepts, moves on or opens again asks it first.
    async fn prune_lanes_once(&self, account: &AccountId, stopped: &[i64]) -> Result<usize> {
        let tx = self.database.write("prune_lanes").await?;
        accounts::lock(&tx, [account]).await?;
        let mut used: HashSet<i64> = HashSet::new();
        for row in tx.all(UNDER_WAY, vec![account.as_str().into()]).await? {
            used.insert(row.at(0)?);
        }
        for lane in stopped {
            if tx.one(WAITS_IN, vec![(*lane).into()]).await?.is_some() {
                used.insert(*lane);
            }
        }
        let idle: Vec<i64> = stopped.iter().copied().filter(|lane| !used.contains(lane)).collect();
        let delete = |backend, keys| format!("DELETE FROM lane WHERE lane {}", sql::among(backend, keys, 1));
        sql::execute_of(&tx, &[], &idle, delete).await?;
        tx.commit().await?;
        Ok(idle.len())
    }
}
