//! The outbox of stops: written with the change that needs them, gone once the dispatcher has them.

use sluice_storage::{Query, StorageError, Transaction};

use super::{Store, id, key};
use crate::automation::Stop;

/// Adds a stop; one that waits already grows to the higher generation.
pub(super) async fn put(transaction: &Transaction, stop: &Stop) -> Result<(), StorageError> {
    transaction
        .execute(
            "INSERT INTO stops (account, automation, generation) VALUES ($1, $2, $3)
             ON CONFLICT (account, automation) DO UPDATE SET generation =
                 CASE WHEN excluded.generation > stops.generation THEN excluded.generation ELSE stops.generation END",
            vec![stop.account.as_str().into(), key(stop.automation), stop.generation.into()],
        )
        .await?;
    Ok(())
}

impl Store {
    /// At most `limit` stops that wait, those after `after` by key, so that one that is refused holds up no other.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn stops(&self, after: Option<&Stop>, limit: i64) -> Result<Vec<Stop>, StorageError> {
        let reader = self.database.read();
        let rows = match after {
            None => {
                let sql =
                    "SELECT account, automation, generation FROM stops ORDER BY account, automation LIMIT $1";
                reader.all(sql, vec![limit.into()]).await?
            }
            Some(stop) => {
                let sql = "SELECT account, automation, generation FROM stops
                           WHERE (account, automation) > ($1, $2) ORDER BY account, automation LIMIT $3";
                reader
                    .all(sql, vec![stop.account.as_str().into(), key(stop.automation), limit.into()])
                    .await?
            }
        };
        rows.iter()
            .map(|row| {
                Ok(Stop {
                    account: row.at::<String>(0)?.parse().map_err(StorageError::decode)?,
                    automation: id(row.at(1)?)?,
                    generation: row.at(2)?,
                })
            })
            .collect()
    }

    /// The dispatcher has the stop on disk: it waits no more, unless it grew meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn stop_arrived(&self, stop: &Stop) -> Result<(), StorageError> {
        let transaction = self.database.write("stop_arrived").await?;
        let sql = "DELETE FROM stops WHERE account = $1 AND automation = $2 AND generation <= $3";
        let values = vec![stop.account.as_str().into(), key(stop.automation), stop.generation.into()];
        transaction.execute(sql, values).await?;
        transaction.commit().await
    }
}
