//! The schema's steps: each applied once, in order, by whichever process comes first.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::database::{Backend, Database};
use crate::error::StorageError;
use crate::postgres;
use crate::transaction::{Query, Transaction};

/// One step of a schema, never edited once it is released: what changes is a further step.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its name, unique among all that share a database, such as `dispatcher_0001_executions`.
    pub name: &'static str,
    /// The script for SQLite, of any number of statements.
    pub sqlite: &'static str,
    /// The script for PostgreSQL, of any number of statements that may stand in a transaction.
    pub postgres: &'static str,
}

/// Why the schema could not be brought up to date; nothing of the call was applied then.
#[derive(Debug, Error)]
pub enum MigrationError {
    /// Two steps of the list have one name.
    #[error("migration {name} is listed twice")]
    Duplicate {
        /// The name.
        name: &'static str,
    },
    /// The script is not the one that was applied.
    #[error("migration {name} was changed after it had been applied; add a further one instead")]
    Changed {
        /// The step.
        name: &'static str,
    },
    /// The database refused the script.
    #[error("migration {name} failed")]
    Failed {
        /// The step.
        name: &'static str,
        /// What the database said.
        source: StorageError,
    },
    /// The database failed outside of any script.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Applies, in order and in one transaction, those of `migrations` that the database has not seen; returns how many.
///
/// Any number of processes may do so at once: one works, the others wait and find it done. On PostgreSQL it also creates
/// the function `sluice_now()`, so it has to run before anything asks for the time.
///
/// # Errors
/// See [`MigrationError`].
pub async fn migrate(database: &Database, migrations: &[Migration]) -> Result<usize, MigrationError> {
    let mut names = HashMap::new();
    if let Some(twice) = migrations.iter().find(|migration| names.insert(migration.name, ()).is_some()) {
        return Err(MigrationError::Duplicate { name: twice.name });
    }
    let transaction = database.write("migration").await?;
    if database.backend() == Backend::Postgres {
        postgres::lock_migrations(&transaction).await?;
        postgres::create_clock(&transaction, database.settable_clock()).await?;
    }
    transaction
        .script(
            "CREATE TABLE IF NOT EXISTS sluice_migrations (
                 name TEXT NOT NULL PRIMARY KEY,
                 checksum TEXT NOT NULL,
                 applied_at BIGINT NOT NULL
             )",
        )
        .await?;
    let applied = applied(&transaction).await?;
    let mut count = 0;
    for migration in migrations {
        let script = match database.backend() {
            Backend::Sqlite => migration.sqlite,
            Backend::Postgres => migration.postgres,
        };
        let checksum = checksum(script);
        match applied.get(migration.name) {
            Some(known) if *known == checksum => {}
            Some(_) => return Err(MigrationError::Changed { name: migration.name }),
            None => {
                apply(&transaction, migration.name, script, checksum).await?;
                count += 1;
            }
        }
    }
    transaction.commit().await?;
    Ok(count)
}

async fn applied(transaction: &Transaction) -> Result<HashMap<String, String>, StorageError> {
    let rows = transaction.all("SELECT name, checksum FROM sluice_migrations", Vec::new()).await?;
    rows.iter().map(|row| Ok((row.at(0)?, row.at(1)?))).collect()
}

async fn apply(
    transaction: &Transaction,
    name: &'static str,
    script: &str,
    checksum: String,
) -> Result<(), MigrationError> {
    transaction.script(script).await.map_err(|source| MigrationError::Failed { name, source })?;
    let now = transaction.now().await?;
    transaction
        .execute(
            "INSERT INTO sluice_migrations (name, checksum, applied_at) VALUES ($1, $2, $3)",
            vec![name.into(), checksum.into(), now.as_micros().into()],
        )
        .await?;
    tracing::info!(migration.name = name, "migration applied");
    Ok(())
}

/// SHA-256 in hex; line ends count the same on every machine.
fn checksum(script: &str) -> String {
    let digest = Sha256::digest(script.replace("\r\n", "\n").as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_sees_every_change_but_line_ends() {
        assert_eq!(checksum("a\r\nb"), checksum("a\nb"));
        assert_ne!(checksum("a\nb"), checksum("a\nc"));
        assert_eq!(checksum(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
