//! Stopping an automation: one marker, and its waiting executions a bounded number at a time.

use sea_orm::Value;
use sluice_domain::{AccountId, AutomationId};
use sluice_storage::{Query, StorageError, Transaction};

use super::{Result, Store, accounts, gates, pending, sql, whole};
use crate::change::Changes;
use crate::execution::End;
use crate::gate::Subject;
use crate::pending::Pending;

/// How many executions one transaction stops.
const STOPPED_AT_ONCE: i64 = 500;

/// What stopping an automation did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// The generation in force.
    pub generation: i64,
    /// Whether more is to be stopped.
    pub more: bool,
}

impl Store {
    /// Stops an automation up to a generation: the marker and the first executions in one transaction; [`Self::sweep`] goes on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn stop(
        &self,
        account: &AccountId,
        automation: AutomationId,
        generation: i64,
    ) -> Result<Stopped> {
        whole!(self.stop_once(account, automation, Some(generation)))
    }

    /// Stops further executions that a marker reaches.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sweep(&self, account: &AccountId, automation: AutomationId) -> Result<Stopped> {
        whole!(self.stop_once(account, automation, None))
    }

    /// Automations whose marker has not reached everything yet.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unswept(&self) -> Result<Vec<(AccountId, AutomationId)>> {
        let select = "SELECT account, subject FROM gate WHERE unswept = 1 LIMIT 100";
        let rows = self.database.read().all(select, vec![]).await?;
        let parse = |row: &sluice_storage::Row| -> Result<(AccountId, AutomationId)> {
            let account: String = row.at(0)?;
            let automation: String = row.at(1)?;
            Ok((
                account.parse().map_err(StorageError::decode)?,
                automation.parse().map_err(StorageError::decode)?,
            ))
        };
        rows.iter().map(parse).collect()
    }

    async fn stop_once(
        &self,
        account: &AccountId,
        automation: AutomationId,
        generation: Option<i64>,
    ) -> Result<Stopped> {
        let subject = Subject::Automation(automation);
        let key = || -> Vec<Value> { vec![account.as_str().into(), subject.id().into()] };
        let tx = self.database.write("stop").await?;
        let mut quotas = accounts::lock(&tx, [account]).await?;
        if let Some(generation) = generation {
            gates::put(&tx, account, subject, generation, true).await?;
        }
        let select =
            "SELECT generation FROM gate WHERE account = $1 AND kind = 'AUTOMATION' AND subject = $2";
        let row =
            tx.one(select, key()).await?.ok_or_else(|| StorageError::decode("a stop marker vanished"))?;
        let marker: i64 = row.at(0)?;

        let now = tx.now().await?;
        let reached = reached(&tx, account, automation, marker).await?;
        let more = i64::try_from(reached.len()).unwrap_or(i64::MAX) >= STOPPED_AT_ONCE;
        let ends: Vec<_> = reached.iter().map(|row| row.ending(End::deactivated(), now)).collect();
        let mut changes = Changes::default();
        reached.iter().for_each(|row| changes.add(account, row.ended()));
        if let Some(quota) = quotas.get_mut(account) {
            pending::end_waiting(&tx, quota, &ends, now, &mut changes).await?;
        }
        if !more {
            let update =
                "UPDATE gate SET unswept = 0 WHERE account = $1 AND kind = 'AUTOMATION' AND subject = $2";
            tx.execute(update, key()).await?;
        }
        self.commit(tx, &changes, now).await?;
        Ok(Stopped { generation: marker, more })
    }
}

/// The waiting executions of an automation that a marker reaches, up to what one transaction stops.
async fn reached(
    tx: &Transaction,
    account: &AccountId,
    automation: AutomationId,
    marker: i64,
) -> Result<Vec<Pending>> {
    let values =
        vec![account.as_str().into(), automation.to_string().into(), marker.into(), STOPPED_AT_ONCE.into()];
    let rows = tx.all(sql::REACHED, values).await?;
    let seqs = rows.iter().map(|row| row.at(0)).collect::<Result<Vec<i64>>>()?;
    Ok(pending::locked(tx, &seqs).await?.into_iter().map(|(row, _)| row).collect())
}
