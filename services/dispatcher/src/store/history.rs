//! Reading the history: one execution whole, or a page of an account's.

use std::collections::{HashMap, HashSet};

use sluice_domain::{AccountId, ExecutionId, Timestamp};
use sluice_storage::{Query, Reader};

use super::pages::PageKey;
use super::walk::Walk;
use super::{Result, Store, accounts, endings, executions, gates, lanes, pending, sql};
use crate::attempt::{Attempt, Verdict};
use crate::execution::{Execution, Snapshot, State};
use crate::filter::Filter;
use crate::gate::{Gates, Lane};
use crate::line::IN_LINE;
use crate::pending::Pending;
use crate::quota::AccountQuota;
use crate::transition::Ending;
use crate::turn::Turn;

/// How many executions a page looks at in one step.
const STRIDE: usize = 500;
/// How many places of a queue are counted to tell when each starts; beyond, no time is shown.
const RANKED: i64 = 20_000;

/// A page of executions, in the order of the way to them.
#[derive(Debug, Clone)]
pub struct ExecutionPage {
    /// What it shows, without bodies and attempts.
    pub executions: Vec<Snapshot>,
    /// The key that was looked at last, if there are more.
    pub next: Option<PageKey>,
}

/// One execution of a page.
pub(super) struct Found {
    pub(super) seq: i64,
    /// The key of a page that ends with it.
    pub(super) key: PageKey,
    pub(super) snapshot: Snapshot,
}

/// What tells where the executions of one account stand, as of one moment.
struct Standing {
    now: Timestamp,
    quota: AccountQuota,
    gates: Gates,
    /// Ready work by place, with how many of its turn are before it that no gate holds back.
    ranks: HashMap<i64, u64>,
    /// Whether they were counted.
    ranked: bool,
}

impl Store {
    /// One execution whole, or nothing if the account has none of this id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn execution(&self, account: &AccountId, id: ExecutionId) -> Result<Option<Snapshot>> {
        let reader = self.database.read();
        let Some((seq, execution)) = executions::get(&reader, account, id).await? else { return Ok(None) };
        let standing = &mut Standing::of(&reader, account).await?;
        let mut shown = snapshots(&reader, standing, vec![(seq, execution)]).await?;
        let Some((_, mut snapshot)) = shown.pop() else { return Ok(None) };
        let mut attempts = endings::attempts(&reader, seq).await?;
        if let Some((row, _)) = pending::get(&reader, &[seq]).await?.pop() {
            attempts.extend(under_way(&row));
        }
        snapshot.attempt_count = i64::try_from(attempts.len()).unwrap_or(i64::MAX);
        snapshot.attempts = attempts;
        Ok(Some(snapshot))
    }

    /// A page of at most `size` executions after a key.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn executions(
        &self,
        account: &AccountId,
        filter: &Filter,
        after: Option<PageKey>,
        size: usize,
    ) -> Result<ExecutionPage> {
        let (found, next) = self.matching(account, filter, after, size).await?;
        Ok(ExecutionPage { executions: found.into_iter().map(|found| found.snapshot).collect(), next })
    }

    /// At most `size` executions after a key, each with its place and the key of a page that ends with it; and where to go on.
    pub(super) async fn matching(
        &self,
        account: &AccountId,
        filter: &Filter,
        after: Option<PageKey>,
        size: usize,
    ) -> Result<(Vec<Found>, Option<PageKey>)> {
        let reader = self.database.read();
        let standing = &mut Standing::of(&reader, account).await?;
        let mut walk = Walk::after(&reader, account, filter, after).await?;
        let mut page: Vec<Found> = Vec::with_capacity(size);
        loop {
            let stride = STRIDE.min(if filter.is_open() { size - page.len() + 1 } else { STRIDE });
            let step = walk.step(stride).await?;
            let wanted = step.rows.into_iter().filter(|(.., execution)| filter.wants(execution));
            let (keys, wanted): (HashMap<i64, PageKey>, Vec<(i64, Execution)>) =
                wanted.map(|(seq, key, execution)| ((seq, key), (seq, execution))).unzip();
            for (seq, snapshot) in snapshots(&reader, standing, wanted).await? {
                let Some(key) = keys.get(&seq).copied() else { continue };
                if !filter.wants_state(&snapshot.state) {
                    continue;
                }
                if page.len() == size {
                    let last = page.last().map(|last| last.key);
                    return Ok((page, last));
                }
                page.push(Found { seq, key, snapshot });
            }
            if step.next.is_none() || step.enough {
                return Ok((page, step.next));
            }
        }
    }
}

/// Where these executions of one account stand.
async fn snapshots(
    reader: &Reader,
    standing: &mut Standing,
    executions: Vec<(i64, Execution)>,
) -> Result<Vec<(i64, Snapshot)>> {
    if executions.is_empty() {
        return Ok(Vec::new());
    }
    let seqs: Vec<i64> = executions.iter().map(|(seq, _)| *seq).collect();
    let waiting: HashMap<i64, (Pending, Lane)> =
        pending::get(reader, &seqs).await?.into_iter().map(|(row, lane)| (row.seq, (row, lane))).collect();
    let ended: HashMap<i64, Ending> =
        endings::latest(reader, &seqs).await?.into_iter().map(|ending| (ending.seq, ending)).collect();
    let counts: HashMap<i64, i64> = endings::attempt_counts(reader, &seqs).await?.into_iter().collect();
    let queues = |(row, _): &(Pending, Lane)| {
        row.hold().is_none() && row.due_at().is_none() && row.turn() != Turn::Continuing
    };
    if waiting.values().any(queues) {
        standing.rank(reader).await?;
    }
    let mut shown = Vec::with_capacity(executions.len());
    for (seq, execution) in executions {
        let (state, started_at, under_way) = match (waiting.get(&seq), ended.get(&seq)) {
            (Some((row, lane)), _) => {
                (standing.state(row, lane), row.start().at(), i64::from(row.hold().is_some()))
            }
            (None, Some(ending)) => (State::Ended(ending.end.clone(), ending.at), ending.started_at, 0),
            // It ended between the two reads, or was pruned.
            (None, None) => match endings::latest(reader, &[seq]).await?.pop() {
                Some(ending) => (State::Ended(ending.end, ending.at), ending.started_at, 0),
                None => continue,
            },
        };
        let attempt_count = counts.get(&seq).copied().unwrap_or(0) + under_way;
        let attempts = Vec::new();
        shown.push((seq, Snapshot { execution, state, started_at, attempt_count, attempts }));
    }
    Ok(shown)
}

impl Standing {
    async fn of(reader: &Reader, account: &AccountId) -> Result<Self> {
        let quota = accounts::get(reader, account).await?;
        let quota = quota.unwrap_or_else(|| AccountQuota::unknown(account.clone()));
        let gates = gates::closed(reader, [account]).await?.remove(account).unwrap_or_default();
        let now = reader.now().await?;
        Ok(Self { now, quota, gates, ranks: HashMap::new(), ranked: false })
    }

    /// Counts, once, how many are before each that queues.
    async fn rank(&mut self, reader: &Reader) -> Result<()> {
        if std::mem::replace(&mut self.ranked, true) {
            return Ok(());
        }
        let account = &self.quota.account;
        let lanes = if self.gates.may_hold_work() { lanes::of(reader, account).await? } else { Vec::new() };
        let shut = lanes.iter().filter(|(_, lane)| !self.gates.lets_through(lane));
        let shut: HashSet<i64> = shut.map(|(number, _)| *number).collect();
        let columns = if shut.is_empty() { "seq" } else { "seq, lane" };
        for turn in [Turn::Execution, Turn::Notification] {
            let values = vec![account.as_str().into(), turn.code().into(), RANKED.into()];
            let mut ahead = 0_u64;
            for row in reader.all(&sql::heads(reader.backend(), columns), values).await? {
                if shut.is_empty() || !shut.contains(&row.at(1)?) {
                    self.ranks.insert(row.at(0)?, ahead);
                    ahead += 1;
                }
            }
        }
        Ok(())
    }

    fn state(&self, row: &Pending, lane: &Lane) -> State {
        if row.hold().is_some() {
            return State::Running;
        }
        if let Some(due_at) = row.due_at().filter(|due_at| *due_at > self.now && *due_at != IN_LINE) {
            return State::Waiting(due_at);
        }
        if let Some((reason, until)) = self.quota.operator_pause() {
            return State::Paused(reason, until);
        }
        if let Some((reason, until)) = self.gates.pause(lane.webhook, self.now) {
            return State::Paused(reason, until);
        }
        if row.is_in_line() {
            return State::Waiting(IN_LINE);
        }
        let rank = self.ranks.get(&row.seq).copied();
        // Work that has just come due has no place yet: the next claim gives it one.
        let beyond = if row.due_at().is_some() { 0 } else { RANKED.unsigned_abs() };
        match self.quota.pause(row.turn(), self.now, rank.unwrap_or(beyond)) {
            Some((reason, until)) => State::Paused(reason, until.filter(|_| rank.is_some())),
            None if row.turn() == Turn::Continuing => State::Waiting(row.due_at().unwrap_or(self.now)),
            None => State::Queued,
        }
    }
}

/// The attempt that a claimed row has under way.
fn under_way(row: &Pending) -> Option<Attempt> {
    let hold = row.hold()?;
    Some(Attempt {
        step: row.step,
        number: row.attempt,
        verdict: Verdict::Started,
        started_at: hold.claimed_at,
        ended_at: None,
        duration: sluice_domain::Span::ZERO,
        url_path: String::new(),
        request_headers: Vec::new(),
        answer: None,
        error: String::new(),
    })
}
