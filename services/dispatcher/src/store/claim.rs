//! Claiming: an account's oldest ready work gets a token and a lease, as far as gates, quota and room allow.

use std::collections::HashMap;
use std::sync::Arc;

use sluice_domain::{AccountId, Span, Timestamp};
use sluice_storage::{Backend, Query, StorageError, Transaction};

use super::{Result, Store, accounts, breakers, executions, gates, heads, lanes, lines, sql, whole};
use crate::change::Changes;
use crate::claim::Claim;
use crate::execution::Execution;
use crate::gate::Gates;
use crate::quota::AccountQuota;
use crate::receiver::{Held, Share};
use crate::schedule::Round;
use crate::turn::Turn;

/// How many due rows become ready in one transaction; the rest follow in the next.
const PROMOTED_AT_ONCE: i64 = 1_000;

/// What a claim brought.
#[derive(Debug, Default)]
pub struct Claimed {
    /// What is to be sent now.
    pub claims: Vec<Claim>,
    /// The receivers that were full; nothing where another replica is at the account's work.
    pub held: Option<Held>,
}

impl Store {
    /// Accounts that have something to do, the longest waiting first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn due_accounts(&self, limit: usize) -> Result<Vec<AccountId>> {
        let reader = self.database.read();
        let now = reader.now().await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = reader.all(sql::DUE_ACCOUNTS, vec![now.as_micros().into(), limit.into()]).await?;
        rows.iter().map(|row| row.at::<String>(0)?.parse().map_err(StorageError::decode)).collect()
    }

    /// The time now and the next time at which an account has something to do, by the database's clock.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn next_wake(&self) -> Result<(Timestamp, Option<Timestamp>)> {
        let (next, now) = sql::with_now(&self.database.read(), sql::NEXT_WAKE).await?;
        Ok((now, next.map(Timestamp::from_micros)))
    }

    /// Claims of one account as much as its share allows; nothing while another replica is at its work.
    ///
    /// # Errors
    /// When the database does not answer; nothing is claimed then, or the lease ends it.
    pub async fn claim(&self, account: &AccountId, share: impl Into<Share> + Send) -> Result<Claimed> {
        let share = share.into();
        whole!(self.claim_once(account, share.clone()))
    }

    async fn claim_once(&self, account: &AccountId, mut share: Share) -> Result<Claimed> {
        let tx = self.database.write("claim").await?;
        let Some(mut quota) = accounts::try_lock(&tx, account).await? else { return Ok(Claimed::default()) };
        let quota = &mut quota;
        let now = tx.now().await?;
        let gates = &mut gates::closed(&tx, [account]).await?.remove(account).unwrap_or_default();
        let token = self.token();
        let paces = self.paces(&tx, account, &mut share, now).await?;
        let mut round = Round::begin(quota, now, share);
        let mut changes = Changes::default();
        let seqs = self.pick(&tx, quota, gates, &mut round, token, &mut changes).await?;
        paces.spend(&tx, account, &round).await?;
        breakers::save(&tx, account, gates.probed()).await?;
        quota.wake_at = wake_at(&tx, quota, gates, &round).await?;
        changes.tell(account, quota.news());
        accounts::save(&tx, [&*quota]).await?;
        let claims = self.load(&tx, account, gates, &seqs, token, now).await?;
        claims.iter().for_each(|claim| changes.add(account, claim.change()));
        self.commit(tx, &changes, now).await?;
        Ok(Claimed { claims, held: Some(round.held()) })
    }

    /// Looks at an account's work again only after that long.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn postpone(&self, account: &AccountId, after: Span) -> Result<()> {
        let tx = self.database.write("postpone").await?;
        let at = tx.now().await?.plus(after);
        let update = "UPDATE account SET wake_at = $2 WHERE account = $1 AND wake_at < $2";
        tx.execute(update, vec![account.as_str().into(), at.as_micros().into()]).await?;
        tx.commit().await
    }

    /// Claims the ready work of a locked account, oldest first within each turn, as far as the round lets it start.
    pub(super) async fn pick(
        &self,
        tx: &Transaction,
        quota: &mut AccountQuota,
        gates: &mut Gates,
        round: &mut Round,
        token: i64,
        changes: &mut Changes,
    ) -> Result<Vec<i64>> {
        let mut picked = Vec::new();
        if !round.looks(quota) {
            return Ok(picked);
        }
        let (account, now) = (quota.account.clone(), round.now());
        let values = vec![account.as_str().into(), now.as_micros().into(), PROMOTED_AT_ONCE.into()];
        let promoted = tx.all(sql::PROMOTE, values).await?;
        let promoted: Vec<i64> = promoted.iter().map(|row| row.at(0)).collect::<Result<_>>()?;
        if i64::try_from(promoted.len()).unwrap_or(i64::MAX) >= PROMOTED_AT_ONCE {
            round.leaves_due();
        }
        lines::join_due(tx, &account, &promoted, changes).await?;
        let by_receiver = match round.asks_receivers() || gates.lets_probes(now) {
            true => Some(heads::Lanes::open(tx, &account, gates, now).await?),
            false => None,
        };
        let open = if by_receiver.is_some() { None } else { self.open_lanes(tx, &account, gates).await? };
        for turn in Turn::ALL {
            let affordable = round.affordable(quota, turn);
            let mut seqs = match &by_receiver {
                Some(lanes) => {
                    let found = lanes.heads(tx, gates, turn, affordable, round).await?;
                    let seqs = round.start_by_receiver(quota, turn, affordable, found.iter().copied());
                    for webhook in lanes.probes(&found, &seqs) {
                        gates.take_probe(webhook, token, now.plus(self.lease.length));
                    }
                    seqs
                }
                None => {
                    let mut seqs = heads(tx, &account, open.as_deref(), turn, affordable + 1).await?;
                    seqs.truncate(round.start(quota, turn, affordable, seqs.len()));
                    seqs
                }
            };
            self.mark(tx, &seqs, now, token).await?;
            picked.append(&mut seqs);
        }
        Ok(picked)
    }

    /// The lanes that may be claimed from, or `None` when no closed lane has anything ready and order of acceptance alone counts.
    async fn open_lanes(
        &self,
        tx: &Transaction,
        account: &AccountId,
        closed: &Gates,
    ) -> Result<Option<Vec<i64>>> {
        if !closed.may_hold_work() {
            return Ok(None);
        }
        let lanes = lanes::of(tx, account).await?;
        let (open, shut): (Vec<_>, Vec<_>) = lanes.iter().partition(|(_, lane)| closed.lets_through(lane));
        let numbers = |lanes: Vec<&(i64, _)>| lanes.iter().map(|(number, _)| *number).collect::<Vec<i64>>();
        let shut = numbers(shut);
        for turn in Turn::ALL {
            if !lane_heads(tx, &shut, turn, 1).await?.is_empty() {
                return Ok(Some(numbers(open)));
            }
        }
        Ok(None)
    }

    async fn mark(&self, tx: &Transaction, seqs: &[i64], now: Timestamp, token: i64) -> Result<()> {
        let until = now.plus(self.lease.length);
        let hold = [token.into(), now.as_micros().into(), until.as_micros().into()];
        sql::execute_of(tx, &hold, seqs, marking).await.map(drop)
    }

    /// What is needed to send what was just claimed.
    pub(super) async fn load(
        &self,
        tx: &Transaction,
        account: &AccountId,
        gates: &Gates,
        seqs: &[i64],
        token: i64,
        now: Timestamp,
    ) -> Result<Vec<Claim>> {
        let mut executions: HashMap<i64, Arc<Execution>> =
            seqs.iter().filter_map(|seq| Some((*seq, self.recent.take(account, *seq)?))).collect();
        let unknown: Vec<i64> = seqs.iter().copied().filter(|seq| !executions.contains_key(seq)).collect();
        let read = executions::whole(tx, account, &unknown).await?;
        executions.extend(read.into_iter().map(|(seq, execution)| (seq, Arc::new(execution))));
        let mut claims = Vec::with_capacity(seqs.len());
        for row in sql::all_of(tx, seqs, standing).await? {
            let seq: i64 = row.at(0)?;
            let vanished = || StorageError::decode("an execution vanished while it was pending");
            let execution = executions.get(&seq).ok_or_else(vanished)?;
            claims.push(Claim {
                account: account.clone(),
                seq,
                execution: execution.id,
                cause: execution.event.cause,
                traceparent: execution.traceparent.clone(),
                plan: Arc::clone(&execution.plan),
                step: usize::try_from(row.at::<i64>(1)?).map_err(StorageError::decode)?,
                attempt: row.at(2)?,
                retries: u32::try_from(row.at::<i64>(3)?).map_err(StorageError::decode)?,
                ends: row.at(4)?,
                started_at: Timestamp::from_micros(row.at(5)?),
                token,
                claimed_at: now,
                troubled: false,
            });
        }
        for claim in &mut claims {
            claim.troubled = claim.webhook().is_some_and(|webhook| gates.breaker(webhook).is_some());
        }
        let order: HashMap<i64, usize> = seqs.iter().enumerate().map(|(at, seq)| (*seq, at)).collect();
        claims.sort_by_key(|claim| order.get(&claim.seq).copied());
        Ok(claims)
    }
}

/// Marks that many rows as claimed: `token, now, until`, keys.
pub(super) fn marking(backend: Backend, rows: usize) -> String {
    format!(
        "UPDATE pending SET token = $1, claimed_at = $2, lease_until = $3, turn = 0, \
         started_at = COALESCE(started_at, $2) WHERE seq {}",
        sql::among(backend, rows, 4)
    )
}

/// Where that many claimed rows stand: keys.
pub(super) fn standing(backend: Backend, rows: usize) -> String {
    let among = sql::among(backend, rows, 1);
    format!("SELECT seq, step, attempt, retries, ends, started_at FROM pending WHERE seq {among}")
}

/// When this account has next something to do after a round.
pub(super) async fn wake_at(
    tx: &Transaction,
    quota: &AccountQuota,
    gates: &Gates,
    round: &Round,
) -> Result<Option<Timestamp>> {
    let mut due: Option<i64> = None;
    if round.depends_on_due(quota) {
        let row = tx.one(sql::NEXT_DUE, vec![quota.account.as_str().into()]).await?;
        due = row.map(|row| row.at(0)).transpose()?;
    }
    let due = due.map(Timestamp::from_micros).into_iter().chain(gates.next_probe(round.now()));
    Ok(round.wake_at(quota, due.min()))
}

/// The oldest ready work of a turn, of all lanes or of these.
async fn heads(
    tx: &Transaction,
    account: &AccountId,
    open: Option<&[i64]>,
    turn: Turn,
    limit: usize,
) -> Result<Vec<i64>> {
    match open {
        Some(lanes) => lane_heads(tx, lanes, turn, limit).await,
        None => {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let values = vec![account.as_str().into(), turn.code().into(), limit.into()];
            tx.all(&sql::heads(tx.backend(), "seq"), values).await?.iter().map(|row| row.at(0)).collect()
        }
    }
}

async fn lane_heads(tx: &Transaction, lanes: &[i64], turn: Turn, limit: usize) -> Result<Vec<i64>> {
    let mut seqs: Vec<i64> = Vec::new();
    for piece in lanes.chunks(heads::LANES_AT_ONCE) {
        let select: Vec<String> =
            piece.iter().map(|lane| sql::lane_heads(tx.backend(), *lane, turn.code(), limit)).collect();
        let merged =
            format!("SELECT seq FROM ({}) AS heads ORDER BY seq LIMIT {limit}", select.join(sql::TOGETHER));
        for row in tx.all(&merged, vec![]).await? {
            seqs.push(row.at(0)?);
        }
    }
    seqs.sort_unstable();
    seqs.truncate(limit);
    Ok(seqs)
}
