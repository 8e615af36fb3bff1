//! What is read: one automation, pages of them, and what a replica needs to judge events.

use sluice_domain::{AccountId, AutomationId, WebhookId};
use sluice_storage::{Query, StorageError, Value};

use super::{COLUMNS, Store, automation, key, state_text};
use crate::automation::{Automation, AutomationState, MAX_DEFINITION_BYTES};

/// Which automations of an account are listed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Filter {
    /// Only in this state.
    pub(crate) state: Option<AutomationState>,
    /// Only those that name this webhook.
    pub(crate) webhook: Option<WebhookId>,
}

/// How many bytes of definitions a page may hold before its last automation: a page goes out in one message.
const PAGE_BYTES: i64 = 3 * 1024 * 1024 - MAX_DEFINITION_BYTES as i64;

/// The place of `remaining` behind [`COLUMNS`].
const REMAINING: usize = 8;

/// Some automations in the order of their creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// The automations.
    pub(crate) automations: Vec<Automation>,
    /// Whether others come after them.
    pub(crate) more: bool,
}

impl Store {
    /// One automation.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn get(
        &self,
        account: &AccountId,
        id: AutomationId,
    ) -> Result<Option<Automation>, StorageError> {
        let sql = format!("SELECT {COLUMNS} FROM automations WHERE account = $1 AND id = $2");
        let row = self.database.read().one(&sql, vec![account.as_str().into(), key(id)]).await?;
        row.map(|row| automation(account, &row)).transpose()
    }

    /// At most `limit` automations created after `after`, oldest first: as many as come to about 3 MiB, at least one if
    /// there is one. Of the others no more than their sizes is read.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn list(
        &self,
        account: &AccountId,
        filter: Filter,
        after: Option<AutomationId>,
        limit: usize,
    ) -> Result<Page, StorageError> {
        let mut values: Vec<Value> = vec![account.as_str().into()];
        let mut chosen = "account = $1".to_owned();
        let mut and = |condition: &str, value: Value| {
            values.push(value);
            chosen.push_str(" AND ");
            chosen.push_str(&condition.replace('?', &format!("${}", values.len())));
        };
        if let Some(after) = after {
            and("id > ?", key(after));
        }
        if let Some(state) = filter.state {
            and("state = ?", state_text(state).into());
        }
        if let Some(webhook) = filter.webhook {
            let named =
                "id IN (SELECT automation FROM automation_webhooks WHERE account = $1 AND webhook = ?)";
            and(named, webhook.to_string().into());
        }
        let (ahead, most) = (values.len() + 1, values.len() + 2);
        values.push(PAGE_BYTES.into());
        values.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
        let sql = format!(
            "SELECT {COLUMNS}, sized.remaining FROM automations JOIN (
                 SELECT chosen_id, count(*) OVER () AS remaining,
                        sum(bytes) OVER (ORDER BY chosen_id) - bytes AS ahead
                 FROM (SELECT id AS chosen_id, octet_length(definition) AS bytes
                       FROM automations WHERE {chosen}) AS chosen
             ) AS sized ON sized.chosen_id = id
             WHERE account = $1 AND sized.ahead <= ${ahead} ORDER BY id LIMIT ${most}"
        );
        let rows = self.database.read().all(&sql, values).await?;
        let remaining: i64 = rows.first().map_or(Ok(0), |row| row.at(REMAINING))?;
        let automations = rows.iter().map(|row| automation(account, row)).collect::<Result<Vec<_>, _>>()?;
        let more = usize::try_from(remaining).is_ok_and(|remaining| remaining > automations.len());
        Ok(Page { automations, more })
    }

    /// The account's active automations, oldest first, and the revision they have at least.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn active(&self, account: &AccountId) -> Result<(i64, Vec<Automation>), StorageError> {
        let reader = self.database.read();
        // Read before the rows: a change that comes between makes them newer than the revision says, never older.
        let sql = "SELECT revision FROM account_revisions WHERE account = $1";
        let row = reader.one(sql, vec![account.as_str().into()]).await?;
        let revision = row.map_or(Ok(0), |row| row.at(0))?;
        let sql =
            format!("SELECT {COLUMNS} FROM automations WHERE account = $1 AND state = 'ACTIVE' ORDER BY id");
        let rows = reader.all(&sql, vec![account.as_str().into()]).await?;
        let automations = rows.iter().map(|row| automation(account, row)).collect::<Result<_, _>>()?;
        Ok((revision, automations))
    }

    /// The revision of all automations.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn revision(&self) -> Result<i64, StorageError> {
        let sql = "SELECT revision FROM automations_revision WHERE one = 1";
        let row = self.database.read().one(sql, Vec::new()).await?;
        row.ok_or_else(|| StorageError::decode("automations_revision is empty"))?.at(0)
    }

    /// The accounts whose automations changed after `revision`, with their latest.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn changed_since(&self, revision: i64) -> Result<Vec<(AccountId, i64)>, StorageError> {
        let sql = "SELECT account, revision FROM account_revisions WHERE revision > $1";
        let rows = self.database.read().all(sql, vec![revision.into()]).await?;
        rows.iter()
            .map(|row| Ok((row.at::<String>(0)?.parse().map_err(StorageError::decode)?, row.at(1)?)))
            .collect()
    }
}
