//! What the registry's feed tells, one change at a time.

use sluice_domain::{AccountId, WebhookId};

use super::{AccountView, Terms};
use crate::webhook::Webhook;

/// One change of what an account has at the registry.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Billing put entitlements.
    Terms(AccountId, Terms),
    /// A webhook is new or changed.
    Webhook(AccountId, Webhook),
    /// A webhook is gone.
    WebhookDeleted(AccountId, WebhookId),
}

impl Change {
    /// Whose it is.
    pub fn account(&self) -> &AccountId {
        match self {
            Self::Terms(account, _) | Self::Webhook(account, _) | Self::WebhookDeleted(account, _) => account,
        }
    }

    /// The account's view after it.
    #[must_use]
    pub fn apply(&self, view: &AccountView) -> AccountView {
        match self {
            Self::Terms(_, terms) => view.with_terms(terms.clone()),
            Self::Webhook(_, webhook) => view.with_webhook(webhook.clone()),
            Self::WebhookDeleted(_, id) => view.without_webhook(*id),
        }
    }
}
