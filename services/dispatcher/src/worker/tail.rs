//! The end of the feed: one reader for all who watch. It tells how far the feed can be told, and who has changes in it; what they
//! are, each watcher reads for itself. While nobody watches it does nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_domain::AccountId;
use sluice_runtime::Shutdown;
use sluice_storage::StorageError;
use tokio::sync::{Notify, watch};

use crate::store::{Horizon, Store};

/// How often it looks for what other replicas committed.
const POLL: Duration = Duration::from_secs(1);
/// The shortest rest between two looks that found something, so that much is told at once.
const REST: Duration = Duration::from_millis(20);
/// The first rest while transactions are under way that may have changed something; it doubles up to [`POLL`].
const SOON: Duration = Duration::from_millis(2);
/// How many changes one statement reads.
const PAGE: i64 = 4_096;

/// How far the feed can be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct End {
    /// How many looks there were.
    pub(super) looks: u64,
    /// The revision up to which nothing is committed any more, once one is known.
    pub(super) horizon: Option<i64>,
}

/// The handle; clones share everything.
#[derive(Debug, Clone)]
pub struct Tail(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// How many watches one account may have.
    share: usize,
    watched: Mutex<HashMap<AccountId, Watched>>,
    end: watch::Sender<End>,
    begun: Notify,
}

#[derive(Debug, Default)]
struct Watched {
    watchers: usize,
    /// The newest revision with changes of it that was seen since somebody watches.
    last: i64,
}

/// One watcher's place at the tail; dropping it frees it.
#[derive(Debug)]
pub(super) struct Post {
    tail: Tail,
    account: AccountId,
    end: watch::Receiver<End>,
    /// How many looks there were before.
    looks: u64,
}

impl Tail {
    /// Nobody watches yet; one account may have this many watches.
    pub fn new(share: usize) -> Self {
        let (watched, begun) = (Mutex::default(), Notify::new());
        Self(Arc::new(Shared { share, watched, end: watch::Sender::default(), begun }))
    }

    /// Runs until shutdown.
    pub async fn run(self, store: Store, shutdown: Shutdown) {
        loop {
            while self.watched().is_empty() {
                if shutdown.or(self.0.begun.notified()).await.is_none() {
                    return;
                }
            }
            // What happened while nobody watched is read by whoever wants it.
            if shutdown.or(self.follow(&store)).await.is_none() {
                return;
            }
        }
    }

    /// Follows until nobody watches.
    async fn follow(&self, store: &Store) {
        let (mut horizon, mut seen, mut soon) = (Horizon::default(), None, SOON);
        while !self.watched().is_empty() {
            let found = match self.look(store, &mut horizon, &mut seen).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(error = %error, cause = ?error, "watches stand still: the database does not answer");
                    tokio::time::sleep(POLL).await;
                    continue;
                }
            };
            if found {
                soon = SOON;
                tokio::time::sleep(REST).await;
            }
            let rest = if horizon.is_behind() { soon } else { POLL };
            soon = (soon * 2).min(POLL);
            tokio::select! {
                () = store.stirred() => soon = SOON,
                () = self.0.begun.notified() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
        self.0.end.send_modify(|end| end.horizon = None);
    }

    /// One look; says whether the feed can be told further than before.
    async fn look(
        &self,
        store: &Store,
        horizon: &mut Horizon,
        seen: &mut Option<i64>,
    ) -> Result<bool, StorageError> {
        store.look(horizon).await?;
        let Some(reached) = horizon.reached() else { return Ok(false) };
        let before = seen.unwrap_or(reached);
        let (mut at, mut changed) = (before, HashMap::new());
        while at < reached {
            let page = store.changed_accounts(at, reached, PAGE).await?;
            let whole = i64::try_from(page.len()).unwrap_or(PAGE) < PAGE;
            at = page.last().filter(|_| !whole).map_or(reached, |(revision, _)| *revision);
            changed.extend(page.into_iter().map(|(revision, account)| (account, revision)));
        }
        *seen = Some(reached);
        // Both under the lock: whoever takes a post before it hears of what follows, whoever does after it reads up to here.
        let mut watched = self.watched();
        for (account, revision) in changed {
            if let Some(watched) = watched.get_mut(&account) {
                watched.last = revision;
            }
        }
        self.0.end.send_modify(|end| *end = End { looks: end.looks + 1, horizon: Some(reached) });
        drop(watched);
        Ok(reached > before)
    }

    /// A post for a watcher of an account, unless the account has as many as it may.
    pub(super) fn take(&self, account: &AccountId) -> Option<Post> {
        let mut all = self.watched();
        let watched = all.entry(account.clone()).or_default();
        if watched.watchers >= self.0.share {
            return None;
        }
        watched.watchers += 1;
        let end = self.0.end.subscribe();
        let looks = end.borrow().looks;
        drop(all);
        self.0.begun.notify_one();
        Some(Post { tail: self.clone(), account: account.clone(), end, looks })
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<AccountId, Watched>> {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Post {
    /// The end of the feed as a look found it that came after the post was taken.
    pub(super) async fn first(&mut self) -> i64 {
        let looks = self.looks;
        self.horizon(|end| end.horizon.filter(|_| end.looks > looks)).await
    }

    /// The end of the feed once it is beyond a revision.
    pub(super) async fn beyond(&mut self, revision: i64) -> i64 {
        self.horizon(|end| end.horizon.filter(|horizon| *horizon > revision)).await
    }

    async fn horizon(&mut self, wanted: impl Fn(&End) -> Option<i64> + Send) -> i64 {
        loop {
            let found = wanted(&self.end.borrow_and_update());
            if let Some(horizon) = found {
                return horizon;
            }
            if self.end.changed().await.is_err() {
                // Unreachable: the sender lives as long as the tail that this post holds.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether the account has changes behind a revision, of those that looks found since the post was taken.
    pub(super) fn has_changes_behind(&self, revision: i64) -> bool {
        self.tail.watched().get(&self.account).is_some_and(|watched| watched.last > revision)
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        let mut all = self.tail.watched();
        if let Some(watched) = all.get_mut(&self.account) {
            watched.watchers -= 1;
            if watched.watchers == 0 {
                all.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_its_share_of_posts_and_gets_them_back() {
        let (tail, acme, other) = (Tail::new(2), "acme".parse().unwrap(), "other".parse().unwrap());
        let first = tail.take(&acme).unwrap();
        let _second = tail.take(&acme).unwrap();
        assert!(tail.take(&acme).is_none() && tail.take(&other).is_some());
        drop(first);
        assert!(tail.take(&acme).is_some());
        assert_eq!(tail.watched().len(), 1, "who does not watch is forgotten");
    }
}
