//! What the registry tells: an account's entitlements, a webhook's gate.

use std::collections::HashSet;

use sluice_domain::{AccountId, Entitlements, WebhookId};
use sluice_storage::{Query, StorageError};

use super::{Result, Store, accounts, breakers, gates, retention, whole};
use crate::change::Changes;
use crate::gate::Subject;

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
        let tx = self.database.write("entitlements").await?;
        let mut quotas = accounts::lock(&tx, [account]).await?;
        let now = tx.now().await?;
        let Some(quota) = quotas.get_mut(account) else { return Ok(false) };
        let kept = quota.limits.as_ref().map(|limits| limits.history);
        if !quota.apply(entitlements, now) {
            tx.rollback().await?;
            return Ok(false);
        }
        if kept.is_some_and(|kept| entitlements.history < kept) {
            retention::look_again(&tx).await?;
        }
        accounts::save_limits(&tx, quota).await?;
        let mut changes = Changes::default();
        changes.gates(account);
        self.commit(tx, &changes, now).await?;
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
        let tx = self.database.write("gate").await?;
        let mut quotas = accounts::lock(&tx, [account]).await?;
        let changed = gates::put(&tx, account, Subject::Webhook(webhook), revision, closed).await?;
        if changed && !closed {
            breakers::forget(&tx, account, webhook).await?;
        }
        let now = tx.now().await?;
        if let Some(quota) = quotas.get_mut(account).filter(|quota| changed && !closed && quota.waiting > 0) {
            quota.wake_at = Some(now);
            accounts::save(&tx, [&*quota]).await?;
        }
        let mut changes = Changes::default();
        if changed {
            changes.gates(account);
        }
        self.commit(tx, &changes, now).await?;
        Ok(changed)
    }
}
