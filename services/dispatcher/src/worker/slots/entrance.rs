//! The entrance: what arrives while all its seats are taken waits a moment for one, as long as they come free soon.
//!
//! An event that is accepted without a seat is written for the queue, found there and marked once there is one: a quarter of the
//! whole delivery's cost once more. So where requests end about as fast as events arrive, producers are answered a little later
//! instead, and nothing queues on disk. Where requests end slowly nobody waits: what is accepted then queues for long in any case.

use std::collections::VecDeque;

use sluice_domain::{AccountId, Span, Timestamp};
use tokio::sync::oneshot;

use super::{Slots, Taken, limit};
use crate::receiver::Seats;

/// The longest wait.
pub(super) const PATIENCE: Span = Span::from_millis(500);
/// What comes free is counted in periods of this length.
const PERIOD: Span = Span::from_millis(250);
/// How many accounts are looked at when a seat has come free.
const LOOKS: usize = 16;

/// How fast seats come free.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    period: i64,
    /// In this period, and in the one before.
    freed: [usize; 2],
    /// Since when not all of them are free.
    since: Timestamp,
}

/// Those of an account who are on their way to a seat.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// How many seats those who were let in want.
    pub(super) coming: usize,
    /// Who waits, with how many seats each wants.
    line: VecDeque<(usize, oneshot::Sender<()>)>,
    pub(super) pace: Pace,
}

/// The accounts of which somebody waits, in turn.
#[derive(Debug, Default)]
pub(super) struct Entrance {
    ring: VecDeque<AccountId>,
    /// How many seats those who were let in want.
    pub(super) coming: usize,
    waiting: usize,
    pub(super) pace: Pace,
}

/// What was let in, until it has its seats or needs none.
#[derive(Debug)]
pub(in crate::worker) struct Coming {
    slots: Slots,
    account: AccountId,
    wanted: usize,
    waits: Option<oneshot::Receiver<()>>,
}

impl Pace {
    /// The first seat is taken.
    pub(super) const fn begin(&mut self, now: Timestamp) {
        self.since = now;
    }

    /// A seat came free.
    pub(super) fn free(&mut self, now: Timestamp) {
        self.turn(now);
        self.freed[0] += 1;
    }

    /// Whether one will come free soon for somebody who has so many before him, as far as can be known.
    fn is_soon(&mut self, now: Timestamp, ahead: usize) -> bool {
        self.turn(now);
        self.freed.iter().sum::<usize>() > ahead || now.since(self.since) < PATIENCE
    }

    fn turn(&mut self, now: Timestamp) {
        let period = now.as_micros().div_euclid(PERIOD.as_micros());
        if period > self.period {
            let before = if period - self.period == 1 { self.freed[0] } else { 0 };
            (self.period, self.freed) = (period, [0, before]);
        }
    }
}

impl Arrivals {
    /// Whether nobody is on the way.
    pub(super) fn is_nothing(&self) -> bool {
        self.coming == 0 && self.line.is_empty()
    }
}

#[cfg(test)]
impl Entrance {
    /// Whether anybody waits.
    pub(super) fn waits(&self) -> bool {
        self.waiting > 0 || !self.ring.is_empty()
    }
}

impl Slots {
    /// Lets something in that wants so many seats: at once, or when its account's turn comes to a seat, or after [`PATIENCE`]. To be
    /// held until it has its seats.
    pub(in crate::worker) async fn enter(&self, account: &AccountId, wanted: usize) -> Coming {
        let mut coming = self.arrive(account, wanted);
        if let Some(turn) = &mut coming.waits {
            let told = tokio::time::timeout(PATIENCE.to_duration(), &mut *turn).await.is_ok();
            if !told && !was_told(turn) {
                self.taken().enter(account, wanted);
            }
            coming.waits = None;
        }
        coming
    }

    fn arrive(&self, account: &AccountId, wanted: usize) -> Coming {
        let (taken, now) = (&mut *self.taken(), self.0.clock.now());
        let waits = taken.makes_wait(account, now, self.0.total);
        let waits = if waits {
            let turn = taken.line_up(account, wanted);
            // Those before it may have gone away.
            taken.let_in(self.0.total);
            Some(turn)
        } else {
            taken.enter(account, wanted);
            None
        };
        Coming { slots: self.clone(), account: account.clone(), wanted, waits }
    }
}

/// Ends the wait: whether its turn had come all the same.
fn was_told(turn: &mut oneshot::Receiver<()>) -> bool {
    turn.close();
    turn.try_recv().is_ok()
}

impl Drop for Coming {
    fn drop(&mut self) {
        let taken = &mut *self.slots.taken();
        if self.waits.as_mut().is_some_and(|turn| !was_told(turn)) {
            return;
        }
        taken.entrance.coming = taken.entrance.coming.saturating_sub(self.wanted);
        if let Some(account) = taken.by_account.get_mut(&self.account) {
            account.arrivals.coming = account.arrivals.coming.saturating_sub(self.wanted);
            if account.is_nothing() {
                taken.by_account.remove(&self.account);
            }
        }
        taken.let_in(self.slots.0.total);
    }
}

impl Taken {
    fn enter(&mut self, account: &AccountId, wanted: usize) {
        self.entrance.coming += wanted;
        self.account(account).arrivals.coming += wanted;
    }

    /// Whether something that arrives now had better wait.
    fn makes_wait(&mut self, account: &AccountId, now: Timestamp, total: usize) -> bool {
        let seats = self.left(total);
        let for_its_own = self.by_account.get_mut(account).is_some_and(|account| {
            let arrivals = &mut account.arrivals;
            let is_full = account.own + arrivals.coming >= limit(seats);
            (is_full || !arrivals.line.is_empty()) && arrivals.pace.is_soon(now, arrivals.line.len())
        });
        for_its_own || seats.free == 0 && self.entrance.pace.is_soon(now, self.entrance.waiting)
    }

    fn line_up(&mut self, account: &AccountId, wanted: usize) -> oneshot::Receiver<()> {
        let (turn, told) = oneshot::channel();
        self.entrance.waiting += 1;
        let line = &mut self.account(account).arrivals.line;
        line.push_back((wanted, turn));
        if line.len() == 1 {
            self.entrance.ring.push_back(account.clone());
        }
        told
    }

    /// Lets in who waits, the accounts in turn, as far as there are seats.
    pub(super) fn let_in(&mut self, total: usize) {
        for _ in 0..LOOKS {
            let seats = self.left(total);
            if seats.free == 0 {
                return;
            }
            let Some(name) = self.entrance.ring.pop_front() else { return };
            let Some(account) = self.by_account.get_mut(&name) else { continue };
            let arrivals = &mut account.arrivals;
            if account.own + arrivals.coming < limit(seats) {
                while let Some((wanted, turn)) = arrivals.line.pop_front() {
                    self.entrance.waiting -= 1;
                    // Who has gone away needs none.
                    if turn.send(()).is_ok() {
                        arrivals.coming += wanted;
                        self.entrance.coming += wanted;
                        break;
                    }
                }
            }
            if !arrivals.line.is_empty() {
                self.entrance.ring.push_back(name);
            } else if account.is_nothing() {
                self.by_account.remove(&name);
            }
        }
    }

    /// The seats, those among them taken that somebody is on the way to.
    fn left(&self, total: usize) -> Seats {
        Seats { total, free: total.saturating_sub(self.all + self.entrance.coming) }
    }
}
