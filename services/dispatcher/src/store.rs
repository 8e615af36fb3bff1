//! The dispatcher's tables, on SQLite and PostgreSQL alike: every write of an execution's life is one transaction here.
//!
//! Who writes which record: `accept` inserts executions, receipts and pending work; `claim` marks pending work with a token and
//! a lease; `finish` and `rescue` turn a claim into an attempt and move the work on or end it; `told` is what the registry says, `stop`
//! what the evaluator does to an automation, `control` what people ask of one execution, `quotas` what billing and operators do to an
//! account, `lines` whose turn it is at webhooks that are ordered, `notices` what whoever runs Sluice is told of; `retention` removes.
//! `history` only reads.
//! Transactions that touch an account lock its row first, in key order; what they did to executions is on record in `changes`,
//! which `horizon` says how far to trust and `watch` reads.

mod accept;
mod accounts;
mod bodies;
mod breakers;
mod bulk;
mod changes;
mod claim;
mod control;
mod disabling;
mod endings;
mod executions;
mod finish;
mod gates;
mod heads;
mod history;
mod horizon;
mod hot;
mod lanes;
mod lines;
mod notices;
mod pages;
mod pending;
mod quotas;
mod receipts;
mod receivers;
mod recent;
mod rescue;
mod retention;
mod sql;
mod stop;
mod told;
mod walk;
mod watch;

use std::sync::Arc;

use std::error::Error as _;

use sluice_runtime::Entropy;
use sluice_storage::{Database, Migration, MigrationError, Query as _, StorageError, migrate};
use tokio::sync::Notify;

pub use accept::{Acceptance, Accepted, NewEvent, NewExecution, Room, Work};
pub use bulk::{Mark, Taken};
pub use changes::{Kept, Revision};
pub use claim::Claimed;
pub use control::{Cancelled, Retried};
pub use disabling::Disabling;
pub use history::ExecutionPage;
pub use horizon::Horizon;
pub use hot::{Probe, hot_statements};
pub use notices::Unsent;
pub use pages::PageKey;
pub use quotas::{Granted, QuotaSnapshot};
pub use receivers::{AccountLimits, Limited};
pub use retention::Look;
pub use stop::Stopped;

use crate::breaker::Policy;
use crate::claim::Lease;
use crate::retry::Schedule;

/// What became of the tables: the outcome of a call, or why there is none.
pub(crate) type Result<T> = std::result::Result<T, StorageError>;

const MIGRATIONS: &[Migration] = &[Migration {
    name: "dispatcher_0001",
    sqlite: include_str!("store/schema/0001_sqlite.sql"),
    postgres: include_str!("store/schema/0001_postgres.sql"),
}];

/// The tables of one database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    database: Database,
    entropy: Entropy,
    lease: Lease,
    schedule: Schedule,
    breaker: Policy,
    lanes: lanes::Lanes,
    limited: Limited,
    recent: recent::Recent,
    /// Tells whoever tells the registry that a webhook is to be disabled.
    disables: Arc<Notify>,
    /// Tells whoever makes events of notices that there are some.
    notices: Arc<Notify>,
    /// Tells whoever follows the changes that this process has committed some.
    stirred: Arc<Notify>,
}

impl Store {
    /// Brings the tables up to date and opens them.
    ///
    /// # Errors
    /// When the database can't be migrated.
    pub async fn open(
        database: Database,
        entropy: Entropy,
        lease: Lease,
        schedule: Schedule,
    ) -> std::result::Result<Self, MigrationError> {
        migrate(&database, MIGRATIONS).await?;
        let (lanes, recent) = (lanes::Lanes::default(), recent::Recent::default());
        let (breaker, limited) = (Policy::default(), Limited::default());
        let (disables, notices, stirred) = (Arc::default(), Arc::default(), Arc::default());
        let store = Self {
            database,
            entropy,
            lease,
            schedule,
            breaker,
            lanes,
            recent,
            limited,
            disables,
            notices,
            stirred,
        };
        store.remember_limits().await.map_err(MigrationError::from)?;
        Ok(store)
    }

    /// The same under this policy for webhooks that fail.
    #[must_use]
    pub fn with_breaker(self, breaker: Policy) -> Self {
        Self { breaker, ..self }
    }

    /// The database beneath.
    pub const fn database(&self) -> &Database {
        &self.database
    }

    /// Whether the database answers.
    pub async fn answers(&self) -> bool {
        match self.database.read().all("SELECT 1 FROM account LIMIT 1", Vec::new()).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(%error, cause = error.source().map(tracing::field::display), "the database does not answer");
                false
            }
        }
    }

    /// The lease that claims get.
    pub const fn lease(&self) -> Lease {
        self.lease
    }

    /// A token no other claim has.
    fn token(&self) -> i64 {
        i64::try_from(self.entropy.u64() >> 1).unwrap_or(1)
    }
}

/// How often a transaction that another one was in the way of is tried before the caller hears of it.
const TRIES: u32 = 5;

/// Runs a whole transaction again when another one was in the way of it (serialization failure, deadlock, busy).
macro_rules! whole {
    ($run:expr) => {{
        let mut tries = 1;
        loop {
            match $run.await {
                Err(StorageError::Retry(_)) if tries < $crate::store::TRIES => tries += 1,
                outcome => break outcome,
            }
        }
    }};
}
pub(crate) use whole;
