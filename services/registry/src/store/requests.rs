//! Creations that are repeated: the same request id with the same request finds the webhook that the first one made.

use sluice_domain::{AccountId, RequestId, Span, Timestamp, WebhookId};
use sluice_storage::{Query as _, Transaction};

use super::Store;
use super::webhooks::id_of;
use super::writes::place;
use crate::error::Error;
use crate::seal::Purpose;
use crate::webhook::Webhook;

/// How long a request id is remembered.
const KEPT: Span = Span::from_secs(24 * 60 * 60);
/// The most forgotten ids one write takes away: more than it adds.
const PRUNE_STEP: i64 = 64;

impl Store {
    /// The webhook that this very request made before; `None` when the id is new or forgotten.
    pub(super) async fn repeated(
        &self,
        transaction: &Transaction,
        account: &AccountId,
        request_id: &RequestId,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<WebhookId>, Error> {
        let row = transaction
            .one(
                "SELECT webhook, digest FROM requests WHERE account = $1 AND request_id = $2 AND created_at > $3",
                vec![
                    account.as_str().into(),
                    request_id.as_str().into(),
                    now.minus(KEPT).as_micros().into(),
                ],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let webhook: Vec<u8> = row.at(0)?;
        let sealed: Vec<u8> = row.at(1)?;
        let webhook = id_of(&webhook)?;
        let first = self.0.setup.keys.open(place(Purpose::Request, account, webhook), &sealed)?;
        if first.as_slice() == digest { Ok(Some(webhook)) } else { Err(Error::RequestIdReused) }
    }

    /// Notes what a repetition is to find, and takes some of the forgotten away.
    ///
    /// The digest covers credentials, some of which could be guessed from it, so it is sealed like them.
    pub(super) async fn remember(
        &self,
        transaction: &Transaction,
        webhook: &Webhook,
        request_id: &RequestId,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<(), Error> {
        transaction
            .execute(
                "DELETE FROM requests WHERE (account, request_id) IN
                     (SELECT account, request_id FROM requests WHERE created_at <= $1 ORDER BY created_at LIMIT $2)",
                vec![now.minus(KEPT).as_micros().into(), PRUNE_STEP.into()],
            )
            .await?;
        let sealed = self.seal(place(Purpose::Request, &webhook.account, webhook.id), digest)?;
        transaction
            .execute(
                "INSERT INTO requests (account, request_id, webhook, digest, created_at) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (account, request_id) DO UPDATE SET webhook = excluded.webhook,
                     digest = excluded.digest, created_at = excluded.created_at",
                vec![
                    webhook.account.as_str().into(),
                    request_id.as_str().into(),
                    webhook.id.to_bytes().to_vec().into(),
                    sealed.into(),
                    now.as_micros().into(),
                ],
            )
            .await?;
        Ok(())
    }
}
