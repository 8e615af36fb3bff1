//! Following the registry: entitlements go into the account's row, disabled webhooks close their gate, changed ones are asked anew, those
//! that want notices are remembered.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use sluice_domain::{AccountId, ReceiverLimits, WebhookId};
use sluice_runtime::{Entropy, Shutdown};
use sluice_storage::StorageError;
use thiserror::Error;

use super::Alarm;
use super::notify::Subscribers;
use super::targets::Targets;
use crate::breaker::Standing;
use crate::clients::registry::RegistryClient;
use crate::feed::{Change, Feed, FeedError};
use crate::notice::Subscriber;
use crate::store::Store;

/// The shortest rest before the feed is opened again.
const REST: Duration = Duration::from_millis(200);
/// The longest.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// Why following stopped.
#[derive(Debug, Error)]
enum Broken {
    /// The feed ended.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// A change could not be stored.
    #[error("a change could not be stored")]
    Storage(#[from] StorageError),
}

/// What following the registry needs.
pub struct Following {
    /// Whom to follow.
    pub registry: RegistryClient,
    /// Where what it says is put in force.
    pub store: Store,
    /// What is to be asked anew.
    pub targets: Targets,
    /// Which webhooks want notices.
    pub subscribers: Subscribers,
    /// Who claims what may start now.
    pub alarm: Alarm,
    /// For rests of different lengths.
    pub entropy: Entropy,
}

impl Following {
    /// Runs until shutdown.
    pub async fn run(self, shutdown: Shutdown) {
        let entropy = self.entropy.clone();
        let mut follower = Follower { means: self, cursor: 0 };
        let mut rest = REST;
        while !shutdown.is_triggered() {
            let mut opened = false;
            let followed = shutdown.or(follower.follow(&mut opened)).await;
            follower.means.subscribers.follow(false);
            match followed {
                None => return,
                Some(Ok(())) => {}
                Some(Err(Broken::Feed(FeedError::CursorTooOld))) => follower.cursor = 0,
                Some(Err(error)) => {
                    tracing::warn!(error = %error, cause = ?error, "the registry's feed broke off");
                }
            }
            rest = if opened { REST } else { (rest * 2).min(LONGEST_REST) };
            let jittered = rest.mul_f64(0.5 + entropy.fraction());
            if shutdown.or(tokio::time::sleep(jittered)).await.is_none() {
                return;
            }
        }
    }
}

/// Who follows the registry.
struct Follower {
    means: Following,
    /// The last revision that is applied; 0 before the present state was read whole.
    cursor: i64,
}

/// What is on record while the present state is read, so that only what differs is written, and what was told of it so far.
#[derive(Default)]
struct OnRecord {
    versions: HashMap<AccountId, i64>,
    told: HashMap<(AccountId, WebhookId), (Standing, ReceiverLimits)>,
    subscribers: BTreeMap<WebhookId, Subscriber>,
}

impl Follower {
    /// Follows the feed until it ends; `opened` says whether it was opened at all.
    async fn follow(&mut self, opened: &mut bool) -> Result<(), Broken> {
        let mut changes = self.means.registry.watch(self.cursor).await?;
        *opened = true;
        // What changed since the cursor is told at once; from the beginning, they are known once all was read.
        self.means.subscribers.follow(self.cursor != 0);
        let mut present = None;
        if self.cursor == 0 {
            // Only now: what is asked from here on is no older than the state that is about to be told.
            self.means.targets.forget_all();
            let versions = self.means.store.known_versions().await?.into_iter().collect();
            present = Some(OnRecord { versions, ..OnRecord::default() });
        }
        while let Some(Feed { revision, change }) = changes.next().await? {
            match (&mut present, change) {
                (Some(on_record), Change::Synced) => {
                    self.settle(std::mem::take(on_record), revision).await?;
                    present = None;
                }
                (Some(on_record), change) => self.read(on_record, change).await?,
                (None, change) => self.apply(change, revision).await?,
            }
            if present.is_none() {
                self.cursor = revision;
            }
        }
        Ok(())
    }

    /// A part of the present state.
    async fn read(&self, on_record: &mut OnRecord, change: Change) -> Result<(), Broken> {
        match change {
            Change::Entitlements(account, entitlements) => {
                if on_record.versions.get(&account).is_none_or(|version| *version < entitlements.version) {
                    self.means.store.apply_entitlements(&account, &entitlements).await?;
                    self.means.alarm.ring();
                }
            }
            Change::Webhook { account, webhook, standing, limits, subscriber } => {
                on_record.subscribers.extend(subscriber.map(|subscriber| (webhook, subscriber)));
                on_record.told.insert((account, webhook), (standing, limits));
            }
            Change::WebhookDeleted(account, webhook) => {
                on_record.subscribers.remove(&webhook);
                on_record.told.remove(&(account, webhook));
            }
            Change::Synced => {}
        }
        Ok(())
    }

    /// The present state is complete: gates are as it says, and open where it does not know the webhook any more, so that what
    /// waits there fails instead of waiting for ever. That a webhook is enabled says nothing of one that was so already: its receiver
    /// may fail all the same, and what is known of that stays.
    async fn settle(&self, on_record: OnRecord, revision: i64) -> Result<(), Broken> {
        let gated = self.means.store.gated_webhooks().await?;
        for ((account, webhook), (standing, limits)) in &on_record.told {
            self.means.store.put_receiver_limits(account, *webhook, *limits).await?;
            let is_news = || gated.get(&(account.clone(), *webhook)).copied().unwrap_or(false);
            if *standing != Standing::Enabled || is_news() {
                self.means.store.put_webhook(account, *webhook, revision, *standing).await?;
            }
        }
        let limited = self.means.store.limited().all().into_iter();
        for (account, webhook) in limited.filter(|key| !on_record.told.contains_key(key)) {
            self.means.store.put_receiver_limits(&account, webhook, ReceiverLimits::default()).await?;
        }
        for key in gated.keys().filter(|key| !on_record.told.contains_key(key)) {
            self.means.store.put_webhook(&key.0, key.1, revision, Standing::Gone).await?;
        }
        self.means.subscribers.replace(on_record.subscribers);
        self.means.alarm.ring();
        Ok(())
    }

    /// Something that changed just now.
    async fn apply(&self, change: Change, revision: i64) -> Result<(), Broken> {
        match change {
            Change::Entitlements(account, entitlements) => {
                self.means.store.apply_entitlements(&account, &entitlements).await?;
            }
            Change::Webhook { account, webhook, standing, limits, subscriber } => {
                if account.is_system() {
                    self.means.subscribers.put(webhook, subscriber);
                }
                self.means.store.put_receiver_limits(&account, webhook, limits).await?;
                self.means.targets.forget(&account, webhook).await;
                self.means.store.put_webhook(&account, webhook, revision, standing).await?;
            }
            Change::WebhookDeleted(account, webhook) => {
                if account.is_system() {
                    self.means.subscribers.put(webhook, None);
                }
                self.means.store.put_receiver_limits(&account, webhook, ReceiverLimits::default()).await?;
                self.means.targets.forget(&account, webhook).await;
                self.means.store.put_webhook(&account, webhook, revision, Standing::Gone).await?;
            }
            Change::Synced => {}
        }
        self.means.alarm.ring();
        Ok(())
    }
}
