//! What the registry's feed tells the dispatcher.

use sluice_domain::{AccountId, Entitlements, ReceiverLimits, WebhookId};
use thiserror::Error;

use crate::breaker::Standing;
use crate::notice::Subscriber;

/// What changed at the registry.
#[derive(Debug, Clone)]
pub enum Change {
    /// An account's entitlements.
    Entitlements(AccountId, Box<Entitlements>),
    /// A webhook, which is in use or disabled.
    Webhook {
        /// The account.
        account: AccountId,
        /// The webhook.
        webhook: WebhookId,
        /// How it stands.
        standing: Standing,
        /// What its receiver is to be spared.
        limits: ReceiverLimits,
        /// Which notices it is told of: an event webhook that an admin of the system account owns.
        subscriber: Option<Subscriber>,
    },
    /// A webhook is gone.
    WebhookDeleted(AccountId, WebhookId),
    /// The present state is complete.
    Synced,
}

/// A change with its place in the feed.
#[derive(Debug, Clone)]
pub struct Feed {
    /// The cursor to go on from.
    pub revision: i64,
    /// What changed.
    pub change: Change,
}

/// Why the feed ended.
#[derive(Debug, Error)]
pub enum FeedError {
    /// The cursor is too old; start afresh.
    #[error("the cursor is too old")]
    CursorTooOld,
    /// The registry does not answer, or what it says can't be read.
    #[error("the registry does not answer: {0}")]
    Unavailable(String),
}
