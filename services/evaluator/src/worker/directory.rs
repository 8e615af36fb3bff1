//! The registry as this replica knows it: every account and webhook, kept up to date by [`follow`](super::follow).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sluice_domain::{AccountId, WebhookId};
use tokio::sync::watch;

use crate::snapshot::{AccountView, Change, Shelf};

/// Why a view can't be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// The registry's feed has not told of the account in time, or of anything.
    NotYet,
}

/// The views of all accounts.
#[derive(Debug)]
pub(crate) struct Directory {
    views: Shelf<AccountView>,
    /// `None` before the first complete state; then it moves with every change.
    applied: watch::Sender<Option<u64>>,
    /// How long a miss waits for the feed: what was made a moment ago may be on its way.
    catch_up: Duration,
}

impl Directory {
    /// An empty one.
    pub(crate) fn new(catch_up: Duration) -> Self {
        Self { views: Shelf::default(), applied: watch::Sender::new(None), catch_up }
    }

    /// Whether a complete state was read.
    pub(crate) fn is_ready(&self) -> bool {
        self.applied.borrow().is_some()
    }

    /// Returns once a complete state was read.
    pub(crate) async fn ready(&self) {
        // The sender lives as long as this does, so the wait can only end well.
        let _ = self.applied.subscribe().wait_for(Option::is_some).await;
    }

    /// Whether the feed has told of the account.
    pub(super) fn has(&self, account: &AccountId) -> bool {
        self.known(account).is_some()
    }

    fn known(&self, account: &AccountId) -> Option<Arc<AccountView>> {
        self.views.get(account).filter(|view| view.entitlements().is_some())
    }

    /// The account's view; when it is not there or lacks one of these webhooks, waits for the feed to bring it. The view may
    /// lack a webhook still.
    ///
    /// # Errors
    /// When the account does not come, or nothing was read yet.
    pub(super) async fn account_with(
        &self,
        account: &AccountId,
        webhooks: &[WebhookId],
    ) -> Result<Arc<AccountView>, Missing> {
        let mut applied = self.applied.subscribe();
        let known = || self.known(account);
        let complete = |view: &Arc<AccountView>| webhooks.iter().all(|id| view.webhook(*id).is_some());
        let found = || known().filter(complete);
        if applied.borrow_and_update().is_none() {
            return Err(Missing::NotYet);
        }
        if let Some(view) = found() {
            return Ok(view);
        }
        let waiting = async {
            loop {
                if let Some(view) = found() {
                    return Some(view);
                }
                applied.changed().await.ok()?;
            }
        };
        let arrived = tokio::time::timeout(self.catch_up, waiting).await.ok().flatten();
        arrived.or_else(known).ok_or(Missing::NotYet)
    }

    /// Puts a complete state in the place of what was known.
    pub(super) fn replace(&self, views: HashMap<AccountId, AccountView>) {
        self.views.replace_all(views);
        self.advance();
    }

    /// Applies one change.
    pub(super) fn apply(&self, change: &Change) {
        let empty = AccountView::default();
        self.views.update(change.account(), |view| Some(change.apply(view.map_or(&empty, AsRef::as_ref))));
        self.advance();
    }

    fn advance(&self) {
        self.applied.send_modify(|applied| *applied = Some(applied.map_or(1, |changes| changes + 1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::tests::terms;
    use crate::webhook::{Owner, Webhook, WebhookKind};

    fn acme() -> AccountId {
        "acme".parse().unwrap()
    }

    fn webhook(number: u8) -> Webhook {
        let id = WebhookId::from_bytes([number; 16]);
        Webhook {
            id,
            kind: WebhookKind::Automation,
            enabled: true,
            appendable: false,
            subscription: None,
            owner: Owner::Admin,
            ordered: false,
        }
    }

    #[tokio::test]
    async fn nothing_is_known_before_the_first_complete_state() {
        let directory = Directory::new(Duration::from_secs(1));
        assert_eq!(directory.account_with(&acme(), &[]).await.unwrap_err(), Missing::NotYet);
        directory.replace(HashMap::new());
        assert!(directory.is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_miss_waits_for_the_feed_and_ends() {
        let directory = Directory::new(Duration::from_millis(500));
        directory.replace(HashMap::new());
        assert_eq!(directory.account_with(&acme(), &[]).await.unwrap_err(), Missing::NotYet);
        let id = webhook(1).id;
        let bring = async {
            tokio::task::yield_now().await;
            directory.apply(&Change::Terms(acme(), terms()));
            tokio::task::yield_now().await;
            directory.apply(&Change::Webhook(acme(), webhook(1)));
        };
        let acme = acme();
        let (view, ()) = tokio::join!(directory.account_with(&acme, std::slice::from_ref(&id)), bring);
        assert!(view.unwrap().webhook(id).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_webhook_that_never_comes_leaves_the_view_without_it() {
        let directory = Directory::new(Duration::from_millis(500));
        directory.replace(HashMap::new());
        directory.apply(&Change::Terms(acme(), terms()));
        let id = webhook(1).id;
        let view = directory.account_with(&acme(), &[id]).await.unwrap();
        assert!(view.webhook(id).is_none());
        directory.apply(&Change::Webhook(acme(), webhook(1)));
        directory.apply(&Change::WebhookDeleted(acme(), id));
        assert!(directory.account_with(&acme(), &[]).await.unwrap().webhook(id).is_none());
    }
}
