//! The `change` rows: what each transaction did to an account's executions, in an order that no execution's changes leave.

use sea_orm::Value;
use sluice_domain::{AccountId, Span, Timestamp};
use sluice_storage::{Backend, Column, Insertion, Query, StorageError, Transaction};

use super::{Result, Store, whole};
use crate::change::{Change, Changes};

const INSERTION: Insertion<3> =
    Insertion::new("change", [Column::text("account"), Column::int("at"), Column::text("changes")], "");

/// The most rows one transaction prunes.
const PRUNED_AT_ONCE: i64 = 1_000;

/// Further rows of a stretch of the feed: `after, until, limit`.
pub(super) const WHOSE: &str =
    "SELECT revision, account FROM change WHERE revision > $1 AND revision <= $2 ORDER BY revision LIMIT $3";

/// An account's rows of a stretch of the feed: `after, until, account, limit`.
pub(super) const OF_ACCOUNT: &str = "SELECT revision, at, changes FROM change WHERE revision > $1 AND revision <= $2 \
     AND account = $3 ORDER BY revision LIMIT $4";

/// The newest of the oldest rows that are older than a time: `at, limit`.
pub(super) const OLDER: &str = "SELECT max(revision) FROM (SELECT revision, at FROM change ORDER BY revision LIMIT $2) AS oldest \
     WHERE at < $1 AND revision < (SELECT max(revision) FROM change)";

/// One transaction's changes of one account.
#[derive(Debug, Clone)]
pub struct Revision {
    /// Its place in the feed.
    pub revision: i64,
    /// When, by the database's clock.
    pub at: Timestamp,
    /// What happened, in order.
    pub changes: Vec<Change>,
}

/// What is kept of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The newest revision that is no longer kept.
    pub pruned: i64,
    /// The newest revision that was given out.
    pub newest: i64,
}

impl Store {
    /// Ends a transaction that holds the locks of what it changed: the changes, and what is to be told of them, are on record with it,
    /// and whoever waits for them is woken.
    pub(super) async fn commit(&self, tx: Transaction, changes: &Changes, now: Timestamp) -> Result<()> {
        record(&tx, changes, now).await?;
        self.put_notices(&tx, changes.news(), now).await?;
        tx.commit().await?;
        if !changes.news().is_empty() {
            self.notices.notify_one();
        }
        if !changes.is_empty() {
            self.stirred.notify_one();
        }
        Ok(())
    }

    /// Returns once this process has committed something since the last time.
    pub async fn stirred(&self) {
        self.stirred.notified().await;
    }

    /// What is kept of the feed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn kept(&self) -> Result<Kept> {
        let reader = self.database.read();
        let newest = newest(reader.backend());
        let select = format!("SELECT pruned, COALESCE(({newest}), 0) FROM feed WHERE one = 1");
        let row = reader.one(&select, vec![]).await?;
        let row = row.ok_or_else(|| StorageError::decode("the feed has no row"))?;
        Ok(Kept { pruned: row.at(0)?, newest: row.at(1)? })
    }

    /// Who has changes behind `after` up to `until`, with the revisions, oldest first; at most `limit` of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn changed_accounts(
        &self,
        after: i64,
        until: i64,
        limit: i64,
    ) -> Result<Vec<(i64, AccountId)>> {
        let rows = self.database.read().all(WHOSE, vec![after.into(), until.into(), limit.into()]).await?;
        rows.iter()
            .map(|row| Ok((row.at(0)?, row.at::<String>(1)?.parse().map_err(StorageError::decode)?)))
            .collect()
    }

    /// An account's changes behind `after` up to `until`, oldest first; at most `limit` transactions of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn changes(
        &self,
        account: &AccountId,
        after: i64,
        until: i64,
        limit: i64,
    ) -> Result<Vec<Revision>> {
        let values = vec![after.into(), until.into(), account.as_str().into(), limit.into()];
        let rows = self.database.read().all(OF_ACCOUNT, values).await?;
        let read = |row: &sluice_storage::Row| -> Result<Revision> {
            Ok(Revision {
                revision: row.at(0)?,
                at: Timestamp::from_micros(row.at(1)?),
                changes: Change::decode(&row.at::<String>(2)?).map_err(StorageError::decode)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Prunes the oldest changes that are older than `keep`; the newest of all stays. Says whether there may be more.
    ///
    /// # Errors
    /// When the database does not answer; nothing is gone then.
    pub async fn prune_changes(&self, keep: Span) -> Result<bool> {
        whole!(self.prune_changes_once(keep))
    }

    async fn prune_changes_once(&self, keep: Span) -> Result<bool> {
        let reader = self.database.read();
        let until = reader.now().await?.minus(keep).as_micros();
        let row = reader.one(OLDER, vec![until.into(), PRUNED_AT_ONCE.into()]).await?;
        let Some(last) = row.map(|row| row.at::<Option<i64>>(0)).transpose()?.flatten() else {
            return Ok(false);
        };
        let tx = self.database.write("prune_changes").await?;
        tx.execute("UPDATE feed SET pruned = $1 WHERE pruned < $1", vec![last.into()]).await?;
        let removed = tx.execute("DELETE FROM change WHERE revision <= $1", vec![last.into()]).await?;
        tx.commit().await?;
        Ok(i64::try_from(removed).unwrap_or(i64::MAX) >= PRUNED_AT_ONCE)
    }
}

/// The newest revision that was given out, as a statement of its own.
pub(super) const fn newest(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => "SELECT max(revision) FROM change",
        Backend::Postgres => "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM revision",
    }
}

async fn record(tx: &Transaction, changes: &Changes, now: Timestamp) -> Result<()> {
    let columns = |(account, changes): (&AccountId, &[Change])| -> [Value; 3] {
        [account.as_str().into(), now.as_micros().into(), Change::encode(changes).into()]
    };
    INSERTION.run(tx, changes.iter().map(columns).collect()).await.map(drop)
}
