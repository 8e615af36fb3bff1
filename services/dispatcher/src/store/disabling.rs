//! Webhooks that the system gives up: those that the registry is to be told of, and the end of what waits for them, a bounded number
//! at a time.

use sluice_domain::{AccountId, WebhookId};
use sluice_storage::{Query, Row, StorageError};

use super::{Result, Store, accounts, breakers, pending, sql, whole};
use crate::breaker::{Breaker, State, Why};
use crate::change::Changes;
use crate::execution::End;

/// How many are told or listed at once.
const AT_ONCE: i64 = 100;
/// How many executions one transaction ends.
const ENDED_AT_ONCE: i64 = 500;

/// A webhook that the registry is to disable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disabling {
    /// The account.
    pub account: AccountId,
    /// The webhook.
    pub webhook: WebhookId,
    /// The version that the last request went to.
    pub version: i64,
    /// Why.
    pub why: Why,
}

impl Store {
    /// Returns once this process has put a webhook on record that is to be disabled.
    pub async fn disables(&self) {
        self.disables.notified().await;
    }

    /// Webhooks that the registry is to disable and has not answered for; some of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn disabling(&self) -> Result<Vec<Disabling>> {
        let columns = breakers::COLUMNS;
        let select = format!(
            "SELECT account, webhook, {columns} FROM breaker WHERE state = 'DISABLING' LIMIT {AT_ONCE}"
        );
        let rows = self.database.read().all(&select, vec![]).await?;
        let read = |row: &Row| -> Result<Option<Disabling>> {
            let (account, webhook) = breakers::key_of(row)?;
            Ok(match breakers::read(row)?.state {
                State::Disabling { why, version } => Some(Disabling { account, webhook, version, why }),
                _ => None,
            })
        };
        rows.iter().filter_map(|row| read(row).transpose()).collect()
    }

    /// Webhooks that are disabled by the system, and for which something may wait still; some of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unswept_webhooks(&self) -> Result<Vec<(AccountId, WebhookId)>> {
        let select = format!("SELECT account, webhook FROM breaker WHERE unswept = 1 LIMIT {AT_ONCE}");
        self.database.read().all(&select, vec![]).await?.iter().map(breakers::key_of).collect()
    }

    /// Fails further executions that wait for a webhook that the system disabled. Says whether there may be more.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sweep_webhook(&self, account: &AccountId, webhook: WebhookId) -> Result<bool> {
        whole!(self.sweep_webhook_once(account, webhook))
    }

    async fn sweep_webhook_once(&self, account: &AccountId, webhook: WebhookId) -> Result<bool> {
        let tx = self.database.write("sweep_webhook").await?;
        let mut quotas = accounts::lock(&tx, [account]).await?;
        let Some(breaker) = breakers::get(&tx, account, webhook).await? else { return Ok(false) };
        let State::Disabled { why, revision, .. } = breaker.state else { return Ok(false) };
        let now = tx.now().await?;
        let values = vec![account.as_str().into(), webhook.to_string().into(), ENDED_AT_ONCE.into()];
        let rows = tx.all(sql::WAITING_FOR, values).await?;
        let seqs = rows.iter().map(|row| row.at(0)).collect::<Result<Vec<i64>>>()?;
        let more = i64::try_from(seqs.len()).unwrap_or(i64::MAX) >= ENDED_AT_ONCE;
        let waiting = pending::locked(&tx, &seqs).await?;
        let mut changes = Changes::default();
        let ends: Vec<_> = waiting.iter().map(|(row, _)| row.ending(End::webhook_disabled(), now)).collect();
        waiting.iter().for_each(|(row, _)| changes.add(account, row.ended()));
        if let Some(quota) = quotas.get_mut(account) {
            pending::end_waiting(&tx, quota, &ends, now, &mut changes).await?;
        }
        if !more {
            let swept = Breaker { state: State::Disabled { why, revision, swept: true }, ..breaker };
            breakers::save(&tx, account, [(webhook, swept)].into_iter()).await?;
        }
        self.commit(tx, &changes, now).await?;
        Ok(more)
    }
}
