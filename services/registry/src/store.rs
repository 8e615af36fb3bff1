//! What the registry keeps, on SQLite or PostgreSQL.
//!
//! Who is here:
//! - `accounts`: puts of entitlements, and accounts that come into being by the default plan;
//! - `webhooks`: their rows, read and listed;
//! - `writes`: webhooks made, changed and deleted under the access rules;
//! - `requests`: repeated creations that get their first answer;
//! - `changes`: the feed's rows, in commit order;
//! - [`Watch`]: one watcher's place in the feed;
//! - `target`: what is needed to send one request, the only place where credentials are opened.
//!
//! Every write takes the lock of the feed's one row before it reads anything (on SQLite the file's own write lock), so
//! writes happen one after another, what they read is what they change, and revisions are in commit order.

mod accounts;
mod changes;
mod requests;
mod target;
mod watch;
mod webhooks;
mod writes;

use std::error::Error as _;
use std::sync::Arc;

use sluice_domain::{Catalogue, Timestamp, WebhookId};
use sluice_runtime::Entropy;
use sluice_storage::{Backend, Database, Migration, MigrationError, Query as _, StorageError, Transaction};
use tokio::sync::{Mutex, watch as signal};

use crate::error::Error;
use crate::limits::Limits;
use crate::seal::{MasterKeys, Place};

pub use changes::Place as FeedPlace;
pub use target::Target;
pub use watch::{Watch, Watching};
pub use webhooks::Filter;
pub use writes::{Created, Creation};

const MIGRATIONS: &[Migration] = &[Migration {
    name: "registry_0001_registry",
    sqlite: include_str!("store/sqlite/0001_registry.sql"),
    postgres: include_str!("store/postgres/0001_registry.sql"),
}];

/// How often a transaction that met another one is run again before the caller is told.
const RUNS: usize = 5;

/// What the store is set up with.
#[derive(Debug)]
pub struct Setup {
    /// The plans.
    pub catalogue: Catalogue,
    /// The plan an unknown account comes into being on; `None` refuses it.
    pub default_plan: Option<String>,
    /// The keys that seal.
    pub keys: MasterKeys,
    /// Ids, nonces and signing secrets come from here.
    pub entropy: Entropy,
    /// How many changes the feed keeps.
    pub keep_changes: i64,
    /// How many webhooks an account may have.
    pub limits: Limits,
}

/// The registry's tables; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    database: Database,
    setup: Setup,
    /// The newest revision that this process knows to be committed: wakes its watchers.
    head: signal::Sender<i64>,
    /// When a watcher last looked for what other replicas wrote.
    looked_at: Mutex<Option<Timestamp>>,
}

impl Store {
    /// Brings the schema up to date and opens the store.
    ///
    /// # Errors
    /// When the schema can't be brought up to date.
    pub async fn open(database: Database, setup: Setup) -> Result<Self, MigrationError> {
        sluice_storage::migrate(&database, MIGRATIONS).await?;
        Ok(Self(Arc::new(Inner {
            database,
            setup,
            head: signal::Sender::new(0),
            looked_at: Mutex::default(),
        })))
    }

    /// Whether the database answers.
    pub async fn answers(&self) -> bool {
        match self.feed_place().await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(%error, cause = error.source().map(tracing::field::display), "the database does not answer");
                false
            }
        }
    }

    /// The plans it works with.
    pub fn catalogue(&self) -> &Catalogue {
        &self.0.setup.catalogue
    }

    /// Begins a write: nothing else is written until it ends.
    async fn begin(&self) -> Result<Transaction, Error> {
        let transaction = self.0.database.write("registry").await?;
        if transaction.backend() == Backend::Postgres {
            transaction.one("SELECT head FROM feed WHERE one = 1 FOR UPDATE", Vec::new()).await?;
        }
        Ok(transaction)
    }

    /// Commits a write and wakes the watchers of this process.
    async fn commit(&self, transaction: Transaction, revision: i64) -> Result<(), Error> {
        transaction.commit().await?;
        self.tell(revision);
        Ok(())
    }

    /// Wakes the watchers of this process when a revision is newer than all that were told.
    fn tell(&self, revision: i64) {
        self.0.head.send_if_modified(|head| {
            let newer = revision > *head;
            *head = (*head).max(revision);
            newer
        });
    }

    fn mint(&self, now: Timestamp) -> WebhookId {
        WebhookId::mint(now, self.0.setup.entropy.bytes())
    }

    fn seal(&self, place: Place<'_>, value: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.setup.keys.seal(place, self.0.setup.entropy.bytes(), value)?)
    }
}

/// Runs a transaction again when another one was in its way.
async fn retried<T, F>(mut run: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    for _ in 1..RUNS {
        match run().await {
            Err(Error::Contended(_)) => {}
            ended => return ended,
        }
    }
    run().await
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable(_) => Self::Unavailable(error.into()),
            StorageError::Retry(_) => Self::Contended(error.into()),
            StorageError::Full(_) => Self::StorageFull(error.into()),
            StorageError::Conflict { .. } | StorageError::Decode(_) | StorageError::Other(_) => {
                Self::Internal(error.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_storage::Cause;

    use super::*;

    #[tokio::test]
    async fn a_transaction_in_another_ones_way_is_run_again_but_not_for_ever() {
        let mut runs = 0;
        let contended = || Error::from(StorageError::Retry(Cause::new("busy")));
        let ended: Result<(), _> = retried(|| {
            runs += 1;
            async { Err(contended()) }
        })
        .await;
        assert!(matches!(ended, Err(Error::Contended(_))));
        assert_eq!(runs, RUNS);

        let mut left = 2;
        let ended = retried(|| {
            left -= 1;
            let again = left > 0;
            async move { if again { Err(contended()) } else { Ok(7) } }
        })
        .await;
        assert_eq!(ended.unwrap(), 7);
    }
}
