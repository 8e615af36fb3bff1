//! What a watcher of the registry is told, in order.

use sluice_domain::{AccountId, WebhookId};

use crate::entitlements::Account;
use crate::webhook::Webhook;

/// One thing told: where it stands, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The cursor to go on from once this was applied.
    pub revision: i64,
    /// What changed.
    pub subject: Subject,
}

/// What changed, as it is now and not as it was at that revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An account's entitlements.
    Account(Account),
    /// A webhook.
    Webhook(Webhook),
    /// A webhook that is gone.
    Deleted(AccountId, WebhookId),
    /// The present state was told in full; from here on it is what happens.
    Synced,
}
