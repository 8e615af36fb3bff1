//! What people ask of all executions that a filter means: a bounded number an answer, from a mark on that the answer before gave.
//!
//! What the filter meant when it began is taken, and nothing that came to it since; so the end is reached although more fails or
//! arrives meanwhile. A caller that repeats an answer's call finds less to do.

use std::collections::HashMap;

use sluice_domain::{AccountId, Span, Timestamp};
use sluice_storage::{Query, StorageError};

use super::history::Found;
use super::{Cancelled, PageKey, Result, Retried, Store, accounts, control, whole};
use crate::change::Changes;
use crate::filter::{Filter, Skip};

/// How many executions an answer takes.
const AN_ANSWER: usize = 500;
/// How many of them one transaction takes, so that the account's lock, and SQLite's one writer, are held shortly.
const A_TRANSACTION: usize = 100;

/// How far a filter was worked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// When it began, by the database's clock.
    pub began: Timestamp,
    /// What was taken last.
    pub after: Option<PageKey>,
}

/// What one answer did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    /// How many the filter meant.
    pub matched: usize,
    /// How many were opened again, or are over.
    pub done: usize,
    /// How many are over when their attempts end.
    pub under_way: usize,
    /// How many were left alone, by why.
    pub skipped: HashMap<Skip, usize>,
    /// Where to go on, if there may be more.
    pub next: Option<Mark>,
    /// How much waits and how much may, where that is why it ended.
    pub full: Option<(i64, i64)>,
}

/// What is done to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Retry,
    Cancel,
}

impl Store {
    /// Opens the next of an account's executions that a filter means again, as [`Self::retry`] does with one, as far as the backlog has
    /// room for them.
    ///
    /// # Errors
    /// When the database does not answer; what was taken before stays taken.
    pub async fn retry_all(&self, account: &AccountId, filter: &Filter, mark: Option<Mark>) -> Result<Taken> {
        self.take(Deed::Retry, account, filter, mark).await
    }

    /// Ends the next of an account's executions that a filter means, as [`Self::cancel`] does with one.
    ///
    /// # Errors
    /// When the database does not answer; what was taken before stays taken.
    pub async fn cancel_all(
        &self,
        account: &AccountId,
        filter: &Filter,
        mark: Option<Mark>,
    ) -> Result<Taken> {
        self.take(Deed::Cancel, account, filter, mark).await
    }

    async fn take(
        &self,
        deed: Deed,
        account: &AccountId,
        filter: &Filter,
        mark: Option<Mark>,
    ) -> Result<Taken> {
        let mark = match mark {
            Some(mark) => mark,
            None => Mark { began: self.database.read().now().await?, after: None },
        };
        let until = mark.began.plus(Span::from_micros(1));
        let mut then = filter.clone();
        match deed {
            Deed::Retry => then.ended = then.ended.before(until),
            Deed::Cancel => then.accepted = then.accepted.before(until),
        }
        let (found, next) = self.matching(account, &then, mark.after, AN_ANSWER).await?;
        let mut taken = Taken::default();
        let mut last = mark.after;
        for piece in found.chunks(A_TRANSACTION) {
            let piece = whole!(self.take_once(deed, account, piece, &mut taken))?;
            last = piece.last().map_or(last, |found| Some(found.key));
            if taken.full.is_some() {
                taken.next = Some(Mark { after: last, ..mark });
                return Ok(taken);
            }
        }
        taken.next = next.map(|next| Mark { after: Some(next), ..mark });
        Ok(taken)
    }

    /// Takes some in one transaction, those that there is room for; says which.
    async fn take_once<'a>(
        &self,
        deed: Deed,
        account: &AccountId,
        found: &'a [Found],
        taken: &mut Taken,
    ) -> Result<&'a [Found]> {
        let tx = self.database.write(deed.name()).await?;
        let mut quotas = accounts::lock(&tx, [account]).await?;
        let quota = quotas.get_mut(account).ok_or_else(|| StorageError::decode("an account vanished"))?;
        let room = match deed {
            Deed::Retry => usize::try_from(quota.max_waiting() - quota.waiting).unwrap_or(0),
            Deed::Cancel => found.len(),
        };
        let full = (room < found.len()).then(|| (quota.waiting, quota.max_waiting()));
        let found = &found[..room.min(found.len())];
        let seqs: Vec<i64> = found.iter().map(|found| found.seq).collect();
        let mut changes = Changes::default();
        let mut now_taken = Taken { matched: seqs.len(), ..Taken::default() };
        match deed {
            Deed::Retry => {
                let how = self.reopen_within(&tx, quota, &seqs, &mut changes).await?;
                seqs.iter().for_each(|seq| now_taken.retried(how.get(seq).copied()));
            }
            Deed::Cancel => {
                let how = control::cancel_within(&tx, quota, &seqs, &mut changes).await?;
                seqs.iter().for_each(|seq| now_taken.cancelled(how.get(seq).copied()));
            }
        }
        let now = tx.now().await?;
        self.commit(tx, &changes, now).await?;
        taken.add(now_taken);
        taken.full = full;
        Ok(found)
    }
}

impl Deed {
    /// The name of its transactions.
    const fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry_all",
            Self::Cancel => "cancel_all",
        }
    }
}

impl Taken {
    fn retried(&mut self, how: Option<Retried>) {
        match how {
            Some(Retried::Reopened) => self.done += 1,
            Some(Retried::NothingToSend) => self.skip(Skip::NothingToSend),
            Some(Retried::AutomationDeactivated) => self.skip(Skip::AutomationDeactivated),
            Some(Retried::WebhookDisabled) => self.skip(Skip::WebhookDisabled),
            Some(Retried::NotEnded | Retried::Final(_) | Retried::NotFound) | None => {
                self.skip(Skip::Changed)
            }
        }
    }

    fn cancelled(&mut self, how: Option<Cancelled>) {
        match how {
            Some(Cancelled::Ended) => self.done += 1,
            Some(Cancelled::WhenAttemptEnds) => self.under_way += 1,
            Some(Cancelled::AlreadyEnded(_) | Cancelled::NotFound) | None => self.skip(Skip::Changed),
        }
    }

    fn skip(&mut self, why: Skip) {
        *self.skipped.entry(why).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        self.matched += other.matched;
        self.done += other.done;
        self.under_way += other.under_way;
        for (why, count) in other.skipped {
            *self.skipped.entry(why).or_default() += count;
        }
    }
}
