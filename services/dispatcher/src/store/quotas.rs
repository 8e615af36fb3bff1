//! What billing and operators do to an account's quota: look at it, grant units, pause everything and resume it.

use sluice_domain::{AccountId, Timestamp};
use sluice_storage::{Query as _, StorageError};

use super::{Result, Store, accounts, gates, whole};
use crate::change::Changes;
use crate::grant::{Grant, GrantError};
use crate::note::Note;
use crate::pause::Pauses;
use crate::quota::AccountQuota;

/// How many grants one transaction forgets.
const FORGOTTEN_AT_ONCE: i64 = 500;

/// What an account may start as of one moment, and what holds it back.
#[derive(Debug, Clone)]
pub struct QuotaSnapshot {
    /// When that was.
    pub now: Timestamp,
    /// Its row.
    pub quota: AccountQuota,
    /// The gates that are closed.
    pub pauses: Pauses,
    /// Why an operator paused it.
    pub note: Option<String>,
}

/// How a request to grant was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granted {
    /// It counts, now or before.
    Done,
    /// Another grant was made under its id; nothing was granted.
    RequestIdReused,
    /// Nothing was granted, for this.
    Refused(GrantError),
}

impl Store {
    /// What an account may start; nothing if the account is not on record.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn quota(&self, account: &AccountId) -> Result<Option<QuotaSnapshot>> {
        let reader = self.database.read();
        let Some(quota) = accounts::get(&reader, account).await? else { return Ok(None) };
        let gates = gates::closed(&reader, [account]).await?.remove(account).unwrap_or_default();
        let select = "SELECT paused_note FROM account WHERE account = $1";
        let row = reader.one(select, vec![account.as_str().into()]).await?;
        let note = row.map(|row| row.at::<Option<String>>(0)).transpose()?.flatten();
        let now = reader.now().await?;
        let pauses = Pauses::of(&quota, &gates, now);
        Ok(Some(QuotaSnapshot { now, quota, pauses, note }))
    }

    /// Grants units to the period that runs, once for each request.
    ///
    /// # Errors
    /// When the database does not answer: then nothing was granted, or it is in doubt and a repeat finds out.
    pub async fn grant(&self, account: &AccountId, grant: &Grant) -> Result<Granted> {
        whole!(self.grant_once(account, grant))
    }

    async fn grant_once(&self, account: &AccountId, grant: &Grant) -> Result<Granted> {
        let refused = |error| Ok(Granted::Refused(error));
        let tx = self.database.write("grant").await?;
        let Some(mut quota) = accounts::lock_known(&tx, account).await? else {
            return refused(GrantError::Unknown);
        };
        let request = || vec![account.as_str().into(), grant.request.as_str().into()];
        let select = "SELECT units FROM allowance_grant WHERE account = $1 AND request = $2";
        if let Some(row) = tx.one(select, request()).await? {
            let same = row.at::<i64>(0)? == grant.units.get();
            return Ok(if same { Granted::Done } else { Granted::RequestIdReused });
        }
        let now = tx.now().await?;
        if let Err(error) = quota.grant(grant.units.get(), now) {
            return refused(error);
        }
        let period_end = quota.limits.as_ref().map_or(now, |limits| limits.allowance.end);
        let kept_until = period_end.plus(Grant::REMEMBERED).as_micros();
        let insert =
            "INSERT INTO allowance_grant (account, request, units, kept_until) VALUES ($1, $2, $3, $4)";
        let columns = [request(), vec![grant.units.get().into(), kept_until.into()]].concat();
        tx.execute(insert, columns).await?;
        accounts::save(&tx, [&quota]).await?;
        let mut changes = Changes::default();
        changes.gates(account);
        self.commit(tx, &changes, now).await?;
        Ok(Granted::Done)
    }

    /// Forgets grants whose time is over. Says how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prune_grants(&self) -> Result<usize> {
        let reader = self.database.read();
        let now = reader.now().await?.as_micros();
        let select = "SELECT request FROM allowance_grant WHERE kept_until <= $1 LIMIT 1";
        if reader.one(select, vec![now.into()]).await?.is_none() {
            return Ok(0);
        }
        let tx = self.database.write("prune_grants").await?;
        let delete = "DELETE FROM allowance_grant WHERE (account, request) IN (\
             SELECT account, request FROM allowance_grant WHERE kept_until <= $1 ORDER BY kept_until LIMIT $2)";
        let forgotten = tx.execute(delete, vec![now.into(), FORGOTTEN_AT_ONCE.into()]).await?;
        tx.commit().await?;
        Ok(usize::try_from(forgotten).unwrap_or(usize::MAX))
    }

    /// Pauses everything of an account, or replaces the note of a pause that lasts already. Says whether the account is on record.
    /// Once it returns, nothing of the account is claimed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pause(&self, account: &AccountId, note: &Note) -> Result<bool> {
        whole!(self.put_pause(account, Some(note)))
    }

    /// Ends a pause; without one it changes nothing. Says whether the account is on record.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn resume(&self, account: &AccountId) -> Result<bool> {
        whole!(self.put_pause(account, None))
    }

    async fn put_pause(&self, account: &AccountId, note: Option<&Note>) -> Result<bool> {
        let tx = self.database.write("pause").await?;
        let Some(quota) = accounts::lock_known(&tx, account).await? else { return Ok(false) };
        let now = tx.now().await?;
        let mut changes = Changes::default();
        let account_column = account.as_str().into();
        match note {
            Some(note) => {
                let update = "UPDATE account SET paused_at = COALESCE(paused_at, $2), paused_note = $3 WHERE account = $1";
                tx.execute(update, vec![account_column, now.as_micros().into(), note.as_str().into()])
                    .await?;
            }
            None => {
                let update = "UPDATE account SET paused_at = NULL, paused_note = NULL, wake_at = $2 \
                     WHERE account = $1 AND paused_at IS NOT NULL";
                tx.execute(update, vec![account_column, now.as_micros().into()]).await?;
            }
        }
        if quota.paused_at.is_some() != note.is_some() {
            changes.gates(account);
        }
        self.commit(tx, &changes, now).await?;
        Ok(true)
    }
}
