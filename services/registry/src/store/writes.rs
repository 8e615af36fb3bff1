//! Webhooks made, changed and deleted: each in one transaction with the access rules, the feed and the request id.

use sluice_domain::{AccountId, RequestId, WebhookId};
use sluice_storage::{Query as _, Transaction};
use zeroize::Zeroizing;

use super::changes::{self, Key};
use super::webhooks::{self, Sealed};
use super::{Store, retried};
use crate::access::Caller;
use crate::error::Error;
use crate::seal::{Place, Purpose};
use crate::webhook::{Change, Draft, Origin, Webhook, Why};

/// Bytes of a signing secret that Sluice makes.
const SIGNING_BYTES: usize = 32;

/// A webhook that is asked for.
pub struct Creation {
    /// Whose it is to be.
    pub account: AccountId,
    /// What it is to be.
    pub draft: Draft,
    /// The secret that is to sign; `None` lets Sluice make one.
    pub signing: Option<sluice_signing::Secret>,
    /// What a repetition is recognised by.
    pub request_id: Option<RequestId>,
}

/// A webhook that was made.
pub struct Created {
    /// The webhook.
    pub webhook: Webhook,
    /// What signs its requests.
    pub signing: sluice_signing::Secret,
}

impl Store {
    /// Makes a webhook, or finds the one that the same request made before.
    ///
    /// # Errors
    /// When the account, the plan or the caller may not have it or has as many as it may, when the name is taken, or when the request id was used
    /// for something else.
    pub async fn create_webhook(&self, caller: &Caller, creation: &Creation) -> Result<Created, Error> {
        retried(|| self.try_create(caller, creation)).await
    }

    async fn try_create(&self, caller: &Caller, creation: &Creation) -> Result<Created, Error> {
        let Creation { account, draft, signing, request_id } = creation;
        let transaction = self.begin().await?;
        let (held, _) = self.known(&transaction, account).await?;
        let now = transaction.now().await?;

        let user = caller.user().ok_or(Error::NotAUser)?;
        let digest = draft.digest(user, signing.as_ref().map_or(&[], |secret| secret.bytes()));
        if let Some(request_id) = request_id
            && let Some(webhook) = self.repeated(&transaction, account, request_id, &digest, now).await?
        {
            return self.created_before(&transaction, account, webhook).await;
        }

        let (owner, owner_is_admin) = caller
            .create(draft.kind, &held.entitlements)
            .map_err(|denied| Error::denied(denied, "", self.catalogue().first_with_automations()))?;
        let count = webhooks::count(&transaction, account, draft.kind, &owner).await?;
        self.0.setup.limits.admit(caller, draft.kind, count).map_err(Error::LimitReached)?;
        let origin = Origin { account: account.clone(), id: self.mint(now), owner, owner_is_admin, at: now };
        let webhook = draft.clone().into_webhook(origin);
        self.require_free_name(&transaction, &webhook).await?;

        let signing = match signing {
            Some(given) => sluice_signing::Secret::from_bytes(given.bytes()),
            None => {
                let fresh = Zeroizing::new(self.0.setup.entropy.bytes::<SIGNING_BYTES>());
                sluice_signing::Secret::from_bytes(&*fresh)
            }
        }
        .map_err(|error| Error::Internal(error.into()))?;
        let sealed = Sealed {
            credential: self.seal_credential(&webhook, draft.authentication.secret())?,
            signing: self.seal(place(Purpose::Signing, account, webhook.id), signing.bytes())?,
        };
        webhooks::insert(&transaction, &webhook, sealed).await?;
        if let Some(request_id) = request_id {
            self.remember(&transaction, &webhook, request_id, &digest, now).await?;
        }
        self.publish(transaction, &webhook.account, webhook.id).await?;
        Ok(Created { webhook, signing })
    }

    async fn created_before(
        &self,
        transaction: &Transaction,
        account: &AccountId,
        id: WebhookId,
    ) -> Result<Created, Error> {
        let (webhook, sealed) = webhooks::find_sealed(transaction, account, id)
            .await?
            .ok_or_else(|| Error::no_webhook(format!("accounts/{account}/webhooks/{id}")))?;
        let signing = self.open_signing(&webhook, &sealed)?;
        Ok(Created { webhook, signing })
    }

    /// Changes a webhook.
    ///
    /// # Errors
    /// When the caller may not, when `etag` is given and not the webhook's, when the change does not fit its kind, or when
    /// the new name is taken.
    pub async fn update_webhook(
        &self,
        caller: &Caller,
        account: &AccountId,
        id: WebhookId,
        etag: Option<&str>,
        change: &Change,
    ) -> Result<Webhook, Error> {
        retried(|| self.try_update(caller, account, id, etag, change)).await
    }

    async fn try_update(
        &self,
        caller: &Caller,
        account: &AccountId,
        id: WebhookId,
        etag: Option<&str>,
        change: &Change,
    ) -> Result<Webhook, Error> {
        let transaction = self.begin().await?;
        let (mut webhook, sealed) = self.changeable(&transaction, caller, account, id, etag).await?;
        let now = transaction.now().await?;
        webhook.apply(change.clone(), now)?;
        webhook.owner_is_admin = caller.leaves_owner_admin(&webhook);
        self.require_free_name(&transaction, &webhook).await?;
        let credential = match &change.authentication {
            Some(authentication) => self.seal_credential(&webhook, authentication.secret())?,
            None => sealed.credential,
        };
        webhooks::update(&transaction, &webhook, credential).await?;
        self.publish(transaction, account, id).await?;
        Ok(webhook)
    }

    /// Disables a webhook in the name of the system, if it is enabled and still what it was at `version`. Says how it stands, and as
    /// of which revision.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such webhook.
    pub async fn give_up(
        &self,
        account: &AccountId,
        id: WebhookId,
        version: i64,
        why: Why,
    ) -> Result<(Webhook, i64), Error> {
        retried(|| self.try_give_up(account, id, version, why)).await
    }

    async fn try_give_up(
        &self,
        account: &AccountId,
        id: WebhookId,
        version: i64,
        why: Why,
    ) -> Result<(Webhook, i64), Error> {
        let transaction = self.begin().await?;
        let (mut webhook, sealed) = webhooks::find_sealed(&transaction, account, id)
            .await?
            .ok_or_else(|| Error::no_webhook(format!("accounts/{account}/webhooks/{id}")))?;
        let now = transaction.now().await?;
        if !webhook.give_up(version, why, now) {
            return Ok((webhook, changes::place(&transaction).await?.head));
        }
        webhooks::update(&transaction, &webhook, sealed.credential).await?;
        let key = Key::Webhook(account.clone(), id);
        let revision = changes::record(&transaction, &key, now, self.0.setup.keep_changes).await?;
        self.commit(transaction, revision).await?;
        Ok((webhook, revision))
    }

    /// Deletes a webhook, its secrets with it.
    ///
    /// # Errors
    /// When the caller may not, or when `etag` is given and not the webhook's.
    pub async fn delete_webhook(
        &self,
        caller: &Caller,
        account: &AccountId,
        id: WebhookId,
        etag: Option<&str>,
    ) -> Result<(), Error> {
        retried(|| self.try_delete(caller, account, id, etag)).await
    }

    async fn try_delete(
        &self,
        caller: &Caller,
        account: &AccountId,
        id: WebhookId,
        etag: Option<&str>,
    ) -> Result<(), Error> {
        let transaction = self.begin().await?;
        self.changeable(&transaction, caller, account, id, etag).await?;
        webhooks::delete(&transaction, account, id).await?;
        self.publish(transaction, account, id).await
    }

    /// The webhook, if this caller may change it now and the etag is its own.
    async fn changeable(
        &self,
        transaction: &Transaction,
        caller: &Caller,
        account: &AccountId,
        id: WebhookId,
        etag: Option<&str>,
    ) -> Result<(Webhook, Sealed), Error> {
        let (held, _) = self.known(transaction, account).await?;
        let name = format!("accounts/{account}/webhooks/{id}");
        let (webhook, sealed) = webhooks::find_sealed(transaction, account, id)
            .await?
            .ok_or_else(|| Error::no_webhook(name.clone()))?;
        caller
            .change(&webhook, &held.entitlements)
            .map_err(|denied| Error::denied(denied, &name, self.catalogue().first_with_automations()))?;
        if etag.is_some_and(|etag| etag != webhook.etag()) {
            return Err(Error::EtagMismatch);
        }
        Ok((webhook, sealed))
    }

    async fn require_free_name(&self, transaction: &Transaction, webhook: &Webhook) -> Result<(), Error> {
        if webhooks::is_taken(transaction, &webhook.account, &webhook.display_name, webhook.id).await? {
            return Err(Error::NameTaken(webhook.display_name.to_string()));
        }
        Ok(())
    }

    fn seal_credential(
        &self,
        webhook: &Webhook,
        secret: Option<&sluice_domain::Secret>,
    ) -> Result<Option<Vec<u8>>, Error> {
        let place = place(Purpose::Credential, &webhook.account, webhook.id);
        secret.map(|secret| self.seal(place, secret.expose().as_bytes())).transpose()
    }

    async fn publish(
        &self,
        transaction: Transaction,
        account: &AccountId,
        id: WebhookId,
    ) -> Result<(), Error> {
        let now = transaction.now().await?;
        let key = Key::Webhook(account.clone(), id);
        let revision = changes::record(&transaction, &key, now, self.0.setup.keep_changes).await?;
        self.commit(transaction, revision).await
    }
}

pub(super) fn place(purpose: Purpose, account: &AccountId, webhook: WebhookId) -> Place<'_> {
    Place { purpose, account, webhook }
}
