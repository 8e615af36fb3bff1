//! What billing, the registry, the evaluator and people ask for: limits, gates, stopping, cancelling, trying again.

use std::collections::HashSet;

use sea_orm::Value;
use sluice_domain::{AccountId, AutomationId, Entitlements, ExecutionId, WebhookId};
use sluice_storage::{Query, StorageError, Transaction};

use super::pending::{self, Pending};
use super::{Result, Store, accounts, endings, executions, gates, sql, whole};
use crate::execution::{End, EndState};
use crate::gate::{Lane, Subject};
use crate::turn::Turn;

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

/// How a request to cancel was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It is over.
    Ended,
    /// An attempt is under way; it is over when that ends, unless that is the last one and goes well.
    WhenAttemptEnds,
    /// It was over before.
    AlreadyEnded(EndState),
    /// The account has no such execution.
    NotFound,
}

/// How a request to try again was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// It waits for its turn.
    Reopened,
    /// It is not over.
    NotEnded,
    /// It ended in a state that can't be tried again.
    Final(EndState),
    /// There is nothing to send: its templates were rejected.
    NothingToSend,
    /// Its automation was deactivated since.
    AutomationDeactivated,
    /// The account has no such execution.
    NotFound,
}

impl Store {
    /// Puts entitlements in force if they are newer than those on record. Says whether they were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn apply_entitlements(&self, account: &AccountId, entitlements: &Entitlements) -> Result<bool> {
        whole!(self.apply_entitlements_once(account, entitlements))
    }

    async fn apply_entitlements_once(
        &self,
        account: &AccountId,
        entitlements: &Entitlements,
    ) -> Result<bool> {
        let tx = self.database.write().await?;
        let mut quotas = accounts::lock(&tx, [account]).await?;
        let now = tx.now().await?;
        let Some(quota) = quotas.get_mut(account) else { return Ok(false) };
        if !quota.apply(entitlements, now) {
            return Ok(false);
        }
        accounts::save(&tx, [&*quota]).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The versions of the entitlements on record: what a fresh look at the registry is compared with.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn known_versions(&self) -> Result<Vec<(AccountId, i64)>> {
        let rows = self
            .database
            .read()
            .all("SELECT account, version FROM account WHERE version IS NOT NULL", vec![])
            .await?;
        rows.iter()
            .map(|row| Ok((row.at::<String>(0)?.parse().map_err(StorageError::decode)?, row.at(1)?)))
            .collect()
    }

    /// The webhooks that have a gate, open or closed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn gated_webhooks(&self) -> Result<HashSet<(AccountId, WebhookId)>> {
        let rows = self
            .database
            .read()
            .all("SELECT account, subject FROM gate WHERE kind = 'WEBHOOK'", vec![])
            .await?;
        let parse = |row: &sluice_storage::Row| -> Result<(AccountId, WebhookId)> {
            let account: String = row.at(0)?;
            let webhook: String = row.at(1)?;
            Ok((
                account.parse().map_err(StorageError::decode)?,
                webhook.parse().map_err(StorageError::decode)?,
            ))
        };
        rows.iter().map(parse).collect()
    }

    /// Closes or opens the gate of a webhook, unless a later revision did already. Says whether it changed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn put_webhook_gate(
        &self,
        account: &AccountId,
        webhook: WebhookId,
        revision: i64,
        closed: bool,
    ) -> Result<bool> {
        whole!(self.put_webhook_gate_once(account, webhook, revision, closed))
    }

    async fn put_webhook_gate_once(
        &self,
        account: &AccountId,
        webhook: WebhookId,
        revision: i64,
        closed: bool,
    ) -> Result<bool> {
        let tx = self.database.write().await?;
        let mut quotas = accounts::lock(&tx, [account]).await?;
        let changed = gates::put(&tx, account, Subject::Webhook(webhook), revision, closed).await?;
        let now = tx.now().await?;
        if let Some(quota) = quotas.get_mut(account).filter(|quota| changed && !closed && quota.waiting > 0) {
            quota.wake_at = Some(now);
            accounts::save(&tx, [&*quota]).await?;
        }
        tx.commit().await?;
        Ok(changed)
    }

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
        let tx = self.database.write().await?;
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
        let ended: Vec<_> = reached.iter().map(|row| row.ending(End::deactivated(), now)).collect();
        let seqs: Vec<i64> = reached.iter().map(|row| row.seq).collect();
        endings::insert(&tx, &ended).await?;
        pending::delete(&tx, &seqs).await?;
        if !more {
            let update =
                "UPDATE gate SET unswept = 0 WHERE account = $1 AND kind = 'AUTOMATION' AND subject = $2";
            tx.execute(update, key()).await?;
        }
        if let Some(quota) = quotas.get_mut(account) {
            quota.waiting -= i64::try_from(seqs.len()).unwrap_or(0);
            accounts::save(&tx, [&*quota]).await?;
        }
        tx.commit().await?;
        Ok(Stopped { generation: marker, more })
    }

    /// Ends an execution on request; one with an attempt under way ends with that.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cancel(&self, account: &AccountId, id: ExecutionId) -> Result<Cancelled> {
        whole!(self.cancel_once(account, id))
    }

    async fn cancel_once(&self, account: &AccountId, id: ExecutionId) -> Result<Cancelled> {
        let tx = self.database.write().await?;
        let Some(seq) = executions::seq_of(&tx, account, id).await? else { return Ok(Cancelled::NotFound) };
        let mut quotas = accounts::lock(&tx, [account]).await?;
        let Some((mut row, _)) = pending::locked(&tx, &[seq]).await?.pop() else {
            let ending = endings::latest(&tx, &[seq]).await?.pop();
            let ending =
                ending.ok_or_else(|| StorageError::decode("an execution neither waits nor ended"))?;
            return Ok(Cancelled::AlreadyEnded(ending.end.state));
        };
        if row.hold.is_some() {
            row.cancel = true;
            pending::update(&tx, &row).await?;
            tx.commit().await?;
            return Ok(Cancelled::WhenAttemptEnds);
        }
        let now = tx.now().await?;
        endings::insert(&tx, &[row.ending(End::cancelled(), now)]).await?;
        pending::delete(&tx, &[seq]).await?;
        if let Some(quota) = quotas.get_mut(account) {
            quota.waiting -= 1;
            accounts::save(&tx, [&*quota]).await?;
        }
        tx.commit().await?;
        Ok(Cancelled::Ended)
    }

    /// Opens a failed or cancelled execution again at the delivery it ended at, without a second charge.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn retry(&self, account: &AccountId, id: ExecutionId) -> Result<Retried> {
        whole!(self.retry_once(account, id))
    }

    async fn retry_once(&self, account: &AccountId, id: ExecutionId) -> Result<Retried> {
        let tx = self.database.write().await?;
        let Some((seq, execution)) = executions::get(&tx, account, id).await? else {
            return Ok(Retried::NotFound);
        };
        let mut quotas = accounts::lock(&tx, [account]).await?;
        if !pending::locked(&tx, &[seq]).await?.is_empty() {
            return Ok(Retried::NotEnded);
        }
        let ending = endings::latest(&tx, &[seq]).await?.pop();
        let ending = ending.ok_or_else(|| StorageError::decode("an execution neither waits nor ended"))?;
        if !matches!(ending.end.state, EndState::Failed | EndState::Cancelled) {
            return Ok(Retried::Final(ending.end.state));
        }
        let Some(delivery) = execution.plan.deliveries.get(ending.step) else {
            return Ok(Retried::NothingToSend);
        };
        let lane = Lane {
            automation: execution.automation,
            generation: execution.generation,
            webhook: delivery.webhook,
        };
        let closed = gates::closed(&tx, [account]).await?;
        if super::finish::stops(&closed, account, &lane) {
            return Ok(Retried::AutomationDeactivated);
        }
        let turn = match (ending.started_at, execution.automation) {
            (Some(_), _) => Turn::Continuing,
            (None, Some(_)) => Turn::Execution,
            (None, None) => Turn::Notification,
        };
        let now = tx.now().await?;
        let row = Pending {
            seq,
            account: account.as_str().to_owned(),
            lane_number: self.lanes.within(&tx).number(account, &lane).await?,
            turn,
            due_at: None,
            step: ending.step,
            attempt: endings::next_attempt(&tx, seq, ending.step).await?,
            retries: 0,
            interruptions: 0,
            started_at: ending.started_at,
            cancel: false,
            ends: ending.number,
            hold: None,
        };
        pending::insert(&tx, &[row]).await?;
        if let Some(quota) = quotas.get_mut(account) {
            quota.waiting += 1;
            quota.wake_at = Some(now);
            accounts::save(&tx, [&*quota]).await?;
        }
        tx.commit().await?;
        Ok(Retried::Reopened)
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
