//! What the registry's feed tells, one change at a time.

use sluice_domain::{AccountId, Entitlements, WebhookId};

use super::AccountView;
use crate::webhook::Webhook;

/// One change of what an account has at the registry.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Billing put entitlements.
    Entitlements(AccountId, Entitlements),
    /// A webhook is new or changed.
    Webhook(AccountId, Webhook),
    /// A webhook is gone.
    WebhookDeleted(AccountId, WebhookId),
}

impl Change {
    /// Whose it is.
    pub fn account(&self) -> &AccountId {
        match self {
            Self::Entitlements(account, _) | Self::Webhook(account, _) | Self::WebhookDeleted(account, _) => {
                account
            }
        }
    }

    /// The account's view after it.
    #[must_use]
    pub fn apply(&self, view: &AccountView) -> AccountView {
        match self {
            Self::Entitlements(_, entitlements) => view.with_entitlements(entitlements.clone()),
            Self::Webhook(_, webhook) => view.with_webhook(webhook.clone()),
            Self::WebhookDeleted(_, id) => view.without_webhook(*id),
        }
    }
}
