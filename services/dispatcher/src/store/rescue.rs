//! Rescue: a claim whose lease is over belonged to an owner that died or stalled; its attempt becomes `INTERRUPTED`, its work waits
//! again.

use sluice_domain::{AccountId, Span};
use sluice_storage::{Query, Row, StorageError};

use super::finish::{Outgoing, stops};
use super::pending::{Hold, Pending};
use super::{Result, Store, accounts, gates, pending, sql, whole};
use crate::attempt::{Attempt, Verdict};
use crate::execution::{Next, settle};

/// How many claims one transaction rescues.
const AT_ONCE: i64 = 500;
/// After this many interruptions in a row the next attempt waits by the retry schedule.
const PATIENCE: u32 = 5;

impl Store {
    /// Takes work back from owners whose lease is over; says how much it was, at most 500.
    ///
    /// # Errors
    /// When the database does not answer; nothing was taken back then.
    pub async fn rescue(&self) -> Result<usize> {
        let expired = self.expired().await?;
        match whole!(self.rescue_these(&expired)) {
            Err(error) if !error.is_transient() && expired.len() > 1 => {
                // One that can't be rescued must not keep all the others from it.
                let mut rescued = 0;
                for one in &expired {
                    match whole!(self.rescue_these(std::slice::from_ref(one))) {
                        Ok(count) => rescued += count,
                        Err(error) => {
                            tracing::error!(seq = one.0, error = %error, cause = ?error, "a claim can't be rescued")
                        }
                    }
                }
                if rescued > 0 { Ok(rescued) } else { Err(error) }
            }
            outcome => outcome,
        }
    }

    /// Claims whose lease is over, with their accounts.
    async fn expired(&self) -> Result<Vec<(i64, AccountId)>> {
        let reader = self.database.read();
        let now = reader.now().await?;
        let rows = reader.all(sql::EXPIRED, vec![now.as_micros().into(), AT_ONCE.into()]).await?;
        let read = |row: &Row| Ok((row.at(0)?, row.at::<String>(1)?.parse().map_err(StorageError::decode)?));
        rows.iter().map(read).collect()
    }

    async fn rescue_these(&self, expired: &[(i64, AccountId)]) -> Result<usize> {
        if expired.is_empty() {
            return Ok(0);
        }
        let seqs: Vec<i64> = expired.iter().map(|(seq, _)| *seq).collect();
        let tx = self.database.write().await?;
        let mut quotas = accounts::lock(&tx, expired.iter().map(|(_, account)| account)).await?;
        let closed = gates::closed(&tx, quotas.keys()).await?;
        let found = pending::locked(&tx, &seqs).await?;
        let now = tx.now().await?;
        let mut out = Outgoing::default();
        let mut rescued = 0;
        for (mut row, lane) in found {
            let Some(hold) = row.hold.filter(|hold| hold.lease_until <= now) else { continue };
            rescued += 1;
            let account: AccountId = row.account.parse().map_err(StorageError::decode)?;
            out.record(row.seq, interrupted(&row, hold));
            let after = self.patience(&row);
            match settle(Next::HandBack(after), row.cancel, stops(&closed, &account, &lane)) {
                Next::End(end) => out.end(row.ending(end, now)),
                _ => {
                    row.attempt += 1;
                    row.interruptions += 1;
                    row.release(now, after);
                    let quota = quotas.get_mut(&account);
                    out.wait(row, quota.ok_or_else(|| StorageError::decode("an account vanished"))?, now);
                }
            }
        }
        out.write(&tx, now).await?;
        accounts::save(&tx, quotas.values()).await?;
        tx.commit().await?;
        Ok(rescued)
    }

    /// How long a rescued row waits: not at all, until it was cut off too often in a row.
    fn patience(&self, row: &Pending) -> Span {
        if row.interruptions + 1 < PATIENCE {
            Span::ZERO
        } else {
            self.schedule.backoff(row.interruptions + 1 - PATIENCE, self.entropy.fraction())
        }
    }
}

/// The attempt of a claim that nobody reported. When it ended is when it was noticed.
fn interrupted(row: &Pending, hold: Hold) -> Attempt {
    Attempt {
        step: row.step,
        number: row.attempt,
        verdict: Verdict::Interrupted,
        started_at: hold.claimed_at,
        ended_at: None,
        duration: Span::ZERO,
        url_path: String::new(),
        request_headers: Vec::new(),
        answer: None,
        error: "the dispatcher that had it under way did not report back".into(),
    }
}
