//! What is needed to send one request to a webhook: the only place where credentials are opened.

use sluice_domain::{AccountId, Secret, WebhookId};

use super::Store;
use super::webhooks::{self, Sealed};
use super::writes::place;
use crate::error::Error;
use crate::seal::Purpose;
use crate::webhook::Webhook;

/// A webhook with what proves and signs its requests, in clear.
#[derive(Debug)]
pub struct Target {
    /// The webhook as it stands.
    pub webhook: Webhook,
    /// The header that proves the request, name and value; `None` without authentication.
    pub header: Option<(String, Secret)>,
    /// The secrets that sign, all of them, as `whsec_…`.
    pub signing_secrets: Vec<Secret>,
}

impl Store {
    /// Opens the secrets of a webhook for one request.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such webhook; [`Error::CredentialsUnreadable`] when a secret does not open.
    pub async fn target(&self, account: &AccountId, id: WebhookId) -> Result<Target, Error> {
        let (webhook, sealed) = webhooks::find_sealed(&self.0.database.read(), account, id)
            .await?
            .ok_or_else(|| Error::no_webhook(format!("accounts/{account}/webhooks/{id}")))?;
        let signing = self.open_signing(&webhook, &sealed)?;
        let header = match &sealed.credential {
            None => None,
            Some(blob) => {
                let secret = self.0.setup.keys.open(place(Purpose::Credential, account, id), blob)?;
                let text = std::str::from_utf8(&secret)
                    .map_err(|error| Error::CredentialsUnreadable(error.into()))?;
                webhook.scheme.header(&Secret::new(text))
            }
        };
        Ok(Target { webhook, header, signing_secrets: vec![Secret::new(signing.reveal().as_str())] })
    }

    pub(super) fn open_signing(
        &self,
        webhook: &Webhook,
        sealed: &Sealed,
    ) -> Result<sluice_signing::Secret, Error> {
        let place = place(Purpose::Signing, &webhook.account, webhook.id);
        let bytes = self.0.setup.keys.open(place, &sealed.signing)?;
        sluice_signing::Secret::from_bytes(&bytes).map_err(|error| Error::CredentialsUnreadable(error.into()))
    }
}
