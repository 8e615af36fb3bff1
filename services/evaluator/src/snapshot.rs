//! What an account has when an event arrives: immutable, so that one event is judged by one state of things.
//!
//! Two halves with two sources: [`AccountView`] from the registry's feed, [`AutomationSet`] from our own database. Each is
//! replaced whole in a [`Shelf`]; an event takes one of each and keeps it until it is done.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_domain::{Entitlements, WebhookId};

use crate::automation::{Automation, CompileError, CompiledAutomation};
use crate::webhook::{Webhook, WebhookKind};

mod change;
mod index;
mod shelf;
mod terms;

pub use change::Change;
pub use index::TriggerIndex;
pub use shelf::Shelf;
pub use terms::Terms;

/// The registry's half: what billing allows and which webhooks there are.
#[derive(Debug, Default)]
pub struct AccountView {
    terms: Option<Arc<Terms>>,
    webhooks: BTreeMap<WebhookId, Arc<Webhook>>,
    notified: TriggerIndex<Arc<Webhook>>,
}

impl AccountView {
    /// A view of these terms and webhooks.
    pub fn new(terms: Option<Arc<Terms>>, webhooks: BTreeMap<WebhookId, Arc<Webhook>>) -> Self {
        let mut notified = TriggerIndex::default();
        for webhook in webhooks.values() {
            if let (WebhookKind::Event, Some(subscription)) = (webhook.kind, &webhook.subscription) {
                notified.push(subscription, Arc::clone(webhook));
            }
        }
        Self { terms, webhooks, notified }
    }

    /// What billing allows; `None` while it has said nothing.
    pub fn entitlements(&self) -> Option<&Entitlements> {
        self.terms().map(|terms| &terms.entitlements)
    }

    /// All that billing says; `None` while it has said nothing.
    pub fn terms(&self) -> Option<&Terms> {
        self.terms.as_deref()
    }

    /// The webhook of this id.
    pub fn webhook(&self, id: WebhookId) -> Option<&Webhook> {
        self.webhooks.get(&id).map(AsRef::as_ref)
    }

    /// The event webhooks by what they subscribe to, oldest first.
    pub fn notified(&self) -> &TriggerIndex<Arc<Webhook>> {
        &self.notified
    }

    /// The same with these terms.
    #[must_use]
    pub fn with_terms(&self, terms: Terms) -> Self {
        Self::new(Some(Arc::new(terms)), self.webhooks.clone())
    }

    /// The same with this webhook, new or changed.
    #[must_use]
    pub fn with_webhook(&self, webhook: Webhook) -> Self {
        let mut webhooks = self.webhooks.clone();
        webhooks.insert(webhook.id, Arc::new(webhook));
        Self::new(self.terms.clone(), webhooks)
    }

    /// The same without this webhook.
    #[must_use]
    pub fn without_webhook(&self, id: WebhookId) -> Self {
        let mut webhooks = self.webhooks.clone();
        webhooks.remove(&id);
        Self::new(self.terms.clone(), webhooks)
    }
}

/// Our own half: the active automations, compiled.
#[derive(Debug, Default)]
pub struct AutomationSet {
    /// The revision of the account's automations that this set holds at least.
    pub revision: i64,
    active: TriggerIndex<CompiledAutomation>,
}

impl AutomationSet {
    /// A set of the account's active automations, given in the order of their creation.
    ///
    /// # Errors
    /// When a stored one can't be compiled: the account's events are refused until it is changed, rather than judged without it.
    pub fn compile(revision: i64, automations: &[Automation]) -> Result<Self, CompileError> {
        let mut active = TriggerIndex::default();
        for automation in automations {
            let compiled = CompiledAutomation::compile(automation)?;
            active.push(&automation.definition.trigger, compiled);
        }
        Ok(Self { revision, active })
    }

    /// The active automations by their triggers, oldest first.
    pub fn active(&self) -> &TriggerIndex<CompiledAutomation> {
        &self.active
    }
}
