//! The rows of the feed: written with what they tell of, read in commit order, pruned in bounded steps.

use sluice_domain::{AccountId, Timestamp, WebhookId};
use sluice_storage::{Query, Row, StorageError, Transaction};

use super::webhooks::id_of;
use crate::error::Error;

/// The most rows one write prunes: more than it adds, so that a lowered limit is reached in time.
const PRUNE_STEP: i64 = 64;

/// How far the feed reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The newest revision.
    pub head: i64,
    /// The newest revision that is no longer kept; 0 while all are.
    pub pruned: i64,
}

impl Place {
    /// Whether a watcher that has applied everything up to `cursor` can go on from there.
    pub fn can_resume(self, cursor: i64) -> bool {
        (self.pruned..=self.head).contains(&cursor)
    }
}

/// What a row tells of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Account(AccountId),
    Webhook(AccountId, WebhookId),
}

/// Adds one change and returns its revision; to be called in a transaction that holds the feed's lock.
pub(super) async fn record(
    transaction: &Transaction,
    key: &Key,
    now: Timestamp,
    keep: i64,
) -> Result<i64, Error> {
    let row = transaction
        .one("UPDATE feed SET head = head + 1 WHERE one = 1 RETURNING head, pruned", Vec::new())
        .await?
        .ok_or_else(|| StorageError::decode("the feed has no row"))?;
    let (head, pruned): (i64, i64) = (row.at(0)?, row.at(1)?);
    let (kind, account, webhook) = match key {
        Key::Account(account) => ("ACCOUNT", account, None),
        Key::Webhook(account, webhook) => ("WEBHOOK", account, Some(webhook.to_bytes().to_vec())),
    };
    transaction
        .execute(
            "INSERT INTO changes (revision, kind, account, webhook, at) VALUES ($1, $2, $3, $4, $5)",
            vec![head.into(), kind.into(), account.as_str().into(), webhook.into(), now.as_micros().into()],
        )
        .await?;

    let prunable = (head - keep).min(pruned + PRUNE_STEP);
    if prunable > pruned {
        transaction.execute("DELETE FROM changes WHERE revision <= $1", vec![prunable.into()]).await?;
        transaction.execute("UPDATE feed SET pruned = $1 WHERE one = 1", vec![prunable.into()]).await?;
    }
    Ok(head)
}

/// Where the feed begins and ends now.
pub(super) async fn place(query: &impl Query) -> Result<Place, Error> {
    let row = query
        .one("SELECT head, pruned FROM feed WHERE one = 1", Vec::new())
        .await?
        .ok_or_else(|| StorageError::decode("the feed has no row"))?;
    Ok(Place { head: row.at(0)?, pruned: row.at(1)? })
}

/// At most `limit` changes after `cursor`, oldest first.
pub(super) async fn after(query: &impl Query, cursor: i64, limit: i64) -> Result<Vec<(i64, Key)>, Error> {
    let rows = query
        .all(
            "SELECT revision, kind, account, webhook FROM changes WHERE revision > $1 ORDER BY revision LIMIT $2",
            vec![cursor.into(), limit.into()],
        )
        .await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

fn read(row: &Row) -> Result<(i64, Key), StorageError> {
    let kind: String = row.at(1)?;
    let account: String = row.at(2)?;
    let account: AccountId = account.parse().map_err(StorageError::decode)?;
    let webhook: Option<Vec<u8>> = row.at(3)?;
    let key = match (kind.as_str(), webhook) {
        ("ACCOUNT", None) => Key::Account(account),
        ("WEBHOOK", Some(webhook)) => Key::Webhook(account, id_of(&webhook)?),
        _ => return Err(StorageError::decode("a change of no known kind")),
    };
    Ok((row.at(0)?, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_from_the_oldest_kept_change_to_the_newest() {
        let place = Place { head: 9, pruned: 4 };
        let good: Vec<_> = (-1..=11).filter(|cursor| place.can_resume(*cursor)).collect();
        assert_eq!(good, [4, 5, 6, 7, 8, 9]);
    }
}
