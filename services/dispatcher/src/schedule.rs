//! Which of an account's ready work starts now, and when the account has next something to do.
//!
//! The queues are served in the order of [`Turn::ALL`], each oldest first, as far as quota and room go. What is left ready in a queue
//! lets nothing newer of that queue overtake it; what is left for a receiver that has as much under way as it may, nothing newer for
//! that receiver.

use std::collections::BTreeSet;

use sluice_domain::{Span, Timestamp, WebhookId};

use crate::line::IN_LINE;
use crate::quota::AccountQuota;
use crate::receiver::{Held, Share};
use crate::turn::Turn;

/// After how long work that was left for a full receiver is looked at in any case: who filled it sees sooner that it has room
/// again, unless that was another process, or one that is no more.
const HELD_FOR: Span = Span::from_secs(30);

/// One look at an account's work, under the account's lock.
#[derive(Debug, Clone)]
pub struct Round {
    now: Timestamp,
    share: Share,
    looked: bool,
    more: Vec<Turn>,
    more_due: bool,
    held: BTreeSet<WebhookId>,
}

impl Round {
    /// Begins one with this share of the seats. What waits is looked at only where the account's row says that something of it may
    /// start, or where a receiver has room again: else nothing can, and what waits for quota lets nothing newer of its turn start
    /// either.
    pub fn begin(quota: &AccountQuota, now: Timestamp, share: impl Into<Share>) -> Self {
        let share = share.into();
        let due = quota.wake_at.is_some_and(|wake_at| wake_at <= now);
        let looked = quota.waiting == 0 || due || share.looks;
        Self { now, share, looked, more: Vec::new(), more_due: false, held: BTreeSet::new() }
    }

    /// The time that all its decisions are made for.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// How much more may start.
    pub const fn room(&self) -> usize {
        self.share.seats
    }

    /// Whether what waits is to be looked at.
    pub const fn looks(&self, quota: &AccountQuota) -> bool {
        self.looked && quota.waiting > 0
    }

    /// More is due than could be made ready: nothing new overtakes it, and the account is looked at again at once.
    pub const fn leaves_due(&mut self) {
        self.more_due = true;
    }

    /// How much of this turn may start. To know whether more is ready, one more than that is to be asked for.
    pub fn affordable(&self, quota: &AccountQuota, turn: Turn) -> usize {
        quota.available(turn, self.now, self.share.seats)
    }

    /// Of `found` ready ones of this turn, oldest first, so many start; they are charged and no longer wait. `affordable` is what
    /// [`Self::affordable`] said of this turn.
    pub fn start(&mut self, quota: &mut AccountQuota, turn: Turn, affordable: usize, found: usize) -> usize {
        if found > affordable {
            self.more.push(turn);
        }
        let starts = found.min(affordable);
        quota.spend(turn, self.now, starts);
        quota.waiting -= i64::try_from(starts).unwrap_or(0);
        self.share.seats -= starts;
        starts
    }

    /// Whether what is ready has to be asked for receiver by receiver, since one of them may have less than there is room for.
    pub fn asks_receivers(&self) -> bool {
        !self.share.openings.all_allow(self.share.seats)
    }

    /// How many more a receiver may have.
    pub fn opening(&self, webhook: WebhookId) -> usize {
        self.share.openings.of(webhook)
    }

    /// The same as [`Self::start`], of work whose receivers are known: says which start. What is left for a full receiver stays where
    /// it is, and lets others overtake it. Of each receiver one more than it may have is to be asked for.
    pub fn start_by_receiver(
        &mut self,
        quota: &mut AccountQuota,
        turn: Turn,
        affordable: usize,
        found: impl IntoIterator<Item = (i64, WebhookId)>,
    ) -> Vec<i64> {
        let (mut starts, mut ready) = (Vec::new(), 0);
        for (seq, webhook) in found {
            if self.opening(webhook) == 0 {
                self.held.insert(webhook);
                continue;
            }
            ready += 1;
            if ready <= affordable {
                self.share.openings.take(webhook);
                starts.push(seq);
            }
        }
        self.start(quota, turn, affordable, ready);
        starts
    }

    /// The receivers for which ready work is left.
    pub fn held(&self) -> Held {
        let until = |webhook: &WebhookId| (*webhook, self.share.openings.paced_until(*webhook));
        Held { receivers: self.held.iter().map(until).collect(), at: self.now, all: self.looked }
    }

    /// Whether a new one for this receiver starts with its acceptance; it is charged then. Else it waits, counted. `ready` says that it
    /// is not delayed, and no gate holds it.
    pub fn admit(&mut self, quota: &mut AccountQuota, turn: Turn, webhook: WebhookId, ready: bool) -> bool {
        let next = ready && !self.more.contains(&turn) && !self.more_due;
        let full = self.opening(webhook) == 0;
        if next && !full && quota.available(turn, self.now, self.share.seats.min(1)) == 1 {
            quota.spend(turn, self.now, 1);
            self.share.seats -= 1;
            self.share.openings.take(webhook);
            return true;
        }
        quota.waiting += 1;
        match (next, full) {
            (true, false) => self.more.push(turn),
            (true, true) => _ = self.held.insert(webhook),
            (false, _) => {}
        }
        false
    }

    /// Whether [`Self::wake_at`] must know when the next of the account's waiting work is due.
    pub const fn depends_on_due(&self, quota: &AccountQuota) -> bool {
        quota.waiting > 0 && !self.more_due && self.looked
    }

    /// When the account has next something to do, where `due` is the next time at which something of it is due; `None` when only an
    /// event from outside can change that.
    pub fn wake_at(&self, quota: &AccountQuota, due: Option<Timestamp>) -> Option<Timestamp> {
        if quota.waiting == 0 {
            return None;
        }
        if self.more_due {
            return Some(self.now);
        }
        let known = if self.looked { None } else { quota.wake_at };
        let due = due.filter(|due| *due != IN_LINE);
        let free = self.more.iter().filter_map(|turn| quota.free_at(*turn, self.now, 0));
        let held = self.held.iter().map(|webhook| {
            self.share.openings.paced_until(*webhook).unwrap_or_else(|| self.now.plus(HELD_FOR))
        });
        free.chain(known).chain(due).chain(held).min()
    }
}

impl AccountQuota {
    /// Work that was under way waits again: the account is looked at when it is due, or earlier.
    pub fn take_back(&mut self, due: Timestamp) {
        self.waiting += 1;
        if due != IN_LINE {
            self.wake_at = Some(self.wake_at.map_or(due, |wake_at| wake_at.min(due)));
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::{Entitlements, Rate, Span};

    use super::*;
    use crate::receiver::Openings;

    fn one() -> WebhookId {
        WebhookId::from_bytes([1; 16])
    }

    fn other() -> WebhookId {
        WebhookId::from_bytes([2; 16])
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_795_000_000_000_000).plus(Span::from_secs(seconds))
    }

    /// An account with this burst and a cell a second, of which so much waits.
    fn quota(burst: u32, waiting: i64) -> AccountQuota {
        let rate = |units, burst| Rate { units, per: Span::from_secs(60), burst };
        let mut quota = AccountQuota::unknown("acme".parse().unwrap());
        quota.apply(
            &Entitlements {
                version: 1,
                plan: "advanced".into(),
                automations: true,
                active_automations: 1,
                steps: 1,
                delays: 1,
                executions: rate(60, burst),
                allowance: None,
                notifications: rate(60, 1),
                max_waiting: 1_000,
                history: Span::from_secs(1),
            },
            at(0),
        );
        AccountQuota { waiting, wake_at: Some(at(0)), ..quota }
    }

    #[test]
    fn what_is_left_for_want_of_quota_wakes_the_account_when_the_next_cell_is_there() {
        let mut quota = quota(2, 5);
        let mut round = Round::begin(&quota, at(0), 10);
        assert!(round.looks(&quota));
        let affordable = round.affordable(&quota, Turn::Execution);
        assert_eq!(round.start(&mut quota, Turn::Execution, affordable, 3), 2);
        assert_eq!((quota.waiting, round.room()), (3, 8));
        assert!(!round.admit(&mut quota, Turn::Execution, one(), true), "it would overtake");
        assert!(round.admit(&mut quota, Turn::Notification, one(), true), "it is of another queue");
        assert_eq!((quota.waiting, round.room()), (4, 7));
        assert_eq!(round.wake_at(&quota, Some(at(9))), Some(at(1)));
        assert_eq!(round.wake_at(&quota, Some(at(0))), Some(at(0)));
    }

    #[test]
    fn without_room_nothing_starts_and_the_account_is_looked_at_again_at_once() {
        let mut quota = quota(2, 0);
        let mut round = Round::begin(&quota, at(0), 0);
        assert!(!round.admit(&mut quota, Turn::Execution, one(), true));
        assert_eq!(round.wake_at(&quota, None), Some(at(0)));
    }

    #[test]
    fn what_is_due_and_not_yet_ready_is_overtaken_by_nothing() {
        let mut quota = quota(2, 3);
        let mut round = Round::begin(&quota, at(0), 10);
        round.leaves_due();
        assert!(!round.admit(&mut quota, Turn::Execution, one(), true));
        assert_eq!(round.wake_at(&quota, None), Some(at(0)));
    }

    #[test]
    fn an_account_whose_time_has_not_come_is_not_looked_at_and_keeps_its_time() {
        let mut quota = AccountQuota { wake_at: Some(at(5)), ..quota(2, 3) };
        let mut round = Round::begin(&quota, at(0), 10);
        assert!(!round.looks(&quota) && !round.depends_on_due(&quota));
        assert!(!round.admit(&mut quota, Turn::Execution, one(), false), "it is delayed");
        assert_eq!(round.wake_at(&quota, Some(at(7))), Some(at(5)));
        assert_eq!(round.wake_at(&quota, Some(at(3))), Some(at(3)));
    }

    #[test]
    fn what_a_gate_holds_back_waits_and_keeps_nothing_else_waiting() {
        let mut quota = quota(2, 0);
        let mut round = Round::begin(&quota, at(0), 10);
        assert!(!round.admit(&mut quota, Turn::Execution, one(), false));
        assert!(round.admit(&mut quota, Turn::Execution, one(), true));
        assert_eq!(round.wake_at(&quota, None), None, "only the gate can change that");
    }

    #[test]
    fn a_full_receiver_holds_back_only_its_own_and_is_looked_at_again_in_any_case() {
        let mut quota = quota(10, 4);
        let mut openings = Openings::unbounded();
        openings.set(one(), 1);
        let share = Share { seats: 10, openings, looks: false };
        let mut round = Round::begin(&quota, at(0), share);
        assert!(round.asks_receivers());
        let affordable = round.affordable(&quota, Turn::Execution);
        let found = [(1, one()), (2, one()), (3, other())];
        assert_eq!(round.start_by_receiver(&mut quota, Turn::Execution, affordable, found), [1, 3]);
        assert!(!round.admit(&mut quota, Turn::Execution, one(), true), "it would overtake");
        assert!(round.admit(&mut quota, Turn::Execution, other(), true));
        assert_eq!((quota.waiting, round.room(), round.held().receivers), (3, 7, vec![(one(), None)]));
        assert_eq!(round.wake_at(&quota, None), Some(at(30)));
        assert!(Round::begin(&quota, at(0), Share { looks: true, ..Share::from(1) }).looks(&quota));
    }

    #[test]
    fn what_a_rate_holds_back_is_looked_at_when_there_is_a_cell_for_it() {
        let mut quota = quota(10, 4);
        let mut share = Share::from(10);
        share.openings.pace(one(), 1, Some(at(7)));
        share.openings.pace(other(), 20, None);
        let mut round = Round::begin(&quota, at(0), share);
        assert!(round.asks_receivers());
        let found = [(1, one()), (2, one()), (3, other())];
        assert_eq!(round.start_by_receiver(&mut quota, Turn::Execution, 10, found), [1, 3]);
        assert_eq!((round.opening(one()), round.opening(other())), (0, 19));
        assert_eq!(round.held().receivers, [(one(), Some(at(7)))]);
        assert_eq!(round.wake_at(&quota, None), Some(at(7)));
    }

    #[test]
    fn what_has_an_open_receiver_and_no_quota_is_left_for_want_of_quota() {
        let mut quota = quota(1, 4);
        let mut round = Round::begin(&quota, at(0), 10);
        let found = [(1, one()), (2, one())];
        assert_eq!(round.start_by_receiver(&mut quota, Turn::Execution, 1, found), [1]);
        assert_eq!((round.held().receivers, round.wake_at(&quota, None)), (vec![], Some(at(1))));
    }
}
