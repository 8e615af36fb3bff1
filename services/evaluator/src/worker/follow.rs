//! The follower of the registry's feed: the only one who writes the [`Directory`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use sluice_domain::{AccountId, WebhookId};
use sluice_runtime::{Entropy, Shutdown};

use super::backoff::Backoff;
use super::directory::Directory;
use crate::clients::registry::{Feed, FeedError, Registry, Told};
use crate::snapshot::{AccountView, Change, Terms};
use crate::webhook::Webhook;

/// Follows the feed until the shutdown: reconnects when it breaks, starts afresh when its cursor is too old. What was
/// known is served until a newer complete state takes its place.
pub(crate) async fn follow(
    registry: Registry,
    directory: Arc<Directory>,
    entropy: Entropy,
    shutdown: Shutdown,
) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut cursor = 0;
    while !shutdown.is_triggered() {
        let before = cursor;
        let ended = shutdown.or(run(&registry, &directory, &mut cursor)).await;
        let Some(error) = ended else { return };
        if cursor != before {
            backoff.reset();
        }
        if matches!(error, FeedError::CursorTooOld) {
            tracing::warn!(
                feed.cursor = cursor,
                "the registry no longer has what came after the cursor; starting afresh"
            );
            cursor = 0;
        } else {
            tracing::warn!(%error, feed.cursor = cursor, "the registry's feed broke off; reconnecting");
        }
        let wait = backoff.next(&entropy);
        if shutdown.or(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}

/// One connection. `cursor` moves only with complete states.
async fn run(registry: &Registry, directory: &Directory, cursor: &mut i64) -> FeedError {
    let mut feed = match registry.watch(*cursor).await {
        Ok(feed) => feed,
        Err(error) => return error,
    };
    if *cursor == 0 {
        match whole_state(&mut feed).await {
            Ok((revision, views)) => {
                tracing::info!(
                    feed.revision = revision,
                    feed.accounts = views.len(),
                    "the registry's state is read"
                );
                directory.replace(views);
                *cursor = revision;
            }
            Err(error) => return error,
        }
    }
    loop {
        match feed.next().await {
            Ok((revision, Told::Change(change))) => {
                directory.apply(&change);
                *cursor = revision;
            }
            Ok((revision, Told::Synced)) => *cursor = revision,
            Err(error) => return error,
        }
    }
}

async fn whole_state(feed: &mut Feed) -> Result<(i64, HashMap<AccountId, AccountView>), FeedError> {
    let mut parts: HashMap<AccountId, Parts> = HashMap::new();
    loop {
        match feed.next().await? {
            (revision, Told::Synced) => {
                return Ok((
                    revision,
                    parts.into_iter().map(|(account, parts)| (account, parts.into_view())).collect(),
                ));
            }
            (_, Told::Change(change)) => parts.entry(change.account().clone()).or_default().take(change),
        }
    }
}

/// An account's part of the state while it is being read: cheap to add to, indexed once.
#[derive(Debug, Default)]
struct Parts {
    terms: Option<Terms>,
    webhooks: BTreeMap<WebhookId, Arc<Webhook>>,
}

impl Parts {
    fn take(&mut self, change: Change) {
        match change {
            Change::Terms(_, terms) => self.terms = Some(terms),
            Change::Webhook(_, webhook) => {
                self.webhooks.insert(webhook.id, Arc::new(webhook));
            }
            Change::WebhookDeleted(_, id) => {
                self.webhooks.remove(&id);
            }
        }
    }

    fn into_view(self) -> AccountView {
        AccountView::new(self.terms.map(Arc::new), self.webhooks)
    }
}
