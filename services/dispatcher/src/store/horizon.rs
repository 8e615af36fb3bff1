//! How far the feed can be told: behind the horizon nothing is committed any more.
//!
//! On SQLite revisions are in the order of commits, and the newest that is seen is the horizon. On PostgreSQL one that was taken
//! earlier may be committed later. So a mark is set: the newest revision given out, then a transaction id of our own. Whoever took
//! one of these revisions had its transaction id before that one; once all older transactions are over, nothing is missing up to
//! the mark. (`pg_snapshot_xmax` is no such id: it is one past the newest transaction that is over, and those under way may be
//! beyond it.)

use std::collections::VecDeque;

use sluice_storage::{Backend, Query, StorageError};

use super::{Result, Store, changes};

/// The newest revision; a transaction id of our own if it is beyond what is marked; the oldest transaction that is not over: `marked`.
/// The revision is read before the id is taken, since the row is read before its columns are made.
pub(super) const LOOK: &str = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END, \
     CASE WHEN CASE WHEN is_called THEN last_value ELSE 0 END > $1 \
     THEN CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT) END, \
     CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT) FROM revision";

/// What looks have found so far.
#[derive(Debug, Default)]
pub struct Horizon {
    /// The horizon, once one is known.
    reached: Option<i64>,
    /// Revisions that are beyond it, each with the id that all transactions before it have to be over.
    marks: VecDeque<(i64, i64)>,
}

impl Horizon {
    /// The revision up to which nothing is committed any more, once one is known.
    pub const fn reached(&self) -> Option<i64> {
        self.reached
    }

    /// Whether there is more beyond it.
    pub fn is_behind(&self) -> bool {
        self.reached.is_none() || !self.marks.is_empty()
    }

    /// What is marked or reached already.
    fn marked(&self) -> i64 {
        self.marks.back().map(|(revision, _)| *revision).or(self.reached).unwrap_or(-1)
    }

    /// A look: the newest revision, an id of our own if that is beyond what is marked, and the oldest transaction under way.
    fn see(&mut self, newest: i64, own: Option<i64>, oldest: i64) {
        // The id was taken after that snapshot, so it is not judged by it.
        while let Some((revision, _)) = self.marks.front().filter(|(_, id)| *id <= oldest) {
            self.reached = Some(*revision);
            self.marks.pop_front();
        }
        if let Some(own) = own {
            self.marks.push_back((newest, own));
        }
    }
}

impl Store {
    /// Looks how far the feed can be told now: one statement.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn look(&self, horizon: &mut Horizon) -> Result<()> {
        let reader = self.database.read();
        let missing = || StorageError::decode("the feed has no end");
        match reader.backend() {
            Backend::Sqlite => {
                let row = reader.one(changes::newest(Backend::Sqlite), vec![]).await?.ok_or_else(missing)?;
                horizon.reached = Some(row.at::<Option<i64>>(0)?.unwrap_or(0));
            }
            Backend::Postgres => {
                let row = reader.one(LOOK, vec![horizon.marked().into()]).await?.ok_or_else(missing)?;
                horizon.see(row.at(0)?, row.at(1)?, row.at(2)?);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_reached_once_every_transaction_before_its_id_is_over() {
        let mut horizon = Horizon::default();
        horizon.see(5, Some(20), 12);
        assert_eq!((horizon.reached(), horizon.is_behind(), horizon.marked()), (None, true, 5));
        horizon.see(5, None, 19);
        assert_eq!(horizon.reached(), None, "transaction 19 may hold a revision up to 5");
        horizon.see(9, Some(31), 20);
        assert_eq!((horizon.reached(), horizon.is_behind()), (Some(5), true));
        horizon.see(9, None, 40);
        assert_eq!((horizon.reached(), horizon.is_behind()), (Some(9), false));
    }
}
