//! Rescue: a claim whose lease is over belonged to an owner that died or stalled; its attempt becomes `INTERRUPTED`, its work waits
//! again.

use sluice_domain::{AccountId, Span};
use sluice_storage::{Query, StorageError};

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
        whole!(self.rescue_once())
    }

    async fn rescue_once(&self) -> Result<usize> {
        let reader = self.database.read();
        let since = reader.now().await?;
        let rows = reader.all(sql::EXPIRED, vec![since.as_micros().into(), AT_ONCE.into()]).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let mut seqs: Vec<i64> = Vec::with_capacity(rows.len());
        let mut names: Vec<AccountId> = Vec::new();
        for row in &rows {
            seqs.push(row.at(0)?);
            names.push(row.at::<String>(1)?.parse().map_err(StorageError::decode)?);
        }

        let tx = self.database.write().await?;
        let mut quotas = accounts::lock(&tx, &names).await?;
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
