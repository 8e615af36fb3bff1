//! Rescue: a claim whose lease is over belonged to an owner that died or stalled; its attempt becomes `INTERRUPTED`, its work waits
//! again.

use std::borrow::Cow;
use std::collections::HashMap;

use sluice_domain::{AccountId, ExecutionId, Span};
use sluice_storage::{Query, Row, StorageError, Transaction};

use super::finish::{Outgoing, stop};
use super::{Result, Store, accounts, executions, gates, lines, pending, sql, whole};
use crate::attempt::{Attempt, Verdict};
use crate::change::{Change, Then, What};
use crate::claim::CutOff;
use crate::pending::Hold;
use crate::transition::{Moment, Transition};

/// How many claims one transaction rescues.
const AT_ONCE: i64 = 500;

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
        let (next, now) = sql::with_now(&reader, sql::NEXT_LEASE).await?;
        if next.is_none_or(|until| until > now.as_micros()) {
            return Ok(Vec::new());
        }
        let rows = reader.all(sql::EXPIRED, vec![now.as_micros().into(), AT_ONCE.into()]).await?;
        let read = |row: &Row| Ok((row.at(0)?, row.at::<String>(1)?.parse().map_err(StorageError::decode)?));
        rows.iter().map(read).collect()
    }

    async fn rescue_these(&self, expired: &[(i64, AccountId)]) -> Result<Vec<CutOff>> {
        if expired.is_empty() {
            return Ok(Vec::new());
        }
        let seqs: Vec<i64> = expired.iter().map(|(seq, _)| *seq).collect();
        let tx = self.database.write("rescue").await?;
        let mut quotas = accounts::lock(&tx, expired.iter().map(|(_, account)| account)).await?;
        let closed = gates::closed(&tx, quotas.keys()).await?;
        let found = pending::locked(&tx, &seqs).await?;
        let now = tx.now().await?;
        let mut out = Outgoing::default();
        let traces = traces(&tx, &seqs).await?;
        let mut rescued = Vec::new();
        for (row, lane) in found {
            let Some(hold) = row.hold() else { continue };
            let account: AccountId = row.account.parse().map_err(StorageError::decode)?;
            let (seq, step, attempt) = (row.seq, row.step, row.attempt);
            let stopped = stop(&closed, &account, &lane);
            let fraction = self.entropy.fraction();
            let moment = Moment { now, stopped, schedule: &self.schedule, fraction };
            let change = |then| Change { seq, what: What::Tried, step, attempt, then };
            match row.rescue(moment) {
                Transition::ClaimLost => continue,
                Transition::Ends(ending) => {
                    out.changes.add(&account, change(Then::Ended(ending.number)));
                    out.end(ending);
                }
                Transition::Waits { row, .. } => {
                    out.changes.add(&account, change(Then::Waits(row.due_at().unwrap_or(now))));
                    let quota = quotas.get_mut(&account);
                    out.wait(row, quota.ok_or_else(|| StorageError::decode("an account vanished"))?, now);
                }
            }
            out.record(seq, Cow::Owned(interrupted(step, attempt, hold)));
            if let Some((execution, traceparent)) = traces.get(&seq).cloned() {
                let claimed_at = hold.claimed_at;
                rescued.push(CutOff { account, execution, traceparent, step, attempt, claimed_at });
            }
        }
        let over = out.over().to_vec();
        let mut changes = out.write(&tx, now).await?;
        lines::leave(&tx, &over, quotas.values_mut(), now, &mut changes).await?;
        accounts::save(&tx, quotas.values()).await?;
        self.commit(tx, &changes, now).await?;
        Ok(rescued)
    }
}

/// The ids and trace contexts of executions by their keys.
async fn traces(tx: &Transaction, seqs: &[i64]) -> Result<HashMap<i64, (ExecutionId, String)>> {
    let mut traces = HashMap::with_capacity(seqs.len());
    let select = |backend, executions| {
        format!("SELECT seq, id, traceparent FROM execution WHERE seq {}", sql::among(backend, executions, 1))
    };
    for row in sql::all_of(tx, seqs, select).await? {
        traces.insert(row.get("seq")?, (executions::id(&row)?, row.get("traceparent")?));
    }
    Ok(traces)
}

/// The attempt of a claim that nobody reported. When it ended is when it was noticed.
fn interrupted(step: usize, attempt: i64, hold: Hold) -> Attempt {
    Attempt {
        step,
        number: attempt,
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
