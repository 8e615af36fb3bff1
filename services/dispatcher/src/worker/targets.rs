//! Targets by webhook: asked from the registry once, remembered until the feed says that they changed. While the registry is
//! away, what is remembered goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::future::Cache;
use sluice_domain::{AccountId, WebhookId};

use crate::clients::registry::RegistryClient;
use crate::target::{ResolveError, Target};

/// How many targets are remembered.
const REMEMBERED: u64 = 50_000;

/// The targets this process knows. Cheap to clone.
#[derive(Clone)]
pub struct Targets {
    known: Cache<(AccountId, WebhookId), Arc<Target>>,
    registry: RegistryClient,
    changes: Arc<AtomicU64>,
}

impl Targets {
    /// Nothing known yet.
    pub fn new(registry: RegistryClient) -> Self {
        Self { known: Cache::new(REMEMBERED), registry, changes: Arc::default() }
    }

    /// The target of a webhook.
    ///
    /// # Errors
    /// When there is none, or nobody who could say.
    pub async fn get(&self, account: &AccountId, webhook: WebhookId) -> Result<Arc<Target>, ResolveError> {
        let key = (account.clone(), webhook);
        if let Some(target) = self.known.get(&key).await {
            return Ok(target);
        }
        // Apart, since it is rare and large, and whoever sends carries what may become of it along.
        Box::pin(self.ask(key)).await
    }

    async fn ask(&self, key: (AccountId, WebhookId)) -> Result<Arc<Target>, ResolveError> {
        let before = self.changes.load(Ordering::Acquire);
        let asked = async { self.registry.resolve(&key.0, key.1).await.map(Arc::new) };
        let target = self.known.try_get_with(key.clone(), asked).await.map_err(|error| (*error).clone())?;
        if self.changes.load(Ordering::Acquire) != before {
            // The answer may be older than the change that was just told.
            self.known.invalidate(&key).await;
        }
        Ok(target)
    }

    /// Forgets a webhook that changed.
    pub async fn forget(&self, account: &AccountId, webhook: WebhookId) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.known.invalidate(&(account.clone(), webhook)).await;
    }

    /// Forgets all, when changes may have been missed.
    pub fn forget_all(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.known.invalidate_all();
    }
}
