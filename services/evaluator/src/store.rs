//! Our database: automations, the requests that made them, and the outbox of stops.
//!
//! Every change takes the row of `automations_revision` first. So changes come one after another, the number of active
//! automations can be checked where it is changed, and replicas learn of changes by one look at one number.

use sluice_domain::{AccountId, AutomationId, Reason, Timestamp, UserId};
use sluice_storage::{Database, Migration, MigrationError, Query, Row, StorageError, Transaction, migrate};

use crate::automation::{Automation, AutomationState};
use crate::error::EvaluatorError;

mod changes;
mod creation;
mod reading;
mod stops;
#[cfg(test)]
mod tests;

pub(crate) use changes::{Change, Changed};
pub(crate) use creation::{CreateRequest, Created};
pub(crate) use reading::{Filter, Page};

const MIGRATIONS: &[Migration] = &[Migration {
    name: "evaluator_0001_automations",
    sqlite: include_str!("store/0001_automations.sqlite.sql"),
    postgres: include_str!("store/0001_automations.postgres.sql"),
}];

/// How often a transaction is run when others keep coming between.
const TRIES: usize = 5;

/// The evaluator's tables; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    database: Database,
}

impl Store {
    /// Brings the schema up to date.
    ///
    /// # Errors
    /// When the database can't be migrated.
    pub(crate) async fn open(database: Database) -> Result<Self, MigrationError> {
        migrate(&database, MIGRATIONS).await?;
        Ok(Self { database })
    }
}

impl From<StorageError> for EvaluatorError {
    fn from(error: StorageError) -> Self {
        let reason = match &error {
            StorageError::Unavailable(_) | StorageError::Retry(_) => Reason::Unavailable,
            StorageError::Full(_) => Reason::StorageFull,
            StorageError::Conflict { .. } | StorageError::Decode(_) | StorageError::Other(_) => {
                Reason::Internal
            }
        };
        Self::Database { reason, cause: error.into() }
    }
}

/// Takes the turn to change automations, and gives the account its new revision.
async fn take_turn(transaction: &Transaction, account: &AccountId) -> Result<i64, StorageError> {
    let sql = "UPDATE automations_revision SET revision = revision + 1 WHERE one = 1 RETURNING revision";
    let row = transaction.one(sql, Vec::new()).await?;
    let revision: i64 = row.ok_or_else(|| StorageError::decode("automations_revision is empty"))?.at(0)?;
    transaction
        .execute(
            "INSERT INTO account_revisions (account, revision) VALUES ($1, $2)
             ON CONFLICT (account) DO UPDATE SET revision = excluded.revision",
            vec![account.as_str().into(), revision.into()],
        )
        .await?;
    Ok(revision)
}

/// Replaces the rows that say which webhooks the automation names.
async fn name_webhooks(transaction: &Transaction, automation: &Automation) -> Result<(), StorageError> {
    forget_webhooks(transaction, &automation.account, automation.id).await?;
    for webhook in automation.definition.webhooks() {
        transaction
            .execute(
                "INSERT INTO automation_webhooks (account, webhook, automation) VALUES ($1, $2, $3)",
                vec![automation.account.as_str().into(), webhook.into(), key(automation.id)],
            )
            .await?;
    }
    Ok(())
}

async fn forget_webhooks(
    transaction: &Transaction,
    account: &AccountId,
    id: AutomationId,
) -> Result<(), StorageError> {
    let sql = "DELETE FROM automation_webhooks WHERE account = $1 AND automation = $2";
    transaction.execute(sql, vec![account.as_str().into(), key(id)]).await?;
    Ok(())
}

fn key(id: AutomationId) -> sluice_storage::Value {
    id.to_bytes().to_vec().into()
}

fn id(bytes: Vec<u8>) -> Result<AutomationId, StorageError> {
    let bytes = bytes.try_into().map_err(|_| StorageError::decode("an automation's id is not 16 bytes"))?;
    Ok(AutomationId::from_bytes(bytes))
}

const fn state_text(state: AutomationState) -> &'static str {
    match state {
        AutomationState::Active => "ACTIVE",
        AutomationState::Inactive => "INACTIVE",
    }
}

/// The columns that [`automation`] reads, in its order.
const COLUMNS: &str = "id, definition, state, version, generation, owner, created_at, updated_at";

fn automation(account: &AccountId, row: &Row) -> Result<Automation, StorageError> {
    Ok(Automation {
        id: id(row.at(0)?)?,
        account: account.clone(),
        definition: serde_json::from_str(&row.at::<String>(1)?).map_err(StorageError::decode)?,
        state: match row.at::<String>(2)?.as_str() {
            "ACTIVE" => AutomationState::Active,
            "INACTIVE" => AutomationState::Inactive,
            other => return Err(StorageError::decode(format!("automation state {other}"))),
        },
        version: row.at(3)?,
        generation: row.at(4)?,
        owner: owner(&row.at::<String>(5)?)?,
        created_at: Timestamp::from_micros(row.at(6)?),
        updated_at: Timestamp::from_micros(row.at(7)?),
    })
}

fn owner(text: &str) -> Result<UserId, StorageError> {
    text.parse().map_err(StorageError::decode)
}

fn definition_text(automation: &Automation) -> Result<String, StorageError> {
    serde_json::to_string(&automation.definition).map_err(StorageError::decode)
}
