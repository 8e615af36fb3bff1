//! The pools behind a database URL, and the one way to connect to either backend.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, Value};
use sluice_domain::Timestamp;
use sluice_runtime::Clock;
use thiserror::Error;
use tokio::sync::Mutex;

use crate::database_url::DatabaseUrl;
use crate::error::{Cause, StorageError};
use crate::parameters::anonymous;
use crate::statement::{Driver, told};
use crate::transaction::{Reader, Transaction};
use crate::{postgres, sqlite};

/// Which of the two databases is behind a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// A file, one writer at a time.
    Sqlite,
    /// A schema of a server that several processes share.
    Postgres,
}

/// How to connect; the defaults serve one service.
#[derive(Debug, Clone)]
pub struct Options {
    /// SQLite: connections that read beside the one that writes.
    pub readers: u32,
    /// PostgreSQL: the most connections of this process, reading and writing.
    pub connections: u32,
    /// How long to wait for a connection of the pool, on SQLite thereby for the writer's turn, before `Unavailable`.
    pub acquire_timeout: Duration,
    /// How long a statement waits for another process's lock before `Retry`.
    pub lock_timeout: Duration,
    /// PostgreSQL: how long one statement may run before `Unavailable`; migrations are exempt.
    pub statement_timeout: Duration,
    /// Only for the control of the suite that counts syncs. SQLite: `synchronous=NORMAL`, which acknowledges what a power cut takes
    /// back, and nobody refuses it.
    pub unsynced: bool,
    /// Only for test databases. PostgreSQL: `sluice_now()` is what [`Database::set_test_clock`] says.
    pub settable_clock: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 4,
            connections: 16,
            acquire_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            unsynced: false,
            settable_clock: false,
        }
    }
}

/// Why a database can't be used.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The file or its folder can't be made.
    #[error("database file {}: {cause}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// What is acknowledged would not survive a power cut.
    #[error("{setting} is {found}, it must be {required}: acknowledged work would not survive a power cut")]
    NotDurable {
        /// The database's setting.
        setting: &'static str,
        /// What the live connection says.
        found: String,
        /// What it has to be.
        required: &'static str,
    },
    /// The database refused or can't be reached; the driver's words are in the source, for the operator.
    #[error("can't connect to the database")]
    Storage(#[from] StorageError),
}

/// A connected database; cheap to clone.
#[derive(Clone)]
pub struct Database(Arc<Pools>);

struct Pools {
    url: DatabaseUrl,
    backend: Backend,
    writer: DatabaseConnection,
    readers: DatabaseConnection,
    clock: Clock,
    settable_clock: bool,
}

impl Backend {
    /// The most parameters one statement takes.
    pub const fn max_parameters(self) -> usize {
        match self {
            Self::Sqlite => 32_766,
            Self::Postgres => 65_535,
        }
    }

    /// A statement for a connection of sea-orm.
    pub(crate) fn statement(self, sql: &str, values: Vec<Value>) -> Statement {
        let (sql, values) = self.worded(sql, values);
        told(&sql);
        let backend = match self {
            Self::Sqlite => DbBackend::Sqlite,
            Self::Postgres => DbBackend::Postgres,
        };
        Statement::from_sql_and_values(backend, sql, values)
    }

    /// `$1`-style SQL in the backend's own words.
    pub(crate) fn worded(self, sql: &str, values: Vec<Value>) -> (String, Vec<Value>) {
        match self {
            Self::Sqlite => anonymous(sql, values),
            Self::Postgres => (sql.to_owned(), values),
        }
    }
}

impl Database {
    /// Connects, and makes what is missing: on SQLite the file (mode 0600) and its folder (0700), on PostgreSQL the
    /// schema. Tables are [`migrate`](crate::migrate)'s work.
    ///
    /// `clock` is the database's time on SQLite; PostgreSQL has its own.
    ///
    /// # Errors
    /// Also when the live connection would not sync each commit to disk before acknowledging it.
    pub async fn connect(url: &DatabaseUrl, clock: Clock, options: &Options) -> Result<Self, ConnectError> {
        let (backend, writer, readers) = if let Some(path) = url.sqlite_path() {
            let (writer, readers) = sqlite::connect(path, options).await?;
            (Backend::Sqlite, writer, readers)
        } else if let Some((server, schema)) = url.postgres() {
            let pool = postgres::connect(server, schema, options).await?;
            (Backend::Postgres, pool.clone(), pool)
        } else {
            return Err(StorageError::Other(Cause::new("a URL of neither backend")).into());
        };
        let settable_clock = options.settable_clock;
        let database =
            Self(Arc::new(Pools { url: url.clone(), backend, writer, readers, clock, settable_clock }));
        match backend {
            Backend::Sqlite if options.unsynced => {}
            Backend::Sqlite => sqlite::require_durable(&database).await?,
            Backend::Postgres => postgres::require_durable(&database).await?,
        }
        Ok(database)
    }

    /// Where it is.
    pub fn url(&self) -> &DatabaseUrl {
        &self.0.url
    }

    /// Which of the two it is.
    pub fn backend(&self) -> Backend {
        self.0.backend
    }

    /// Begins a transaction that may write. On SQLite it is the only one of this process until it ends, and holds the
    /// file's write lock from its first moment (`BEGIN IMMEDIATE`); on PostgreSQL it is READ COMMITTED.
    ///
    /// `name` says what it is for; a suite can kill the process at `name.begun`, `name.committing` and `name.committed`, see
    /// [`failpoint`](sluice_runtime::failpoint), and has a table of all names: tests/crash/points.rs.
    ///
    /// # Errors
    /// `Unavailable` when no connection came free in time, `Retry` when another process holds SQLite's write lock.
    pub async fn write(&self, name: &'static str) -> Result<Transaction, StorageError> {
        let driver = match self.0.backend {
            Backend::Sqlite => {
                let pool = self.0.writer.get_sqlite_connection_pool();
                Driver::Sqlite(Mutex::new(sqlite::begin(pool).await?))
            }
            Backend::Postgres => {
                Driver::Postgres(Mutex::new(self.0.writer.get_postgres_connection_pool().begin().await?))
            }
        };
        Ok(Transaction::new(driver, name, self.0.backend, self.0.clock.clone()))
    }

    /// What reads single statements, each on any free connection and each seeing what is committed when it starts.
    pub fn read(&self) -> Reader {
        Reader::new(self.0.readers.clone(), self.0.backend, self.0.clock.clone())
    }

    /// The live settings that decide whether a commit survives a power cut, as one line for an operator, such as
    /// `sqlite: journal_mode=wal synchronous=FULL`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn durability(&self) -> Result<String, StorageError> {
        match self.0.backend {
            Backend::Sqlite => sqlite::durability(self).await,
            Backend::Postgres => postgres::durability(self).await,
        }
    }

    /// Sets the time of a test database that was connected with `settable_clock` and migrated. Does nothing on SQLite,
    /// whose time is the Clock given to [`Database::connect`]: set that one too.
    ///
    /// # Errors
    /// On PostgreSQL, when the clock is not settable.
    pub async fn set_test_clock(&self, now: Timestamp) -> Result<(), StorageError> {
        match (self.0.backend, self.0.settable_clock) {
            (Backend::Sqlite, _) => Ok(()),
            (Backend::Postgres, true) => postgres::set_clock(self, now).await,
            (Backend::Postgres, false) => Err(StorageError::Other(Cause::new("the clock is not settable"))),
        }
    }

    /// Closes all connections once they are back; later calls end `Unavailable`.
    pub async fn close(&self) {
        for pool in [&self.0.readers, &self.0.writer] {
            if let Err(error) = pool.close_by_ref().await {
                tracing::warn!(%error, "a connection pool was not closed in order");
            }
        }
    }

    pub(crate) fn settable_clock(&self) -> bool {
        self.0.settable_clock
    }

    /// The first column of the only row that `sql` answers on the writer.
    pub(crate) async fn scalar<T: sea_orm::TryGetable>(&self, sql: &str) -> Result<T, StorageError> {
        let statement = self.0.backend.statement(sql, Vec::new());
        let row = self.0.writer.query_one_raw(statement).await?;
        let row = row.ok_or_else(|| StorageError::decode("no row"))?;
        Ok(row.try_get_by_index(0)?)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.0.url).finish()
    }
}
