//! What watchers are told: changes with the rows they speak of, and which gates are closed now.

use std::collections::HashMap;

use sluice_domain::{AccountId, Timestamp};
use sluice_storage::Query as _;

use super::{Result, Store, accounts, endings, executions, gates};
use crate::attempt::Attempt;
use crate::change::{Change, Then, Told, What};
use crate::execution::{End, Execution};
use crate::pause::Pauses;
use crate::quota::AccountQuota;

impl Store {
    /// The closed gates of an account, and as of when.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pauses(&self, account: &AccountId) -> Result<(Timestamp, Pauses)> {
        let reader = self.database.read();
        let quota = accounts::get(&reader, account).await?;
        let quota = quota.unwrap_or_else(|| AccountQuota::unknown(account.clone()));
        let gates = gates::closed(&reader, [account]).await?.remove(account).unwrap_or_default();
        let now = reader.now().await?;
        Ok((now, Pauses::of(&quota, &gates, now)))
    }

    /// Changes of an account with what they speak of, in their order; nothing in the place of one whose execution was pruned.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn tell(
        &self,
        account: &AccountId,
        changes: &[(Timestamp, Change)],
    ) -> Result<Vec<Option<Told>>> {
        let reader = self.database.read();
        let mut seqs: Vec<i64> = changes.iter().map(|(_, change)| change.seq).collect();
        seqs.sort_unstable();
        seqs.dedup();
        let executions: HashMap<i64, Execution> =
            executions::at(&reader, account, &seqs).await?.into_iter().collect();
        let with = |wanted: fn(&Change) -> bool| -> Vec<i64> {
            let speaks = |seq: &&i64| changes.iter().any(|(_, change)| change.seq == **seq && wanted(change));
            seqs.iter().filter(speaks).copied().collect()
        };
        let tried = with(|change| change.what == What::Tried);
        let mut attempts: HashMap<(i64, usize, i64), Attempt> = HashMap::new();
        for (seq, attempt) in endings::brief_attempts(&reader, &tried).await? {
            attempts.insert((seq, attempt.step, attempt.number), attempt);
        }
        let ended = with(|change| matches!(change.then, Then::Ended(_)));
        let mut ends: HashMap<(i64, i64), (End, Timestamp)> = HashMap::new();
        for ending in endings::all(&reader, &ended).await? {
            ends.insert((ending.seq, ending.number), (ending.end, ending.at));
        }
        let told = |(at, change): &(Timestamp, Change)| {
            let end = match change.then {
                Then::Ended(number) => Some(ends.get(&(change.seq, number)).cloned()?),
                _ => None,
            };
            let attempt = match change.what {
                What::Tried => Some(attempts.get(&(change.seq, change.step, change.attempt)).cloned()?),
                _ => None,
            };
            let execution = executions.get(&change.seq)?.clone();
            Some(Told { change: *change, at: *at, execution, attempt, end })
        };
        Ok(changes.iter().map(told).collect())
    }
}
