//! Walking an account's executions backwards, by the way that fits what is looked for.

use std::collections::HashMap;

use sea_orm::Value;
use sluice_domain::{AccountId, ExecutionId, Timestamp};
use sluice_storage::{Query, Reader, Row, StorageError};

use super::sql::{self, Digest, Stream};
use super::{PageKey, Result, executions};
use crate::execution::{EndState, Execution};
use crate::filter::{Filter, StateName, TimeRange, Way};
use crate::record;
use crate::turn::Turn;

/// How many executions one page looks at before it ends early with a key.
const LOOKED_AT: usize = 10_000;
/// How many cuts of an index one statement asks.
pub(super) const CUTS_AT_ONCE: i64 = 256;
/// How many one page asks before it ends early with a key: 16 million executions.
const CUTS_LOOKED_AT: i64 = 32_768;

/// The next executions of a walk.
pub(super) struct Step {
    /// Each with the key that a page ending with it has.
    pub(super) rows: Vec<(i64, PageKey, Execution)>,
    /// Where to go on; `None` when nothing is left.
    pub(super) next: Option<PageKey>,
    /// Whether a page has looked far enough.
    pub(super) enough: bool,
}

/// A walk through an account's executions.
pub(super) struct Walk<'a> {
    reader: &'a Reader,
    account: &'a AccountId,
    by: By,
    looked_at: usize,
}

enum By {
    /// All of them before an id, and not before another.
    Id { before: [u8; 16], from: [u8; 16] },
    /// Those that a digest may stand for, before a place; the index is cut, and its oldest cut is known.
    Digest { of: Digest, key: i64, before: i64, oldest: i64, cuts: i64 },
    /// Those that ended so, before an end and not before a time.
    End { state: EndState, before: (i64, i64), from: i64 },
    /// Those that are not over, before a place.
    Unfinished { streams: Vec<Stream>, before: i64 },
}

impl<'a> Walk<'a> {
    /// The way to what a filter means, after a key.
    pub(super) async fn after(
        reader: &'a Reader,
        account: &'a AccountId,
        filter: &Filter,
        after: Option<PageKey>,
    ) -> Result<Self> {
        let by = match filter.way() {
            Way::All => all(filter.minted(), after),
            Way::Trace(trace) => digest(reader, Digest::Trace, trace.key(account), after).await?,
            Way::Record(id) => digest(reader, Digest::Record, record::key(account, &id), after).await?,
            Way::Ended(state) => {
                let until = filter.ended.until.map_or(i64::MAX, Timestamp::as_micros);
                let before = match after {
                    Some(PageKey::End(at, seq)) => (at.as_micros(), seq).min((until, 0)),
                    _ => (until, 0),
                };
                By::End { state, before, from: filter.ended.from.map_or(i64::MIN, Timestamp::as_micros) }
            }
            Way::Unfinished(states) => {
                let before = if let Some(PageKey::Seq(seq)) = after { seq } else { i64::MAX };
                By::Unfinished { streams: streams(&states), before }
            }
        };
        Ok(Self { reader, account, by, looked_at: 0 })
    }

    /// At most so many further ones.
    pub(super) async fn step(&mut self, limit: usize) -> Result<Step> {
        let wanted = i64::try_from(limit).map_err(StorageError::decode)?;
        let (reader, account) = (self.reader, self.account);
        let of_account = || Value::from(account.as_str());
        match &mut self.by {
            By::Id { before, from } => {
                let values = vec![of_account(), before.to_vec().into(), from.to_vec().into(), wanted.into()];
                let mut rows = Vec::new();
                for row in reader.all(sql::PAGE, values).await? {
                    let execution = executions::read(account, &row, false)?;
                    *before = execution.id.to_bytes();
                    rows.push((row.get("seq")?, PageKey::Id(execution.id), execution));
                }
                self.looked_at += rows.len();
                let next = (rows.len() == limit).then_some(PageKey::Id(ExecutionId::from_bytes(*before)));
                Ok(Step { rows, next, enough: self.looked_at >= LOOKED_AT })
            }
            By::Digest { of, key, before, oldest, cuts } => {
                let newest_cut = cut(*before - 1);
                let oldest_cut = (newest_cut - CUTS_AT_ONCE + 1).max(*oldest);
                let mut found: Vec<(i64, PageKey)> = Vec::new();
                let asked: Vec<i64> = (oldest_cut..=newest_cut).rev().collect();
                for piece in sql::pieces(&asked, reader.backend()) {
                    let left = wanted - i64::try_from(found.len()).unwrap_or(wanted);
                    let mut values = vec![(*key).into(), (*before).into(), left.into()];
                    values.extend(sql::keys(reader.backend(), piece));
                    let rows = reader.all(&sql::digested(reader.backend(), *of, piece.len()), values).await?;
                    found.extend(rows.iter().map(by_place).collect::<Result<Vec<_>>>()?);
                }
                *cuts += newest_cut - oldest_cut + 1;
                let last = if found.len() == limit { found.last().map(|(seq, _)| *seq) } else { None };
                *before = last.unwrap_or(oldest_cut << sql::CUT);
                let next = (last.is_some() || oldest_cut > *oldest).then_some(PageKey::Seq(*before));
                let far = *cuts >= CUTS_LOOKED_AT;
                self.found(found, next, far).await
            }
            By::End { state, before, from } => {
                let (at, seq) = *before;
                let bounds = [at.into(), seq.into(), (*from).into(), wanted.into()];
                let values = [vec![of_account(), state.as_str().into()], bounds.to_vec()].concat();
                let rows = reader.all(sql::ENDED, values).await?;
                let found = rows.iter().map(by_end).collect::<Result<Vec<_>>>()?;
                let last = found.last().map(|(_, key)| *key);
                if let Some(PageKey::End(at, seq)) = last {
                    *before = (at.as_micros(), seq);
                }
                let next = last.filter(|_| found.len() == limit);
                self.found(found, next, false).await
            }
            By::Unfinished { streams, before } => {
                let values = vec![of_account(), (*before).into(), wanted.into()];
                let rows = reader.all(&sql::unfinished(reader.backend(), streams), values).await?;
                let found = rows.iter().map(by_place).collect::<Result<Vec<_>>>()?;
                *before = found.last().map_or(*before, |(seq, _)| *seq);
                let next = (found.len() == limit).then_some(PageKey::Seq(*before));
                self.found(found, next, false).await
            }
        }
    }

    /// A step of the executions at these places, in their order; what is another account's is left out.
    async fn found(&mut self, found: Vec<(i64, PageKey)>, next: Option<PageKey>, far: bool) -> Result<Step> {
        let seqs: Vec<i64> = found.iter().map(|(seq, _)| *seq).collect();
        let read = executions::at(self.reader, self.account, &seqs).await?;
        let mut read: HashMap<i64, Execution> = read.into_iter().collect();
        let rows = found.into_iter().filter_map(|(seq, key)| Some((seq, key, read.remove(&seq)?))).collect();
        self.looked_at += seqs.len();
        Ok(Step { rows, next, enough: far || self.looked_at >= LOOKED_AT })
    }
}

fn all(minted: TimeRange, after: Option<PageKey>) -> By {
    let first = |at: Timestamp| ExecutionId::mint(at, [0; 10]).to_bytes();
    let end = minted.until.map_or([0xff; 16], first);
    let before = if let Some(PageKey::Id(id)) = after { id.to_bytes().min(end) } else { end };
    By::Id { before, from: minted.from.map_or([0; 16], first) }
}

async fn digest(reader: &Reader, of: Digest, key: i64, after: Option<PageKey>) -> Result<By> {
    let row = reader.one(sql::ENDS_OF_EXECUTIONS, vec![]).await?;
    let ends = row.map(|row| Ok::<_, StorageError>((row.at(0)?, row.at(1)?))).transpose()?;
    let (oldest, newest): (Option<i64>, Option<i64>) = ends.unwrap_or_default();
    let end = newest.map_or(0, |newest| newest + 1);
    let before = if let Some(PageKey::Seq(seq)) = after { seq.clamp(0, end) } else { end };
    Ok(By::Digest { of, key, before, oldest: oldest.map_or(i64::MAX, cut), cuts: 0 })
}

/// Where what may be in one of these states stands.
fn streams(states: &[StateName]) -> Vec<Stream> {
    let [continuing, execution, notification] =
        [Turn::Continuing, Turn::Execution, Turn::Notification].map(Stream::Ready);
    let of = |state: &StateName| match state {
        StateName::Running => vec![Stream::Claimed],
        StateName::Waiting => vec![continuing, Stream::Later],
        StateName::Queued => vec![execution, notification, Stream::Later],
        StateName::Paused => vec![continuing, execution, notification, Stream::Later],
        StateName::Ended(_) => vec![],
    };
    let mut streams: Vec<Stream> = states.iter().flat_map(of).collect();
    streams.sort_unstable();
    streams.dedup();
    streams
}

fn by_place(row: &Row) -> Result<(i64, PageKey)> {
    let seq = row.at(0)?;
    Ok((seq, PageKey::Seq(seq)))
}

fn by_end(row: &Row) -> Result<(i64, PageKey)> {
    let (seq, at) = (row.at(0)?, row.at(1)?);
    Ok((seq, PageKey::End(Timestamp::from_micros(at), seq)))
}

/// Which cut of an index a place lies in.
const fn cut(seq: i64) -> i64 {
    seq >> sql::CUT
}
