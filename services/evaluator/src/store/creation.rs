//! New automations, once for each request id.

use sluice_domain::{AccountId, AutomationId, Span, Timestamp, UserId};
use sluice_storage::{Query, StorageError, Transaction};

use super::{Store, TRIES, definition_text, id, key, name_webhooks, owner, state_text, take_turn};
use crate::automation::Automation;

/// How long a request id answers as it did first.
const REQUEST_ID_LIFE: Span = Span::from_secs(24 * 60 * 60);

/// What tells a repeated call from another one under the same request id.
#[derive(Debug, Clone)]
pub(crate) struct CreateRequest {
    /// The caller's id, unique in the account.
    pub(crate) id: String,
    /// The digest of what was asked for.
    pub(crate) digest: [u8; 32],
}

/// What became of a creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Created {
    /// It is on disk; the account's revision from then on.
    Done(i64),
    /// The same was asked for before under this request id: what was made then, by whom and when.
    Before(AutomationId, UserId, Timestamp),
    /// The account has this many automations already; nothing was done.
    LimitReached(i64),
    /// Something else was asked for under this request id.
    RequestIdReused,
}

impl Store {
    /// What the request id stands for, if it was used within its life before `now`.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn created_before(
        &self,
        account: &AccountId,
        request: &CreateRequest,
        now: Timestamp,
    ) -> Result<Option<Created>, StorageError> {
        created_before(&self.database.read(), account, request, now).await
    }

    /// Stores a new automation, unless its request id was used before or the account has `most` of them.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn create(
        &self,
        automation: &Automation,
        request: Option<&CreateRequest>,
        most: u32,
    ) -> Result<Created, StorageError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_create(automation, request, most).await {
                Err(StorageError::Retry(_)) if tries < TRIES => {}
                other => return other,
            }
        }
    }

    async fn try_create(
        &self,
        automation: &Automation,
        request: Option<&CreateRequest>,
        most: u32,
    ) -> Result<Created, StorageError> {
        let now = automation.created_at;
        let transaction = self.database.write("automation_creation").await?;
        let revision = take_turn(&transaction, &automation.account).await?;
        if let Some(request) = request
            && let Some(before) = created_before(&transaction, &automation.account, request, now).await?
        {
            transaction.rollback().await?;
            return Ok(before);
        }
        let present = count(&transaction, &automation.account).await?;
        if present >= i64::from(most) {
            transaction.rollback().await?;
            return Ok(Created::LimitReached(present));
        }
        if let Some(request) = request {
            let sql = "DELETE FROM create_requests WHERE created_at <= $1";
            transaction.execute(sql, vec![now.minus(REQUEST_ID_LIFE).as_micros().into()]).await?;
            transaction
                .execute(
                    "INSERT INTO create_requests (account, request_id, digest, automation, owner, created_at)
                     VALUES ($1, $2, $3, $4, $5, $6)",
                    vec![
                        automation.account.as_str().into(),
                        request.id.as_str().into(),
                        request.digest.to_vec().into(),
                        key(automation.id),
                        automation.owner.as_str().into(),
                        now.as_micros().into(),
                    ],
                )
                .await?;
        }
        transaction
            .execute(
                "INSERT INTO automations
                     (account, id, definition, state, version, generation, owner, created_at, updated_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                vec![
                    automation.account.as_str().into(),
                    key(automation.id),
                    definition_text(automation)?.into(),
                    state_text(automation.state).into(),
                    automation.version.into(),
                    automation.generation.into(),
                    automation.owner.as_str().into(),
                    automation.created_at.as_micros().into(),
                    automation.updated_at.as_micros().into(),
                ],
            )
            .await?;
        name_webhooks(&transaction, automation).await?;
        transaction.commit().await?;
        Ok(Created::Done(revision))
    }
}

async fn count(transaction: &Transaction, account: &AccountId) -> Result<i64, StorageError> {
    let sql = "SELECT count(*) FROM automations WHERE account = $1";
    let row = transaction.one(sql, vec![account.as_str().into()]).await?;
    row.ok_or_else(|| StorageError::decode("count(*) gave no row"))?.at(0)
}

async fn created_before(
    query: &impl Query,
    account: &AccountId,
    request: &CreateRequest,
    now: Timestamp,
) -> Result<Option<Created>, StorageError> {
    let row = query
        .one(
            "SELECT digest, automation, owner, created_at FROM create_requests
             WHERE account = $1 AND request_id = $2 AND created_at > $3",
            vec![
                account.as_str().into(),
                request.id.as_str().into(),
                now.minus(REQUEST_ID_LIFE).as_micros().into(),
            ],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    if row.at::<Vec<u8>>(0)? != request.digest {
        return Ok(Some(Created::RequestIdReused));
    }
    Ok(Some(Created::Before(
        id(row.at(1)?)?,
        owner(&row.at::<String>(2)?)?,
        Timestamp::from_micros(row.at(3)?),
    )))
}
