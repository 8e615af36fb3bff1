//! The databases of a run, seen from outside: what they use of processor and disk.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sluice_runtime::Clock;
use sluice_storage::{Database, DatabaseUrl, Options, Query as _};

use crate::cli::Backend;
use crate::usage;

/// The services, a database each.
const SERVICES: [&str; 3] = ["registry", "evaluator", "dispatcher"];

/// The three databases of a suite.
#[derive(Debug)]
pub(crate) enum Stores {
    /// Files in a folder.
    Sqlite(PathBuf),
    /// Schemas on a server of our own that syncs every commit.
    Postgres {
        urls: [String; 3],
        /// Our own connection and the server's process, once connected.
        seen: Option<(Database, u32)>,
    },
}

impl Stores {
    /// Where they will be.
    pub(crate) fn new(backend: Backend, folder: &Path, accounts: usize) -> anyhow::Result<Self> {
        Ok(match backend {
            Backend::Sqlite => Self::Sqlite(folder.to_owned()),
            Backend::Postgres => {
                let server = sluice_testkit::durable_server_url();
                let schema = |service: &str| format!("{server}?schema={service}_{accounts}");
                Self::Postgres { urls: SERVICES.map(schema), seen: None }
            }
        })
    }

    /// Their addresses: registry, evaluator, dispatcher.
    pub(crate) fn urls(&self) -> [String; 3] {
        match self {
            Self::Sqlite(folder) => {
                SERVICES.map(|service| format!("sqlite:{}", folder.join(format!("{service}.db")).display()))
            }
            Self::Postgres { urls, .. } => urls.clone(),
        }
    }

    /// With a connection of our own, on PostgreSQL.
    pub(crate) async fn connected(self) -> anyhow::Result<Self> {
        let Self::Postgres { urls, .. } = self else { return Ok(self) };
        let url: DatabaseUrl = urls[2].parse()?;
        let database = Database::connect(&url, Clock::system(), &Options::default()).await?;
        let process =
            number(&database, "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::bigint").await?;
        let seen = Some((database, u32::try_from(process)?));
        Ok(Self::Postgres { urls, seen })
    }

    /// Processor seconds of the database's own processes; those of SQLite are the suite's.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        match self {
            Self::Postgres { seen: Some((_, process)), .. } => usage::cpu_seconds_with_children(*process),
            _ => Ok(0.0),
        }
    }

    /// Bytes of the dispatcher's data.
    pub(crate) async fn bytes(&self) -> anyhow::Result<u64> {
        match self {
            Self::Sqlite(folder) => Ok(std::fs::metadata(folder.join("dispatcher.db"))?.len()),
            Self::Postgres { seen, .. } => {
                let (database, _) = seen.as_ref().context("not connected")?;
                let size = "SELECT COALESCE(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c \
                    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND c.relkind = 'r'";
                Ok(u64::try_from(number(database, size).await?)?)
            }
        }
    }

    /// How often the database has synced to disk so far, where it counts that itself.
    pub(crate) async fn syncs(&self) -> anyhow::Result<Option<u64>> {
        match self {
            Self::Postgres { seen: Some((database, _)), .. } => {
                Ok(Some(u64::try_from(number(database, "SELECT wal_sync FROM pg_stat_wal").await?)?))
            }
            _ => Ok(None),
        }
    }
}

async fn number(database: &Database, sql: &str) -> anyhow::Result<i64> {
    let rows = database.read().all(sql, vec![]).await?;
    Ok(rows.first().context("a row")?.at(0)?)
}
