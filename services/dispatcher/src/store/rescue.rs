//! Rescue: a claim whose lease is over belonged to an owner that died or stalled; its attempt becomes `INTERRUPTED`, its work waits
//! again.

use std::collections::HashMap;

use sluice_domain::{AccountId, ExecutionId, Span};
use sluice_storage::rows::chunks;
use sluice_storage::{Query, Row, StorageError, Transaction};

use super::finish::{Outgoing, stops};
use super::pending::{Hold, Pending};
use super::{Result, Store, accounts, gates, pending, sql, whole};
use crate::attempt::{Attempt, Verdict};
use crate::change::{Change, Then, What};
use crate::claim::CutOff;
use crate::execution::{Next, settle};

/// How many claims one transaction rescues.
const AT_ONCE: i64 = 500;
/// After this many interruptions in a row the next attempt waits by the retry schedule.
const PATIENCE: u32 = 5;

impl Store {
    /// Takes work back from owners whose lease is over; the attempts that were cut off, at most 500.
    ///
    /// # Errors
    /// When the database does not answer; nothing was taken back then.
    pub async fn rescue(&self) -> Result<Vec<CutOff>> {
        let expired = self.expired().await?;
        match whole!(self.rescue_these(&expired)) {
            Err(error) if !error.is_transient() && expired.len() > 1 => {
                // One that can't be rescued must not keep all the others from it.
                let mut rescued = Vec::new();
                for one in &expired {
                    match whole!(self.rescue_these(std::slice::from_ref(one))) {
                        Ok(cut_off) => rescued.extend(cut_off),
                        Err(error) => {
                            tracing::error!(seq = one.0, error = %error, cause = ?error, "a claim can't be rescued")
                        }
                    }
                }
                if rescued.is_empty() { Err(error) } else { Ok(rescued) }
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

    async fn rescue_these(&self, expired: &[(i64, AccountId)]) -> Result<Vec<CutOff>> {
        if expired.is_empty() {
            return Ok(Vec::new());
        }
        let seqs: Vec<i64> = expired.iter().map(|(seq, _)| *seq).collect();
        let tx = self.database.write().await?;
        let mut quotas = accounts::lock(&tx, expired.iter().map(|(_, account)| account)).await?;
        let closed = gates::closed(&tx, quotas.keys()).await?;
        let found = pending::locked(&tx, &seqs).await?;
        let now = tx.now().await?;
        let mut out = Outgoing::default();
        let traces = traces(&tx, &seqs).await?;
        let mut rescued = Vec::new();
        for (mut row, lane) in found {
            let Some(hold) = row.hold.filter(|hold| hold.lease_until <= now) else { continue };
            let account: AccountId = row.account.parse().map_err(StorageError::decode)?;
            if let Some((execution, traceparent)) = traces.get(&row.seq).cloned() {
                let (account, step, attempt) = (account.clone(), row.step, row.attempt);
                let claimed_at = hold.claimed_at;
                rescued.push(CutOff { account, execution, traceparent, step, attempt, claimed_at });
            }
            out.record(row.seq, interrupted(&row, hold));
            let (seq, step, attempt) = (row.seq, row.step, row.attempt);
            let change = |then| Change { seq, what: What::Tried, step, attempt, then };
            match settle(Next::HandBack(Span::ZERO), row.cancel, stops(&closed, &account, &lane)) {
                Next::End(end) => {
                    out.changes.add(&account, change(Then::Ended(row.ends + 1)));
                    out.end(row.ending(end, now));
                }
                _ => {
                    let after = self.interrupt(&mut row);
                    row.release(now, after);
                    out.changes.add(&account, change(Then::Waits(row.due_at.unwrap_or(now))));
                    let quota = quotas.get_mut(&account);
                    out.wait(row, quota.ok_or_else(|| StorageError::decode("an account vanished"))?, now);
                }
            }
        }
        let changes = out.write(&tx, now).await?;
        accounts::save(&tx, quotas.values()).await?;
        self.commit(tx, &changes, now).await?;
        Ok(rescued)
    }

    /// Goes on from an attempt that was cut off to the next one: says how long the row waits for it. Not at all, until it was cut off
    /// too often in a row.
    pub(super) fn interrupt(&self, row: &mut Pending) -> Span {
        row.attempt += 1;
        row.interruptions += 1;
        if row.interruptions < PATIENCE {
            Span::ZERO
        } else {
            self.schedule.backoff(row.interruptions - PATIENCE, self.entropy.fraction())
        }
    }
}

/// The ids and trace contexts of executions by their keys.
async fn traces(tx: &Transaction, seqs: &[i64]) -> Result<HashMap<i64, (ExecutionId, String)>> {
    let mut traces = HashMap::with_capacity(seqs.len());
    for piece in chunks(seqs, tx.backend(), 1) {
        let select = format!(
            "SELECT seq, id, traceparent FROM execution WHERE seq IN ({})",
            sql::list(piece.len(), 1)
        );
        for row in tx.all(&select, sql::keys(piece)).await? {
            let id: Vec<u8> = row.get("id")?;
            let id = id.try_into().map_err(|_| StorageError::decode("an execution's id has not 16 bytes"))?;
            traces.insert(row.get("seq")?, (ExecutionId::from_bytes(id), row.get("traceparent")?));
        }
    }
    Ok(traces)
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
