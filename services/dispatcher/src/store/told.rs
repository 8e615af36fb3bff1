//! What the registry tells: an account's entitlements, a webhook's gate.

use std::collections::HashMap;

use sluice_domain::{AccountId, Entitlements, WebhookId};
use sluice_storage::{Query, StorageError};

use super::{Result, Store, accounts, breakers, gates, retention, whole};
use crate::breaker::{Breaker, Decision, Standing};
use crate::change::Changes;
use crate::gate::Subject;
use crate::notice::News;

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
        let mut changes = Changes::default();
        changes.gates(account);
        changes.tell(account, quota.news());
        accounts::save_limits(&tx, quota).await?;
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

    /// The webhooks that have a gate, open or closed, or a breaker; and whether the registry's word that one is enabled would be news.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn gated_webhooks(&self) -> Result<HashMap<(AccountId, WebhookId), bool>> {
        let reader = self.database.read();
        let select = "SELECT account, subject AS webhook, closed FROM gate WHERE kind = 'WEBHOOK'";
        let mut gated = HashMap::new();
        for row in reader.all(select, vec![]).await? {
            gated.insert(breakers::key_of(&row)?, row.get::<i64>("closed")? != 0);
        }
        let select = format!("SELECT account, webhook, {} FROM breaker", breakers::COLUMNS);
        for row in reader.all(&select, vec![]).await? {
            *gated.entry(breakers::key_of(&row)?).or_default() |= breakers::read(&row)?.is_given_up();
        }
        Ok(gated)
    }

    /// Takes the registry's word for how a webhook stands, unless a later revision's is known: its gate is closed while it is disabled
    /// by hand, and what waits for it fails once the system has disabled it. Says whether anything changed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn put_webhook(
        &self,
        account: &AccountId,
        webhook: WebhookId,
        revision: i64,
        standing: Standing,
    ) -> Result<bool> {
        whole!(self.put_webhook_once(account, webhook, revision, standing, false))
    }

    /// Takes the registry's answer to a disabling: how the webhook stands as of that revision.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn settle_disabling(
        &self,
        account: &AccountId,
        webhook: WebhookId,
        revision: i64,
        standing: Standing,
    ) -> Result<bool> {
        whole!(self.put_webhook_once(account, webhook, revision, standing, true))
    }

    async fn put_webhook_once(
        &self,
        account: &AccountId,
        webhook: WebhookId,
        revision: i64,
        standing: Standing,
        answer: bool,
    ) -> Result<bool> {
        let tx = self.database.write("gate").await?;
        let mut quotas = accounts::lock(&tx, [account]).await?;
        let closes = standing == Standing::DisabledByHand;
        let fresh = gates::put(&tx, account, Subject::Webhook(webhook), revision, closes).await?;
        let now = tx.now().await?;
        let breaker = breakers::get(&tx, account, webhook).await?;
        let decision = match (breaker, answer) {
            (Some(breaker), true) => breaker.answered(standing, revision, fresh),
            (breaker, _) => Breaker::told(breaker, standing, revision, fresh, now),
        };
        let mut changes = Changes::default();
        match decision {
            Decision::Leave => {}
            Decision::Keep(next) => {
                changes.tell(account, News::of(webhook, breaker.as_ref(), Some(&next)));
                breakers::save(&tx, account, [(webhook, next)].into_iter()).await?;
            }
            Decision::Forget => breakers::forget(&tx, account, webhook).await?,
        }
        let opens = (fresh && !closes) || decision == Decision::Forget;
        if let Some(quota) = quotas.get_mut(account).filter(|quota| opens && quota.waiting > 0) {
            quota.wake_at = Some(now);
            accounts::save(&tx, [&*quota]).await?;
        }
        let changed = fresh || decision != Decision::Leave;
        if changed {
            changes.gates(account);
        }
        self.commit(tx, &changes, now).await?;
        Ok(changed)
    }
}
