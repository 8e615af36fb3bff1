//! How many requests one receiver may have under way in a process: as many as it answers soon, few while that is not known, and
//! none more while too many of them hang.
//!
//! Like a congestion window: each answer that comes soon earns a place more, so that a receiver that keeps up is held by nothing
//! but the seats there are; answers that come late halve what was earned. So one that hangs has taken little before anybody knows.

use std::collections::HashMap;

use sluice_domain::{Timestamp, WebhookId};

/// How many microseconds one period has: a request is stuck once a whole one has passed since that in which it began.
const PERIOD_US: i64 = 1_000_000;
/// The part of the free seats that a receiver may have of which nothing is known yet.
const PART: usize = 16;
/// At least so many, however few are free.
const FEW: usize = 8;
/// One that was slow gets none of the last seats: this part of all is kept for the others.
const KEPT: usize = 8;

/// The seats of a process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seats {
    /// All there are.
    pub total: usize,
    /// Those that nobody has.
    pub free: usize,
}

/// What is known of one receiver: how many requests are under way, since when, and how soon it has answered.
#[derive(Debug, Clone, Default)]
pub struct Receiver {
    taken: usize,
    /// Of those, begun in this period, and in the one before.
    recent: [usize; 2],
    period: i64,
    /// The most that were under way at once, in this period and in the one before.
    peaks: [usize; 2],
    earned: usize,
    slow: bool,
}

/// In which period a request began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun(i64);

impl Seats {
    /// What a receiver of which nothing is known may have.
    fn at_first(self) -> usize {
        (self.free / PART).max(FEW)
    }
}

impl Receiver {
    /// A request begins.
    pub fn take(&mut self, now: Timestamp) -> Begun {
        self.turn(now);
        self.taken += 1;
        self.recent[0] += 1;
        self.peaks[0] = self.peaks[0].max(self.taken);
        Begun(self.period)
    }

    /// A request ended; `total` bounds what a receiver can earn.
    pub fn free(&mut self, begun: Begun, now: Timestamp, total: usize) {
        self.turn(now);
        self.taken = self.taken.saturating_sub(1);
        let recent = usize::try_from(self.period - begun.0).ok().and_then(|age| self.recent.get_mut(age));
        self.slow = recent.is_none();
        if let Some(count) = recent {
            *count = count.saturating_sub(1);
            // Only what is used is earned.
            if self.earned < self.peaks[0].max(self.peaks[1]) * 2 {
                self.earned = (self.earned + 1).min(total);
            }
        } else {
            self.earned /= 2;
        }
    }

    /// How many of its requests hang.
    pub fn stuck(&mut self, now: Timestamp) -> usize {
        self.turn(now);
        self.taken.saturating_sub(self.recent.iter().sum())
    }

    /// How many more it may have under way now.
    pub fn opening(&mut self, now: Timestamp, seats: Seats) -> usize {
        let at_first = seats.at_first();
        if self.stuck(now) >= at_first || (self.slow && seats.free < seats.total / KEPT) {
            return 0;
        }
        (at_first + self.earned).saturating_sub(self.taken).min(seats.free)
    }

    /// Whether it is as good as one of which nothing is known.
    pub const fn is_forgettable(&self) -> bool {
        self.taken == 0 && self.earned < FEW && !self.slow
    }

    /// How many requests are under way.
    pub const fn taken(&self) -> usize {
        self.taken
    }

    /// Whether nothing is under way.
    pub const fn is_idle(&self) -> bool {
        self.taken == 0
    }

    fn turn(&mut self, now: Timestamp) {
        let period = now.as_micros().div_euclid(PERIOD_US);
        if period > self.period {
            let next = period - self.period == 1;
            self.recent = [0, if next { self.recent[0] } else { 0 }];
            self.peaks = [self.taken, if next { self.peaks[0] } else { self.taken }];
            self.period = period;
        }
    }
}

/// How many more requests the receivers of one account may have under way, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Openings {
    known: HashMap<WebhookId, usize>,
    others: usize,
    /// When a rate lets those start again that have nothing left by it; where there are rates, each is counted.
    paced: Option<HashMap<WebhookId, Timestamp>>,
}

impl Openings {
    /// No receiver is held back.
    pub fn unbounded() -> Self {
        Self { known: HashMap::new(), others: usize::MAX, paced: None }
    }

    /// Those of which nothing is known may have `others` each.
    pub fn of_unknown(seats: Seats) -> Self {
        Self { known: HashMap::new(), others: seats.at_first().min(seats.free), paced: None }
    }

    /// Says how many one may have.
    pub fn set(&mut self, webhook: WebhookId, more: usize) {
        self.known.insert(webhook, more);
    }

    /// Says how many one may have by its rate, and when there is another one for it.
    pub fn pace(&mut self, webhook: WebhookId, more: usize, then: Option<Timestamp>) {
        let open = self.of(webhook);
        let paced = self.paced.get_or_insert_default();
        if let Some(then) = then.filter(|_| more < open) {
            paced.insert(webhook, then);
        }
        self.set(webhook, more.min(open));
    }

    /// When a rate lets this one start again, if that is what holds it back.
    pub fn paced_until(&self, webhook: WebhookId) -> Option<Timestamp> {
        self.paced.as_ref().and_then(|paced| paced.get(&webhook)).copied()
    }

    /// How many more this one may have.
    pub fn of(&self, webhook: WebhookId) -> usize {
        self.known.get(&webhook).copied().unwrap_or(self.others)
    }

    /// Takes one of them.
    pub fn take(&mut self, webhook: WebhookId) {
        let left = self.of(webhook).saturating_sub(1);
        if self.others != usize::MAX || self.known.contains_key(&webhook) {
            self.known.insert(webhook, left);
        }
    }

    /// Whether so many can be had of any of them, so that none needs to be looked at.
    pub fn all_allow(&self, wanted: usize) -> bool {
        self.paced.is_none() && self.others >= wanted && self.known.values().all(|more| *more >= wanted)
    }
}

/// What of an account may be claimed at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// In all.
    pub seats: usize,
    /// Of each receiver.
    pub openings: Openings,
    /// Whether to look also where the account's row says that nothing could start: for the claim that follows when a receiver that
    /// was full has room again.
    pub looks: bool,
}

impl From<usize> for Share {
    fn from(seats: usize) -> Self {
        Self { seats, openings: Openings::unbounded(), looks: false }
    }
}

/// Receivers for which ready work was left where it is, since they have as much under way as they may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The receivers, and until when their own rate holds them back, if that does.
    pub receivers: Vec<(WebhookId, Option<Timestamp>)>,
    /// By the database's clock under the account's lock: what was found later weighs more.
    pub at: Timestamp,
    /// Whether these are all there are; else only some of the account's work was looked at.
    pub all: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEATS: Seats = Seats { total: 1_024, free: 1_024 };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(1_795_000_000_000_000 + millis * 1_000)
    }

    /// Takes all it may have, and answers all of that so much later; says how many there were.
    fn round(receiver: &mut Receiver, now: i64, later: i64) -> usize {
        let begun: Vec<Begun> =
            (0..receiver.opening(at(now), SEATS)).map(|_| receiver.take(at(now))).collect();
        begun.iter().for_each(|begun| receiver.free(*begun, at(now + later), SEATS.total));
        begun.len()
    }

    #[test]
    fn a_receiver_that_answers_soon_is_soon_held_by_nothing_but_the_seats() {
        let mut receiver = Receiver::default();
        let rounds: Vec<usize> = (0..6).map(|at| round(&mut receiver, at * 20, 20)).collect();
        assert_eq!(rounds, [64, 128, 256, 512, 1_024, 1_024]);
    }

    #[test]
    fn only_what_is_used_is_earned() {
        let mut receiver = Receiver::default();
        for now in 0..1_000 {
            let begun = receiver.take(at(now));
            receiver.free(begun, at(now), SEATS.total);
        }
        assert_eq!(receiver.opening(at(1_000), SEATS), 66);
    }

    #[test]
    fn one_that_hangs_gets_few_seats_and_then_no_more() {
        let mut receiver = Receiver::default();
        let first: Vec<Begun> = (0..receiver.opening(at(0), SEATS)).map(|_| receiver.take(at(0))).collect();
        assert_eq!((first.len(), receiver.opening(at(500), SEATS)), (64, 0));
        assert_eq!((receiver.stuck(at(900)), receiver.stuck(at(2_000))), (0, 64));
        first.iter().for_each(|begun| receiver.free(*begun, at(15_000), SEATS.total));
        assert_eq!(receiver.opening(at(15_000), SEATS), 64, "those that ended may be followed by others");
    }

    #[test]
    fn one_that_was_fast_and_hangs_gets_no_more_once_a_few_are_stuck() {
        let mut receiver = Receiver::default();
        (0..5).for_each(|at| assert!(round(&mut receiver, at * 20, 20) > 0));
        let begun: Vec<Begun> = (0..200).map(|_| receiver.take(at(100))).collect();
        assert!(receiver.opening(at(1_000), SEATS) > 0, "nobody knows yet");
        assert_eq!((receiver.opening(at(2_100), SEATS), receiver.stuck(at(2_100))), (0, 200));
        begun.iter().for_each(|begun| receiver.free(*begun, at(15_100), SEATS.total));
        assert_eq!(receiver.opening(at(15_100), SEATS), 64, "and begins anew");
    }

    #[test]
    fn one_that_was_slow_leaves_the_last_seats_to_others() {
        let few = Seats { free: 100, ..SEATS };
        let mut receiver = Receiver::default();
        let begun = receiver.take(at(0));
        receiver.free(begun, at(5_000), few.total);
        assert_eq!((receiver.opening(at(5_000), few), Receiver::default().opening(at(0), few)), (0, 8));
        assert!(!receiver.is_forgettable() && Receiver::default().is_forgettable());
    }

    #[test]
    fn openings_are_taken_one_by_one() {
        let (one, two) = (WebhookId::from_bytes([1; 16]), WebhookId::from_bytes([2; 16]));
        let mut openings = Openings::of_unknown(SEATS);
        openings.set(one, 1);
        assert!(openings.all_allow(1) && !openings.all_allow(2));
        openings.take(one);
        openings.take(two);
        assert_eq!((openings.of(one), openings.of(two)), (0, 63));
        let mut unbounded = Openings::unbounded();
        unbounded.take(one);
        assert!(unbounded.all_allow(usize::MAX));
    }
}
