//! A plain model of what may start when: GCRA by virtual scheduling, a monthly allowance, acceptance order. It shares no code
//! with the store.

use std::collections::BTreeMap;

use sluice_domain::{AccountId, Entitlements, ExecutionId, Timestamp};

use super::simulated::bucket::{Bucket, month};

/// What kind of gate a start passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Execution,
    Notification,
}

/// An accepted execution that has not ended.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) id: ExecutionId,
    pub(crate) kind: Kind,
    pub(crate) started: bool,
    /// When it may be tried next.
    pub(crate) ready_at: Timestamp,
    /// Until when somebody has it.
    pub(crate) held_until: Option<Timestamp>,
    pub(crate) interruptions: u32,
}

/// One account.
#[derive(Debug, Clone, Default)]
struct Account {
    version: i64,
    automations: bool,
    executions: Bucket,
    notifications: Bucket,
    allowance: Option<i64>,
    used: i64,
    granted: i64,
    month: i32,
    /// Whether an operator holds everything back.
    paused: bool,
    /// In order of acceptance.
    items: Vec<Item>,
}

/// All accounts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model(BTreeMap<AccountId, Account>);

impl Account {
    fn roll(&mut self, now: Timestamp) {
        if self.month != month(now) {
            (self.month, self.used, self.granted) = (month(now), 0, 0);
        }
    }

    fn admits(&mut self, kind: Kind, now: Timestamp) -> bool {
        if self.version == 0 || self.paused {
            return false;
        }
        match kind {
            Kind::Notification => self.notifications.admits(now),
            Kind::Execution => {
                self.roll(now);
                self.automations
                    && self.allowance.is_none_or(|amount| self.used < amount + self.granted)
                    && self.executions.admits(now)
            }
        }
    }

    fn charge(&mut self, kind: Kind, now: Timestamp) {
        match kind {
            Kind::Notification => self.notifications.take(now),
            Kind::Execution => {
                self.executions.take(now);
                self.used += 1;
            }
        }
    }

    /// Starts what may start, in the order in which its queues are served.
    fn start(&mut self, now: Timestamp, room: &mut usize, lease_end: Timestamp) -> Vec<ExecutionId> {
        let mut started = Vec::new();
        for queue in [None, Some(Kind::Execution), Some(Kind::Notification)] {
            for at in 0..self.items.len() {
                let item = &self.items[at];
                let its_queue = if item.started { None } else { Some(item.kind) };
                if item.held_until.is_some()
                    || item.ready_at > now
                    || its_queue != queue
                    || *room == 0
                    || self.paused
                {
                    continue;
                }
                if let Some(kind) = queue {
                    if !self.admits(kind, now) {
                        break;
                    }
                    self.charge(kind, now);
                }
                let item = &mut self.items[at];
                (item.started, item.held_until) = (true, Some(lease_end));
                started.push(item.id);
                *room -= 1;
            }
        }
        started
    }
}

impl Model {
    pub(crate) fn entitle(&mut self, account: &AccountId, to: &Entitlements, now: Timestamp) {
        let account = self.0.entry(account.clone()).or_default();
        account.roll(now);
        (account.version, account.automations) = (to.version, to.automations);
        if to.automations {
            // A plan without automations leaves what is used, and what of it counts, as it was.
            account.allowance = to.allowance.map(|allowance| allowance.amount);
            account.executions.change(to.executions, now);
        }
        account.notifications.change(to.notifications, now);
    }

    /// Adds to the period that runs; says whether one does.
    pub(crate) fn grant(&mut self, account: &AccountId, units: i64, now: Timestamp) -> bool {
        let Some(account) = self.0.get_mut(account).filter(|account| account.version > 0) else {
            return false;
        };
        account.roll(now);
        account.granted += units;
        true
    }

    /// Holds everything back, or no longer; says whether the account is there.
    pub(crate) fn pause(&mut self, account: &AccountId, paused: bool) -> bool {
        self.0.get_mut(account).map(|account| account.paused = paused).is_some()
    }

    /// What one account's claim must get.
    pub(crate) fn claim(
        &mut self,
        account: &AccountId,
        now: Timestamp,
        mut room: usize,
        lease_end: Timestamp,
    ) -> Vec<ExecutionId> {
        self.0.entry(account.clone()).or_default().start(now, &mut room, lease_end)
    }

    /// What an acceptance must claim: of each account what was ready before, then what is new, in order.
    pub(crate) fn accept(
        &mut self,
        fresh: &[(AccountId, Item)],
        now: Timestamp,
        mut room: usize,
        lease_end: Timestamp,
    ) -> Vec<ExecutionId> {
        let mut by_account: BTreeMap<&AccountId, Vec<&Item>> = BTreeMap::new();
        for (account, item) in fresh {
            by_account.entry(account).or_default().push(item);
        }
        let mut claimed = Vec::new();
        for (name, fresh) in by_account {
            let account = self.0.entry(name.clone()).or_default();
            claimed.extend(account.start(now, &mut room, lease_end));
            for item in fresh {
                let mut item = item.clone();
                let overtakes = account.items.iter().any(|older| {
                    !older.started
                        && older.kind == item.kind
                        && older.held_until.is_none()
                        && older.ready_at <= now
                });
                if room > 0 && item.ready_at <= now && !overtakes && account.admits(item.kind, now) {
                    account.charge(item.kind, now);
                    (item.started, item.held_until) = (true, Some(lease_end));
                    claimed.push(item.id);
                    room -= 1;
                }
                account.items.push(item);
            }
        }
        claimed
    }

    /// One that is under way.
    pub(crate) fn item(&mut self, account: &AccountId, id: ExecutionId) -> &mut Item {
        let items = &mut self.0.get_mut(account).unwrap().items;
        items.iter_mut().find(|item| item.id == id).unwrap()
    }

    /// It has ended.
    pub(crate) fn end(&mut self, account: &AccountId, id: ExecutionId) {
        self.0.get_mut(account).unwrap().items.retain(|item| item.id != id);
    }

    /// Everything that is not ended.
    pub(crate) fn items(&mut self) -> impl Iterator<Item = &mut Item> {
        self.0.values_mut().flat_map(|account| account.items.iter_mut())
    }

    /// How much of an account waits.
    pub(crate) fn waiting(&self, account: &AccountId) -> usize {
        let Some(account) = self.0.get(account) else { return 0 };
        account.items.iter().filter(|item| item.held_until.is_none()).count()
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::{Rate, Span};

    use super::*;

    #[test]
    fn the_model_itself_admits_a_burst_and_then_a_cell_at_a_time() {
        let start = Timestamp::from_micros(1_767_225_600_000_000);
        let mut bucket = Bucket::default();
        bucket.change(Rate { units: 60, per: Span::from_secs(60), burst: 2 }, start);
        let mut admitted = Vec::new();
        for tenth in 0..40 {
            let now = start.plus(Span::from_millis(tenth * 100));
            while bucket.admits(now) {
                bucket.take(now);
                admitted.push(tenth);
            }
        }
        assert_eq!(admitted, [0, 0, 10, 20, 30]);
    }
}
