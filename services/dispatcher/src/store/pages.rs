//! Walking an account's executions backwards, by the key that fits what is looked for.

use sluice_domain::{AccountId, ExecutionId};
use sluice_storage::rows::chunks;
use sluice_storage::{Query, Reader, StorageError};

use super::{Result, executions, sql};
use crate::execution::Execution;
use crate::trace::TraceId;

/// How many executions one page looks at before it ends early with a key.
const LOOKED_AT: usize = 10_000;
/// How many cuts of the index of traces one statement asks.
pub(super) const CUTS_AT_ONCE: i64 = 32;
/// How many one page asks before it ends early with a key: 16 million executions.
const CUTS_LOOKED_AT: i64 = 2_048;

/// Where a page ended: the next one shows what is older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageKey {
    /// By id, as all of an account's executions are walked.
    Id(ExecutionId),
    /// By the order of acceptance, as a trace's are.
    Seq(i64),
}

impl PageKey {
    /// The key as bytes.
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Id(id) => id.to_bytes().to_vec(),
            Self::Seq(seq) => seq.to_be_bytes().to_vec(),
        }
    }

    /// The key of these bytes, if they are one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let id = || bytes.try_into().ok().map(|bytes| Self::Id(ExecutionId::from_bytes(bytes)));
        id().or_else(|| bytes.try_into().ok().map(|bytes| Self::Seq(i64::from_be_bytes(bytes))))
    }
}

/// The next executions of a walk, newest first.
pub(super) struct Step {
    /// Each with the key that a page ending with it has.
    pub(super) rows: Vec<(i64, PageKey, Execution)>,
    /// Where to go on; `None` when nothing older is left.
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
    Id([u8; 16]),
    /// Those of a trace before a place; the index is cut, and its oldest cut is known.
    Trace {
        trace: TraceId,
        before: i64,
        oldest: i64,
        cuts: i64,
    },
}

impl<'a> Walk<'a> {
    /// All executions after (older than) a key, or those of a trace.
    pub(super) async fn after(
        reader: &'a Reader,
        account: &'a AccountId,
        trace: Option<TraceId>,
        after: Option<PageKey>,
    ) -> Result<Self> {
        let by = match (trace, after) {
            (None, Some(PageKey::Id(id))) => By::Id(id.to_bytes()),
            (None, _) => By::Id([0xff; 16]),
            (Some(trace), after) => {
                let row = reader.one(sql::ENDS_OF_EXECUTIONS, vec![]).await?;
                let ends = row.map(|row| Ok::<_, StorageError>((row.at(0)?, row.at(1)?))).transpose()?;
                let (oldest, newest): (Option<i64>, Option<i64>) = ends.unwrap_or_default();
                let end = newest.map_or(0, |newest| newest + 1);
                let before = if let Some(PageKey::Seq(seq)) = after { seq.clamp(0, end) } else { end };
                By::Trace { trace, before, oldest: oldest.map_or(i64::MAX, cut), cuts: 0 }
            }
        };
        Ok(Self { reader, account, by, looked_at: 0 })
    }

    /// At most so many further ones.
    pub(super) async fn step(&mut self, limit: usize) -> Result<Step> {
        let wanted = i64::try_from(limit).map_err(StorageError::decode)?;
        match &mut self.by {
            By::Id(key) => {
                let values = vec![self.account.as_str().into(), key.to_vec().into(), wanted.into()];
                let mut rows = Vec::new();
                for row in self.reader.all(sql::PAGE, values).await? {
                    let execution = executions::read(self.account, &row, false)?;
                    *key = execution.id.to_bytes();
                    rows.push((row.get("seq")?, PageKey::Id(execution.id), execution));
                }
                self.looked_at += rows.len();
                let next = (rows.len() == limit).then_some(PageKey::Id(ExecutionId::from_bytes(*key)));
                Ok(Step { rows, next, enough: self.looked_at >= LOOKED_AT })
            }
            By::Trace { trace, before, oldest, cuts } => {
                let newest_cut = cut(*before - 1);
                let oldest_cut = (newest_cut - CUTS_AT_ONCE + 1).max(*oldest);
                let mut seqs: Vec<i64> = Vec::new();
                let asked: Vec<i64> = (oldest_cut..=newest_cut).rev().collect();
                for piece in chunks(&asked, self.reader.backend(), 1) {
                    let left = wanted - i64::try_from(seqs.len()).unwrap_or(wanted);
                    let mut values = vec![trace.key(self.account).into(), (*before).into(), left.into()];
                    values.extend(sql::keys(piece));
                    for row in self.reader.all(&sql::traced(piece.len()), values).await? {
                        seqs.push(row.at(0)?);
                    }
                }
                *cuts += newest_cut - oldest_cut + 1;
                self.looked_at += seqs.len();
                let last = if seqs.len() == limit { seqs.last().copied() } else { None };
                *before = last.unwrap_or(oldest_cut << sql::CUT);
                let next = (last.is_some() || oldest_cut > *oldest).then_some(PageKey::Seq(*before));
                let enough = *cuts >= CUTS_LOOKED_AT || self.looked_at >= LOOKED_AT;
                let trace = *trace;
                Ok(Step { rows: self.of_trace(&seqs, trace).await?, next, enough })
            }
        }
    }

    /// Those of these places that are the account's and the trace's, newest first.
    async fn of_trace(&self, seqs: &[i64], trace: TraceId) -> Result<Vec<(i64, PageKey, Execution)>> {
        let found = executions::at(self.reader, self.account, seqs).await?.into_iter();
        let found = found.filter(|(_, execution)| TraceId::of(&execution.traceparent) == Some(trace));
        let mut rows: Vec<_> = found.map(|(seq, execution)| (seq, PageKey::Seq(seq), execution)).collect();
        rows.sort_unstable_by_key(|(seq, ..)| std::cmp::Reverse(*seq));
        Ok(rows)
    }
}

/// Which cut of the index a place lies in.
const fn cut(seq: i64) -> i64 {
    seq >> sql::CUT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_the_way_to_a_client_and_back() {
        for key in [PageKey::Id(ExecutionId::from_bytes([7; 16])), PageKey::Seq(8_193)] {
            assert_eq!(PageKey::from_bytes(&key.to_bytes()), Some(key));
        }
        assert_eq!(PageKey::from_bytes(&[1; 9]), None);
    }
}
