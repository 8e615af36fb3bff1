//! How much may be claimed and not yet reported by this process: a bounded number of seats, of which no account gets more than its
//! share once they become few.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sluice_domain::AccountId;
use tokio::sync::Notify;

/// The part of all seats that one account may have while more than half are taken.
const SHARE: usize = 8;

/// The seats of a process.
#[derive(Debug, Clone)]
pub struct Slots(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    total: usize,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_account: HashMap<AccountId, usize>,
}

/// One seat that is taken; dropping it frees it.
#[derive(Debug)]
pub struct Seat {
    slots: Slots,
    account: AccountId,
}

impl Slots {
    /// This many seats.
    pub fn new(total: usize) -> Self {
        Self(Arc::new(Shared { total, taken: Mutex::default(), freed: Notify::new() }))
    }

    /// How many seats are free.
    pub fn free(&self) -> usize {
        self.0.total.saturating_sub(self.taken().all)
    }

    /// How many of them this account may have now.
    pub fn share(&self, account: &AccountId) -> usize {
        let taken = self.taken();
        let free = self.0.total.saturating_sub(taken.all);
        let limit = if free * 2 > self.0.total { self.0.total / 2 } else { self.0.total / SHARE };
        let own = taken.by_account.get(account).copied().unwrap_or(0);
        limit.max(1).saturating_sub(own).min(free)
    }

    /// Takes a seat, also beyond the limits: what is claimed has to sit somewhere.
    pub fn take(&self, account: &AccountId) -> Seat {
        let mut taken = self.taken();
        taken.all += 1;
        *taken.by_account.entry(account.clone()).or_insert(0) += 1;
        Seat { slots: self.clone(), account: account.clone() }
    }

    /// Waits until a seat was freed.
    pub async fn freed(&self) {
        self.0.freed.notified().await;
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.slots.taken();
        taken.all = taken.all.saturating_sub(1);
        if let Some(own) = taken.by_account.get_mut(&self.account) {
            *own -= 1;
            if *own == 0 {
                taken.by_account.remove(&self.account);
            }
        }
        drop(taken);
        self.slots.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> AccountId {
        name.parse().unwrap()
    }

    #[test]
    fn one_account_leaves_seats_for_the_others_and_they_come_back() {
        let (slots, flood, other) = (Slots::new(16), account("flood"), account("other"));
        let mut seats = Vec::new();
        while slots.share(&flood) > 0 {
            seats.push(slots.take(&flood));
        }
        assert_eq!(seats.len(), 8, "half of all while the rest is free");
        assert_eq!(slots.share(&other), 2, "an eighth from then on");
        drop(seats);
        assert_eq!((slots.free(), slots.share(&other)), (16, 8));
    }

    #[test]
    fn a_single_seat_can_be_had() {
        let (slots, acme) = (Slots::new(1), account("acme"));
        assert_eq!(slots.share(&acme), 1);
        let _seat = slots.take(&acme);
        assert_eq!((slots.share(&acme), slots.free()), (0, 0));
    }

    #[tokio::test]
    async fn a_freed_seat_is_told() {
        let slots = Slots::new(1);
        drop(slots.take(&account("acme")));
        slots.freed().await;
    }
}
