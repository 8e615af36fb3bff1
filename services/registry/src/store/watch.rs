//! One watcher's place in the feed: the present state first, then what happens, page by page as the watcher asks.
//!
//! Nothing runs when nobody asks, and no more than one page is held, however slow the watcher is.

use std::collections::{HashSet, VecDeque};

use sluice_domain::{AccountId, Span, WebhookId};
use sluice_runtime::Clock;
use tokio::sync::watch as signal;

use super::changes::{self, Key};
use super::{Store, accounts, webhooks};
use crate::error::Error;
use crate::feed::{Change, Subject};

/// How a watcher waits.
#[derive(Debug, Clone)]
pub struct Watching {
    /// Tells when to look again.
    pub clock: Clock,
    /// How long to wait before looking for what other replicas wrote.
    pub poll: Span,
    /// How many rows are read at once.
    pub page: i64,
}

/// One watcher's place; dropped with its stream.
pub struct Watch {
    store: Store,
    watching: Watching,
    head: signal::Receiver<i64>,
    cursor: i64,
    stage: Stage,
    page: VecDeque<Change>,
}

enum Stage {
    /// Telling the accounts after this one.
    Accounts(Option<AccountId>),
    /// Telling the webhooks after this one.
    Webhooks(Option<(AccountId, WebhookId)>),
    /// Following what happens.
    Following,
}

impl Store {
    /// Starts to watch: at 0 with the present state, else after the change of that revision.
    ///
    /// # Errors
    /// [`Error::CursorTooOld`] when the cursor is none of the changes that are kept.
    pub async fn watch(&self, cursor: i64, watching: Watching) -> Result<Watch, Error> {
        let head = self.0.head.subscribe();
        let place = changes::place(&self.0.database.read()).await?;
        let (cursor, stage) = match cursor {
            0 => (place.head, Stage::Accounts(None)),
            cursor if place.can_resume(cursor) => (cursor, Stage::Following),
            _ => return Err(Error::CursorTooOld),
        };
        Ok(Watch { store: self.clone(), watching, head, cursor, stage, page: VecDeque::new() })
    }

    /// The newest revision, also of what other replicas wrote: looked up by one watcher for all, once a poll.
    async fn look(&self, watching: &Watching) -> Result<i64, Error> {
        let mut looked_at = self.0.looked_at.lock().await;
        let now = watching.clock.now();
        if !looked_at.is_some_and(|then| then <= now && now.since(then) < watching.poll) {
            self.tell(changes::place(&self.0.database.read()).await?.head);
            *looked_at = Some(now);
        }
        Ok(*self.0.head.borrow())
    }

    /// How far the feed reaches now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn feed_place(&self) -> Result<changes::Place, Error> {
        changes::place(&self.0.database.read()).await
    }
}

impl Watch {
    /// The next thing to tell; waits until there is one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Error::CursorTooOld`] when the watcher fell so far behind that changes it needs are gone.
    pub async fn next(&mut self) -> Result<Change, Error> {
        loop {
            if let Some(change) = self.page.pop_front() {
                return Ok(change);
            }
            match &self.stage {
                Stage::Accounts(last) => {
                    let last = last.clone();
                    self.tell_accounts(last).await?;
                }
                Stage::Webhooks(last) => {
                    let last = last.clone();
                    self.tell_webhooks(last).await?;
                }
                Stage::Following => self.follow().await?,
            }
        }
    }

    async fn tell_accounts(&mut self, last: Option<AccountId>) -> Result<(), Error> {
        let reader = self.store.0.database.read();
        let page = accounts::after(&reader, last.as_ref(), self.watching.page).await?;
        self.stage = match page.last() {
            Some(account) => Stage::Accounts(Some(account.id.clone())),
            None => Stage::Webhooks(None),
        };
        self.tell(page.into_iter().map(Subject::Account));
        Ok(())
    }

    async fn tell_webhooks(&mut self, last: Option<(AccountId, WebhookId)>) -> Result<(), Error> {
        let reader = self.store.0.database.read();
        let page = webhooks::after(&reader, last.as_ref(), self.watching.page).await?;
        match page.last() {
            Some(webhook) => {
                self.stage = Stage::Webhooks(Some((webhook.account.clone(), webhook.id)));
                self.tell(page.into_iter().map(Subject::Webhook));
            }
            None => {
                self.stage = Stage::Following;
                self.tell([Subject::Synced]);
            }
        }
        Ok(())
    }

    fn tell(&mut self, subjects: impl IntoIterator<Item = Subject>) {
        let revision = self.cursor;
        self.page.extend(subjects.into_iter().map(|subject| Change { revision, subject }));
    }

    /// Reads the next page of changes, or waits until it is worth looking again.
    async fn follow(&mut self) -> Result<(), Error> {
        self.head.borrow_and_update();
        let reader = self.store.0.database.read();
        let rows = changes::after(&reader, self.cursor, self.watching.page).await?;
        // Asked after the rows were read: what was pruned in between would be missing among them.
        if !changes::place(&reader).await?.can_resume(self.cursor) {
            return Err(Error::CursorTooOld);
        }
        let Some((newest, _)) = rows.last() else {
            return self.wait().await;
        };
        let newest = *newest;

        // Each thing is told as it is now, so once is enough: at its last revision in the page.
        let mut seen = HashSet::new();
        let mut page = VecDeque::new();
        for (revision, key) in rows.into_iter().rev() {
            if seen.insert(key.clone()) {
                page.push_front((revision, key));
            }
        }
        let mut told = VecDeque::with_capacity(page.len());
        for (revision, key) in page {
            let subject = match key {
                // An account is never deleted; one whose row is gone has nothing to tell.
                Key::Account(account) => accounts::find(&reader, &account).await?.map(Subject::Account),
                Key::Webhook(account, id) => Some(
                    webhooks::find(&reader, &account, id)
                        .await?
                        .map_or(Subject::Deleted(account, id), Subject::Webhook),
                ),
            };
            told.extend(subject.map(|subject| Change { revision, subject }));
        }
        self.page = told;
        self.cursor = newest;
        Ok(())
    }

    /// Waits until there is something new.
    async fn wait(&mut self) -> Result<(), Error> {
        loop {
            tokio::select! {
                // The sender lives as long as the store that this watcher holds.
                _ = self.head.changed() => return Ok(()),
                () = self.watching.clock.sleep(self.watching.poll) => {}
            }
            if self.store.look(&self.watching).await? > self.cursor {
                return Ok(());
            }
        }
    }
}
