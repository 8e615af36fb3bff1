//! The `notice` rows: what whoever runs Sluice is told of, written in the transaction that it speaks of and kept for a while after it
//! became an event of the system account.

use sea_orm::Value;
use sluice_domain::{AccountId, NoticeId, Span, Timestamp};
use sluice_storage::{Column, Insertion, Query, Row, StorageError, Transaction};

use super::retention::deleting;
use super::{Result, Store, sql, whole};
use crate::notice::{News, Notice};

const INSERTION: Insertion<5> = Insertion::new(
    "notice",
    [
        Column::bytes("id"),
        Column::text("account"),
        Column::int("at"),
        Column::text("news"),
        Column::int("unsent"),
    ],
    "",
);

/// How many are read or removed at once.
const AT_ONCE: i64 = 200;

/// Those that are to become events, oldest first: `limit`.
const UNSENT: &str =
    "SELECT notice, id, account, at, news FROM notice WHERE unsent = 1 ORDER BY notice LIMIT $1";

/// The oldest: `limit`.
const OLDEST: &str = "SELECT notice, at, unsent FROM notice ORDER BY notice LIMIT $1";

/// A notice with its place.
#[derive(Debug, Clone)]
pub struct Unsent {
    /// Its key in the table.
    pub place: i64,
    /// The notice.
    pub notice: Notice,
}

impl Store {
    /// Puts news on record with the transaction that brought them about.
    pub(super) async fn put_notices(
        &self,
        tx: &Transaction,
        news: &[(AccountId, News)],
        now: Timestamp,
    ) -> Result<()> {
        let row = |(account, news): &(AccountId, News)| -> Result<[Value; 5]> {
            let id = NoticeId::mint(now, self.entropy.bytes());
            Ok([
                id.to_bytes().to_vec().into(),
                account.as_str().into(),
                now.as_micros().into(),
                news.encode().map_err(StorageError::decode)?.into(),
                1_i64.into(),
            ])
        };
        INSERTION.run(tx, news.iter().map(row).collect::<Result<_>>()?).await.map(drop)
    }

    /// Returns once this process has committed notices since the last time.
    pub async fn notices_come(&self) {
        self.notices.notified().await;
    }

    /// Notices that are no events yet, oldest first; some of them. One that can't be read, of a later version it may be, is left where it
    /// is and keeps none from the others.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unsent_notices(&self) -> Result<Vec<Unsent>> {
        let rows = self.database.read().all(UNSENT, vec![AT_ONCE.into()]).await?;
        let mut unsent = Vec::with_capacity(rows.len());
        for row in &rows {
            let place = row.at(0)?;
            match read(row) {
                Ok(notice) => unsent.push(Unsent { place, notice }),
                Err(error) => tracing::error!(notice = place, error = %error, "a notice can't be read"),
            }
        }
        Ok(unsent)
    }

    /// Notices became events, or nobody wants them.
    ///
    /// # Errors
    /// When the database does not answer; then they are made events of again, which changes nothing.
    pub async fn notices_sent(&self, places: &[i64]) -> Result<()> {
        whole!(self.notices_sent_once(places))
    }

    async fn notices_sent_once(&self, places: &[i64]) -> Result<()> {
        let tx = self.database.write("notices_sent").await?;
        let update = |backend, keys| {
            format!("UPDATE notice SET unsent = 0 WHERE notice {}", sql::among(backend, keys, 1))
        };
        sql::execute_of(&tx, &[], places, update).await?;
        tx.commit().await
    }

    /// Prunes the oldest notices if they are older than `keep` and became events. Says how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prune_notices(&self, keep: Span) -> Result<usize> {
        whole!(self.prune_notices_once(keep))
    }

    async fn prune_notices_once(&self, keep: Span) -> Result<usize> {
        let reader = self.database.read();
        let until = reader.now().await?.minus(keep).as_micros();
        let mut old: Vec<i64> = Vec::new();
        for row in &reader.all(OLDEST, vec![AT_ONCE.into()]).await? {
            if row.at::<i64>(1)? < until && row.at::<i64>(2)? == 0 {
                old.push(row.at(0)?);
            }
        }
        if old.is_empty() {
            return Ok(0);
        }
        let tx = self.database.write("prune_notices").await?;
        sql::execute_of(&tx, &[], &old, |backend, keys| deleting(backend, "notice", "notice", keys)).await?;
        tx.commit().await?;
        Ok(old.len())
    }
}

fn read(row: &Row) -> Result<Notice> {
    let id: Vec<u8> = row.get("id")?;
    Ok(Notice {
        id: NoticeId::from_bytes(id.try_into().map_err(|_| StorageError::decode("a notice's id"))?),
        account: row.get::<String>("account")?.parse().map_err(StorageError::decode)?,
        at: Timestamp::from_micros(row.get("at")?),
        news: News::decode(&row.get::<String>("news")?).map_err(StorageError::decode)?,
    })
}
