//! What happened to an execution, as those who watch its account are told; and how far one of them has come.
//!
//! A change is a fact and never taken back: where the execution stands after it, gates aside. What attempts and ends were like
//! stands in their own rows.

use std::collections::BTreeMap;

use sluice_domain::{AccountId, Timestamp};
use thiserror::Error;

use crate::attempt::{Attempt, Verdict};
use crate::execution::{End, Execution};
use crate::notice::News;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It was accepted; where it runs after that, its first attempt began with it.
    Accepted,
    /// An attempt began.
    Started,
    /// An attempt ended.
    Tried,
    /// An attempt that had begun was given back undialled: there was none.
    HandedBack,
    /// It ended without an attempt.
    Ended,
    /// It was opened again.
    Reopened,
    /// Its turn in its record's line came, or it began to wait for it.
    Turn,
}

impl What {
    const ALL: [Self; 7] = [
        Self::Accepted,
        Self::Started,
        Self::Tried,
        Self::HandedBack,
        Self::Ended,
        Self::Reopened,
        Self::Turn,
    ];

    /// The number in the tables.
    const fn code(self) -> i64 {
        match self {
            Self::Accepted => 1,
            Self::Started => 2,
            Self::Tried => 3,
            Self::HandedBack => 4,
            Self::Ended => 5,
            Self::Reopened => 6,
            Self::Turn => 7,
        }
    }
}

/// Where an execution stands after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// An attempt is under way.
    Runs,
    /// It is ready to start for the first time.
    Queues,
    /// It goes on, or starts, at this time.
    Waits(Timestamp),
    /// It is over: its end of this number.
    Ended(i64),
}

/// One change of one execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The execution's place in the order of acceptance.
    pub seq: i64,
    /// What happened.
    pub what: What,
    /// Which delivery of the plan it happened at.
    pub step: usize,
    /// The number of the attempt that began, ended or was given back; else 0.
    pub attempt: i64,
    /// Where the execution stands now.
    pub then: Then,
}

/// The text is no list of changes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no change: {0}")]
pub struct ChangeError(String);

impl Change {
    /// Changes as they are kept: numbers in JSON, five a change.
    pub fn encode(changes: &[Self]) -> String {
        let numbers: Vec<[i64; 5]> = changes.iter().map(Self::numbers).collect();
        serde_json::to_string(&numbers).unwrap_or_default()
    }

    /// Reads them back.
    ///
    /// # Errors
    /// When the text was not made by [`Self::encode`].
    pub fn decode(text: &str) -> Result<Vec<Self>, ChangeError> {
        let numbers: Vec<[i64; 5]> =
            serde_json::from_str(text).map_err(|error| ChangeError(error.to_string()))?;
        numbers.into_iter().map(Self::read).collect()
    }

    fn numbers(&self) -> [i64; 5] {
        let then = match self.then {
            Then::Runs => -1,
            Then::Queues => 0,
            Then::Waits(until) => until.as_micros(),
            Then::Ended(number) => -1 - number,
        };
        [self.what.code(), self.seq, i64::try_from(self.step).unwrap_or(i64::MAX), self.attempt, then]
    }

    fn read(numbers: [i64; 5]) -> Result<Self, ChangeError> {
        let bad = || ChangeError(format!("{numbers:?}"));
        let [what, seq, step, attempt, then] = numbers;
        let then = match then {
            -1 => Then::Runs,
            0 => Then::Queues,
            until if until > 0 => Then::Waits(Timestamp::from_micros(until)),
            number => Then::Ended(-1 - number),
        };
        let what = What::ALL.into_iter().find(|known| known.code() == what).ok_or_else(bad)?;
        Ok(Self { seq, what, step: usize::try_from(step).map_err(|_| bad())?, attempt, then })
    }
}

/// A change with all that is told of it.
#[derive(Debug, Clone)]
pub struct Told {
    /// The change.
    pub change: Change,
    /// When, by the database's clock.
    pub at: Timestamp,
    /// The execution, without bodies.
    pub execution: Execution,
    /// The attempt that ended, without headers and bodies.
    pub attempt: Option<Attempt>,
    /// The end, if it ended.
    pub end: Option<(End, Timestamp)>,
}

impl Told {
    /// The delivery that is under way or comes next; none once the execution is over.
    pub fn stands_at(&self) -> Option<usize> {
        let moved_on = self.attempt.as_ref().is_some_and(|attempt| attempt.verdict == Verdict::Succeeded);
        (!matches!(self.change.then, Then::Ended(_))).then_some(self.change.step + usize::from(moved_on))
    }
}

/// How far a watcher has come: every change before it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// A revision of the feed.
    revision: i64,
    /// How many changes of that revision were told; all of them at [`Self::ALL`].
    told: u32,
}

impl Place {
    const ALL: u32 = u32::MAX;

    /// Behind everything of a revision.
    pub const fn behind(revision: i64) -> Self {
        Self { revision, told: Self::ALL }
    }

    /// Behind so many changes of a revision.
    pub fn within(revision: i64, told: usize) -> Self {
        Self { revision, told: u32::try_from(told).unwrap_or(Self::ALL).min(Self::ALL - 1) }
    }

    /// The revision behind which everything is still to be told.
    pub const fn after(self) -> i64 {
        if self.told == Self::ALL { self.revision } else { self.revision - 1 }
    }

    /// How many changes of a revision were told before.
    pub fn told_of(self, revision: i64) -> usize {
        if revision == self.revision && self.told != Self::ALL {
            usize::try_from(self.told).unwrap_or(usize::MAX)
        } else {
            0
        }
    }

    /// The place as bytes.
    pub fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        let (revision, told) = bytes.split_at_mut(8);
        revision.copy_from_slice(&self.revision.to_be_bytes());
        told.copy_from_slice(&self.told.to_be_bytes());
        bytes
    }

    /// The place of these bytes, if they are one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (revision, told) = bytes.split_first_chunk::<8>()?;
        let (revision, told) = (i64::from_be_bytes(*revision), u32::from_be_bytes(told.try_into().ok()?));
        (revision >= 0).then_some(Self { revision, told })
    }
}

/// What one transaction did: the changes by account, where an account without any is one whose gates may have changed; and what
/// whoever runs Sluice is told of it.
#[derive(Debug, Default)]
pub struct Changes {
    by_account: BTreeMap<AccountId, Vec<Change>>,
    news: Vec<(AccountId, News)>,
}

impl Changes {
    /// Something happened.
    pub fn add(&mut self, account: &AccountId, change: Change) {
        self.of(account).push(change);
    }

    /// The account's gates may have changed.
    pub fn gates(&mut self, account: &AccountId) {
        self.of(account);
    }

    /// Whoever runs Sluice is told of it.
    pub fn tell(&mut self, account: &AccountId, news: impl IntoIterator<Item = News>) {
        self.news.extend(news.into_iter().map(|news| (account.clone(), news)));
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.by_account.is_empty()
    }

    /// By account.
    pub fn iter(&self) -> impl Iterator<Item = (&AccountId, &[Change])> {
        self.by_account.iter().map(|(account, changes)| (account, changes.as_slice()))
    }

    /// What whoever runs Sluice is told, with the accounts that it is about.
    pub fn news(&self) -> &[(AccountId, News)] {
        &self.news
    }

    fn of(&mut self, account: &AccountId) -> &mut Vec<Change> {
        self.by_account.entry(account.clone()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_survive_their_text() {
        let at = Timestamp::from_micros(1_795_000_000_000_000);
        let thens = [Then::Runs, Then::Queues, Then::Waits(at), Then::Ended(1), Then::Ended(7)];
        let all: Vec<Change> = What::ALL
            .into_iter()
            .flat_map(|what| thens.map(|then| Change { seq: 42, what, step: 3, attempt: 2, then }))
            .collect();
        assert_eq!(Change::decode(&Change::encode(&all)), Ok(all));
        assert_eq!(Change::decode("[]"), Ok(vec![]));
        for bad in ["", "[[9,1,0,0,0]]", "[[1,1,-1,0,0]]", "[[1,1]]"] {
            assert!(Change::decode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_place_within_a_revision_comes_back_to_it_and_one_behind_does_not() {
        let within = Place::within(7, 2);
        assert_eq!((within.after(), within.told_of(7), within.told_of(8)), (6, 2, 0));
        let behind = Place::behind(7);
        assert_eq!((behind.after(), behind.told_of(7)), (7, 0));
        assert!(within < behind && behind < Place::within(8, 0));
        for place in [within, behind] {
            assert_eq!(Place::from_bytes(&place.to_bytes()), Some(place));
        }
        for bad in [&[][..], &[1; 8], &[1; 13], &[0xff; 12]] {
            assert_eq!(Place::from_bytes(bad), None);
        }
    }
}
