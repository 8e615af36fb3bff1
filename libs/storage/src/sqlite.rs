//! A SQLite file: one connection that writes, some that read, every commit synced.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use sea_orm::DatabaseConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Sqlite, Transaction};

use crate::database::{ConnectError, Database, Options};
use crate::error::StorageError;

/// Pages in the write-ahead log before it is copied into the file: larger ones gain little and double the p99.
const CHECKPOINT_PAGES: &str = "1000";

/// Prepared statements kept by each connection.
const STATEMENTS: usize = 256;

/// How often the first connection is tried again while another process turns the file to WAL.
const ATTEMPTS: u32 = 50;

/// The pools that write and read.
pub(crate) async fn connect(
    path: &Path,
    options: &Options,
) -> Result<(DatabaseConnection, DatabaseConnection), ConnectError> {
    create(path).map_err(|cause| ConnectError::File { path: path.to_owned(), cause })?;
    // Pragmas belong to a connection: given here they hold for every one the pool will ever open.
    let shared = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(options.lock_timeout)
        .foreign_keys(true)
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    let writing = shared
        .clone()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(if options.unsynced { SqliteSynchronous::Normal } else { SqliteSynchronous::Full })
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES);
    let reading = shared.read_only(true);
    let pool = || {
        SqlitePoolOptions::new()
            .acquire_timeout(options.acquire_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    };
    let mut attempt = 1;
    let writer = loop {
        let writer = pool()
            .min_connections(1)
            .max_connections(1)
            .after_release(|connection, _| Box::pin(ended(connection)));
        match writer.connect_with(writing.clone()).await.map_err(StorageError::from) {
            Ok(pool) => break pool,
            // SQLite does not wait for the lock that the change to WAL takes, whatever its busy timeout.
            Err(StorageError::Retry(_)) if attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(options.lock_timeout / ATTEMPTS).await;
            }
            Err(error) => return Err(error.into()),
        }
    };
    let readers = pool()
        .max_connections(options.readers.max(1))
        .connect_with(reading)
        .await
        .map_err(StorageError::from)?;
    Ok((writer.into(), readers.into()))
}

/// Whether a connection that comes back can be used again. SQLite ends a transaction by itself when its disk is full or fails; the
/// driver's ROLLBACK finds none then and the driver goes on counting one, and what it takes for the next transaction is a savepoint,
/// whose release may commit nothing. Such a connection is closed, and the pool opens another.
async fn ended(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if !connection.is_in_transaction() {
        return Ok(true);
    }
    // A rollback may be on its way to the connection's thread; this comes behind it.
    connection.ping().await?;
    let open = connection.is_in_transaction();
    if open {
        tracing::warn!("a transaction could not be rolled back; its connection is closed");
    }
    Ok(!open)
}

/// Makes the folder and the file for the owner alone; SQLite gives its side files the same mode.
fn create(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    Ok(())
}

/// Begins a transaction that holds the file's write lock from its first moment; refused, never a savepoint, on a connection that
/// has one.
pub(crate) async fn begin(pool: &SqlitePool) -> Result<Transaction<'static, Sqlite>, StorageError> {
    Ok(pool.begin_with("BEGIN IMMEDIATE").await?)
}

/// Refuses a connection that acknowledges before it has synced.
pub(crate) async fn require_durable(database: &Database) -> Result<(), ConnectError> {
    let level: i64 = database.scalar("PRAGMA synchronous").await?;
    check_synchronous(level)?;
    let found: String = database.scalar("PRAGMA journal_mode").await?;
    if found != "wal" {
        return Err(ConnectError::NotDurable { setting: "journal_mode", found, required: "wal" });
    }
    Ok(())
}

fn check_synchronous(level: i64) -> Result<(), ConnectError> {
    if level == 2 {
        return Ok(());
    }
    Err(ConnectError::NotDurable { setting: "synchronous", found: level_name(level), required: "FULL" })
}

fn level_name(level: i64) -> String {
    match level {
        0 => "OFF".to_owned(),
        1 => "NORMAL".to_owned(),
        2 => "FULL".to_owned(),
        3 => "EXTRA".to_owned(),
        other => other.to_string(),
    }
}

/// The settings of the connection that writes.
pub(crate) async fn durability(database: &Database) -> Result<String, StorageError> {
    let journal: String = database.scalar("PRAGMA journal_mode").await?;
    let level: i64 = database.scalar("PRAGMA synchronous").await?;
    Ok(format!("sqlite: journal_mode={journal} synchronous={}", level_name(level)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_synchronous_passes() {
        assert!(check_synchronous(2).is_ok());
        for level in [0, 1, 3, 7] {
            assert!(check_synchronous(level).is_err(), "{level}");
        }
        let text = check_synchronous(1).unwrap_err().to_string();
        assert!(text.starts_with("synchronous is NORMAL, it must be FULL"), "{text}");
    }
}
