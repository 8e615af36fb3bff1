//! One watcher of an account's executions: the gates that are closed, then what happens, page by page as it asks.
//!
//! Nothing runs when nobody asks, and no more than a page is held, however slow the watcher is: what it has not read stays in the
//! store.

use std::collections::VecDeque;
use std::time::Duration;

use sluice_domain::{AccountId, Timestamp};

use super::tail::{Post, Tail};
use crate::change::{Change, Place, Told};
use crate::error::Error;
use crate::pause::{Before, Pause, Pauses};
use crate::store::{Revision, Store};

/// After so long without anything to tell, the watcher is told how far it has come.
const QUIET: Duration = Duration::from_secs(10);
/// How many revisions of the feed, everybody's, one statement walks.
const SPAN: i64 = 16_384;
/// How many transactions of the account it reads.
const TRANSACTIONS: i64 = 64;
/// How many changes are told at once.
const TOLD_AT_ONCE: usize = 256;

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With what happens from now on.
    Now,
    /// With the oldest change that is kept.
    Oldest,
    /// Where another watch has come.
    At(Place),
}

/// What a watcher is told.
#[derive(Debug, Clone)]
pub enum Item {
    /// A change of an execution.
    Change(Box<Told>),
    /// A gate closed, is closed otherwise, or opened.
    Gate(Before, Option<Pause>),
    /// Nothing but how far it has come.
    Progress,
}

/// A watcher's place; dropped with its stream.
pub struct Watch {
    store: Store,
    account: AccountId,
    post: Post,
    /// How far it was told; unknown until the end of the feed is, when it begins now.
    place: Option<Place>,
    /// The end of the feed, and the one up to which it has to look for itself.
    horizon: Option<(i64, i64)>,
    /// What is read and not told yet, each with the place behind it.
    read: VecDeque<(Place, Timestamp, Change)>,
    ready: VecDeque<(Place, Item)>,
    gates: Gates,
}

/// What the watcher knows of the gates.
#[derive(Debug, Default)]
struct Gates {
    known: Pauses,
    /// Whether they have to be looked at again.
    stale: bool,
    /// Whether they were told for the first time.
    told: bool,
    /// After how long one of them opens by itself.
    opens_in: Option<Duration>,
}

impl Watch {
    /// Takes a place among those who watch.
    ///
    /// # Errors
    /// When the account has as many watches as it may, when the cursor is none of what is kept, or when the database does not answer.
    pub async fn start(store: Store, tail: &Tail, account: AccountId, start: Start) -> Result<Self, Error> {
        let kept = store.kept().await?;
        let place = match start {
            Start::Now => None,
            Start::Oldest => Some(Place::behind(kept.pruned)),
            Start::At(place) if (kept.pruned..=kept.newest).contains(&place.after()) => Some(place),
            Start::At(_) => return Err(Error::CursorTooOld),
        };
        let post = tail.take(&account).ok_or_else(|| Error::TooManyWatches(account.clone()))?;
        let gates = Gates { stale: true, ..Gates::default() };
        let (read, ready) = (VecDeque::new(), VecDeque::new());
        Ok(Self { store, account, post, place, horizon: None, read, ready, gates })
    }

    /// The next thing to tell, with the place to go on from; waits until there is one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the watcher fell so far behind that changes it needs are gone, or the database does not answer.
    pub async fn next(&mut self) -> Result<(Place, Item), Error> {
        loop {
            if let Some((place, item)) = self.ready.pop_front() {
                self.place = Some(place);
                return Ok((place, item));
            }
            let (place, horizon) = self.begun().await;
            if !self.read.is_empty() {
                self.tell().await?;
            } else if self.gates.stale {
                self.look_at_gates(place).await?;
            } else if place.after() < horizon {
                self.follow(place, horizon).await?;
            } else {
                self.wait(place).await;
            }
        }
    }

    /// Where it stands and where the feed ends; waits until that is known.
    async fn begun(&mut self) -> (Place, i64) {
        let horizon = match self.horizon {
            Some((horizon, _)) => horizon,
            None => {
                let first = self.post.first().await;
                self.horizon = Some((first, first));
                first
            }
        };
        (*self.place.get_or_insert(Place::behind(horizon)), horizon)
    }

    /// Reads what the next changes speak of.
    async fn tell(&mut self) -> Result<(), Error> {
        let count = self.read.len().min(TOLD_AT_ONCE);
        let changes: Vec<(Timestamp, Change)> =
            self.read.iter().take(count).map(|(_, at, change)| (*at, *change)).collect();
        let told = self.store.tell(&self.account, &changes).await?;
        for ((place, ..), told) in self.read.drain(..count).zip(told) {
            match told {
                Some(told) => self.ready.push_back((place, Item::Change(Box::new(told)))),
                // Retention was faster; what is gone is not told.
                None => match self.ready.back_mut() {
                    Some((last, _)) => *last = place,
                    None => self.place = Some(place),
                },
            }
        }
        Ok(())
    }

    async fn look_at_gates(&mut self, place: Place) -> Result<(), Error> {
        let (now, pauses) = self.store.pauses(&self.account).await?;
        let told = pauses.since(&self.gates.known).into_iter();
        self.ready.extend(told.map(|(before, pause)| (place, Item::Gate(before, pause))));
        if !self.gates.told {
            self.ready.push_back((place, Item::Progress));
        }
        let opens_in = pauses.next_end().map(|end| end.since(now).to_duration());
        self.gates = Gates { known: pauses, stale: false, told: true, opens_in };
        Ok(())
    }

    /// Reads the next page of the account's changes.
    async fn follow(&mut self, place: Place, horizon: i64) -> Result<(), Error> {
        let after = place.after();
        let own = self.horizon.map_or(horizon, |(_, own)| own);
        if after >= own && !self.post.has_changes_behind(after) {
            self.place = Some(Place::behind(horizon));
            return Ok(());
        }
        let until = horizon.min(after.saturating_add(SPAN));
        let rows = self.store.changes(&self.account, after, until, TRANSACTIONS).await?;
        // Asked after the rows were read: what was pruned in between would be missing among them.
        if self.store.kept().await?.pruned > after {
            return Err(Error::CursorTooOld);
        }
        let whole = i64::try_from(rows.len()).unwrap_or(TRANSACTIONS) < TRANSACTIONS;
        self.gates.stale |= !rows.is_empty();
        let reached = rows.last().filter(|_| !whole).map_or(until, |row| row.revision);
        for row in rows {
            self.take(place, row);
        }
        // With nothing to tell it has come that far; else the last change takes it there.
        match self.read.back_mut() {
            Some((last, ..)) => *last = Place::behind(reached),
            None => self.place = Some(Place::behind(reached)),
        }
        Ok(())
    }

    /// Takes up what of a transaction was not told before.
    fn take(&mut self, place: Place, row: Revision) {
        let Revision { revision, at, changes } = row;
        let untold = changes.into_iter().enumerate().skip(place.told_of(revision));
        self.read.extend(untold.map(|(told, change)| (Place::within(revision, told + 1), at, change)));
    }

    /// Waits until it is worth looking again, or somebody should hear that nothing happens.
    async fn wait(&mut self, place: Place) {
        let opens_in = self.gates.opens_in;
        let opened = async {
            match opens_in {
                Some(span) => tokio::time::sleep(span.max(Duration::from_millis(1))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            horizon = self.post.beyond(place.after()) => {
                self.horizon = self.horizon.map(|(_, own)| (horizon, own));
            }
            () = opened => self.gates.stale = true,
            () = tokio::time::sleep(QUIET) => self.ready.push_back((place, Item::Progress)),
        }
    }
}
