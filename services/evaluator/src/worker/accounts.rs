//! The accounts as a call sees them: the [`Directory`], and for one that it lacks the registry itself.

use std::sync::Arc;

use sluice_domain::{AccountId, WebhookId};

use super::directory::{Directory, Missing};
use crate::clients::registry::{NAME, Registry};
use crate::error::EvaluatorError;
use crate::snapshot::AccountView;

/// Gives views of accounts; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Accounts {
    directory: Arc<Directory>,
    registry: Registry,
}

impl Accounts {
    /// On this directory and its source.
    pub(crate) fn new(directory: Arc<Directory>, registry: Registry) -> Self {
        Self { directory, registry }
    }

    /// The account's view. For an account that the directory lacks the registry is asked, which may make it on the default
    /// plan; what it has is then waited for.
    ///
    /// # Errors
    /// `AccountUnknown`, at once, when the registry has none; `Unavailable` when the registry's state has not been read yet,
    /// or it does not answer, or its feed is late.
    pub(crate) async fn view(&self, account: &AccountId) -> Result<Arc<AccountView>, EvaluatorError> {
        self.view_with(account, &[]).await
    }

    /// The account's view; when it lacks one of these webhooks, waits for the feed to bring it. The view may lack it still.
    ///
    /// # Errors
    /// As [`Accounts::view`].
    pub(crate) async fn view_with(
        &self,
        account: &AccountId,
        webhooks: &[WebhookId],
    ) -> Result<Arc<AccountView>, EvaluatorError> {
        let ready = self.directory.is_ready();
        if ready && !self.directory.has(account) && !self.registry.has(account).await? {
            return Err(EvaluatorError::AccountUnknown(account.clone()));
        }
        let view = self.directory.account_with(account, webhooks).await;
        view.map_err(|Missing::NotYet| EvaluatorError::Unavailable(NAME))
    }
}
