//! How much may be claimed and not yet reported by this process: a bounded number of seats, of which no account gets more than its
//! share once they become few, and no receiver more than it answers.

mod entrance;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sluice_domain::{AccountId, Timestamp, WebhookId};
use sluice_runtime::Clock;
use tokio::sync::{Mutex as Turns, MutexGuard as Turn, Notify};

use crate::claim::Claim;
use crate::receiver::{Begun, Held, Openings, Receiver, Seats, Share};
use crate::store::{AccountLimits, Limited};
use entrance::{Arrivals, Entrance};

/// The part of all seats that one account may have while more than half are taken.
const SHARE: usize = 8;
/// How many receivers are known although nothing is under way to them, before those are forgotten.
const KNOWN: usize = 20_000;

/// The seats of a process. Clones share them.
#[derive(Debug, Clone)]
pub struct Slots(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    total: usize,
    clock: Clock,
    limited: Limited,
    /// Who claims work of accounts with limits of their own: one after another, so that none counts the same seat.
    turns: Turns<()>,
    taken: Mutex<Taken>,
    freed: Notify,
    opened: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// How many receivers are known.
    known: usize,
    by_account: HashMap<AccountId, Account>,
    /// Receivers for which ready work was left, and when that was seen.
    held: HashMap<AccountId, HashMap<WebhookId, Left>>,
    entrance: Entrance,
}

#[derive(Debug, Default)]
struct Account {
    own: usize,
    receivers: HashMap<WebhookId, Receiver>,
    arrivals: Arrivals,
}

/// Work that was left for a receiver.
#[derive(Debug, Clone, Copy)]
struct Left {
    seen: Timestamp,
    /// Its own rate holds it back until then.
    until: Option<Timestamp>,
}

/// One seat that is taken; dropping it frees it.
#[derive(Debug)]
pub struct Seat {
    slots: Slots,
    account: AccountId,
    receiver: Option<(WebhookId, Begun)>,
}

impl Slots {
    /// This many seats, for receivers of which some have limits.
    pub fn new(total: usize, clock: Clock, limited: Limited) -> Self {
        let (freed, opened) = (Notify::new(), Notify::new());
        let (turns, taken) = (Turns::default(), Mutex::default());
        Self(Arc::new(Shared { total, clock, limited, turns, taken, freed, opened }))
    }

    /// How many seats are free.
    pub fn free(&self) -> usize {
        self.0.total.saturating_sub(self.taken().all)
    }

    /// To be held from the look at what may be claimed until its seats are taken: nothing where no receiver has limits of its own.
    pub async fn turn(&self, accounts: impl IntoIterator<Item = &AccountId>) -> Option<Turn<'_, ()>> {
        let limited = accounts.into_iter().any(|account| self.0.limited.of(account).is_some());
        if limited { Some(self.0.turns.lock().await) } else { None }
    }

    /// What may be claimed of what waits.
    pub fn share(&self, account: &AccountId) -> Share {
        let limits = self.0.limited.of(account);
        let (taken, now) = (&mut *self.taken(), self.0.clock.now());
        let seats = self.seats(taken);
        let mut openings = Openings::of_unknown(seats);
        let mut nobody = Account::default();
        let account = taken.by_account.get_mut(account).unwrap_or(&mut nobody);
        let mut stuck = 0;
        for (webhook, receiver) in &mut account.receivers {
            stuck += receiver.stuck(now);
            openings.set(*webhook, receiver.opening(now, seats));
        }
        for webhook in limits.iter().flat_map(|limits| limits.keys()) {
            let taken = account.receivers.get(webhook).map_or(0, Receiver::taken);
            let left = left_by(limits.as_deref(), *webhook, taken);
            openings.set(*webhook, openings.of(*webhook).min(left));
        }
        // What hangs keeps no seat from what does not, as long as the account has no more than it could have had in good times.
        let moving = limit(seats).saturating_sub(account.own.saturating_sub(stuck));
        let most = (seats.total - seats.total / 4).saturating_sub(account.own);
        Share { seats: moving.min(most).min(seats.free), openings, looks: false }
    }

    /// What may be claimed of what arrives: nothing for receivers for which older work was left.
    pub fn share_of_new(&self, account: &AccountId) -> Share {
        let mut share = self.share(account);
        if let Some(held) = self.taken().held.get(account) {
            held.keys().for_each(|webhook| share.openings.set(*webhook, 0));
        }
        share
    }

    /// Takes a seat, also beyond the limits: what is claimed has to sit somewhere.
    pub fn take(&self, claim: &Claim) -> Seat {
        let (taken, now) = (&mut *self.taken(), self.0.clock.now());
        if taken.all == 0 {
            taken.entrance.pace.begin(now);
        }
        taken.all += 1;
        if taken.known > KNOWN {
            taken.forget_idle();
        }
        let account = taken.by_account.entry(claim.account.clone()).or_default();
        if account.own == 0 {
            account.arrivals.pace.begin(now);
        }
        account.own += 1;
        let receiver = claim.webhook().map(|webhook| {
            let receiver = account.receivers.entry(webhook).or_insert_with(|| {
                taken.known += 1;
                Receiver::default()
            });
            (webhook, receiver.take(now))
        });
        Seat { slots: self.clone(), account: claim.account.clone(), receiver }
    }

    /// Notes the receivers for which a claim left ready work, and forgets those for which it found none any more.
    pub fn hold(&self, account: &AccountId, held: &Held) {
        let mut taken = self.taken();
        if held.receivers.is_empty() && !taken.held.contains_key(account) {
            return;
        }
        let known = taken.held.entry(account.clone()).or_default();
        if held.all {
            known.retain(|_, left| left.seen > held.at);
        }
        for (webhook, until) in &held.receivers {
            let left = known.entry(*webhook).or_insert(Left { seen: held.at, until: *until });
            if held.at >= left.seen {
                *left = Left { seen: held.at, until: until.or(left.until.filter(|_| !held.all)) };
            }
        }
        if known.is_empty() {
            taken.held.remove(account);
        }
    }

    /// Forgets that work of an account was left: it can't be claimed.
    pub fn forget(&self, account: &AccountId) {
        self.taken().held.remove(account);
    }

    /// Accounts of which work was left for receivers that may have some now.
    pub fn openable(&self) -> Vec<AccountId> {
        let (taken, now) = (&mut *self.taken(), self.0.clock.now());
        let seats = self.seats(taken);
        let (held, by_account) = (&taken.held, &mut taken.by_account);
        let mut open = Vec::new();
        for (account, webhooks) in held {
            let limits = self.0.limited.of(account);
            let mut receivers = by_account.get_mut(account).map(|account| &mut account.receivers);
            let mut opens = |(webhook, left): (&WebhookId, &Left)| {
                let known = receivers.as_mut().and_then(|receivers| receivers.get_mut(webhook));
                let (opening, taken) =
                    known.map_or((seats.free, 0), |known| (known.opening(now, seats), known.taken()));
                left.until.is_none_or(|until| until <= now)
                    && opening.min(left_by(limits.as_deref(), *webhook, taken)) > 0
            };
            if webhooks.iter().any(&mut opens) {
                open.push(account.clone());
            }
        }
        open
    }

    /// Waits until a seat was freed.
    pub async fn freed(&self) {
        self.0.freed.notified().await;
    }

    /// Waits until a seat was freed of a receiver for which work was left.
    pub async fn opened(&self) {
        self.0.opened.notified().await;
    }

    fn seats(&self, taken: &Taken) -> Seats {
        Seats { total: self.0.total, free: self.0.total.saturating_sub(taken.all) }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn account(&mut self, name: &AccountId) -> &mut Account {
        self.by_account.entry(name.clone()).or_default()
    }

    /// Forgets how receivers did to which nothing is under way.
    fn forget_idle(&mut self) {
        self.by_account.retain(|_, account| {
            account.receivers.retain(|_, receiver| !receiver.is_idle());
            !account.is_nothing()
        });
        self.known = self.by_account.values().map(|account| account.receivers.len()).sum();
    }
}

impl Account {
    fn is_nothing(&self) -> bool {
        self.own == 0 && self.receivers.is_empty() && self.arrivals.is_nothing()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let shared = &self.slots.0;
        let (taken, now) = (&mut *self.slots.taken(), shared.clock.now());
        taken.all = taken.all.saturating_sub(1);
        taken.entrance.pace.free(now);
        let Some(account) = taken.by_account.get_mut(&self.account) else { return };
        account.own = account.own.saturating_sub(1);
        account.arrivals.pace.free(now);
        if let Some((webhook, begun)) = self.receiver
            && let Some(receiver) = account.receivers.get_mut(&webhook)
        {
            receiver.free(begun, now, shared.total);
            if receiver.is_forgettable() {
                account.receivers.remove(&webhook);
                taken.known = taken.known.saturating_sub(1);
            }
            if taken.held.get(&self.account).is_some_and(|held| held.contains_key(&webhook)) {
                shared.opened.notify_one();
            }
        }
        if account.is_nothing() {
            taken.by_account.remove(&self.account);
        }
        taken.let_in(shared.total);
        shared.freed.notify_one();
    }
}

/// How many more requests a receiver's own limit allows, when so many are under way.
fn left_by(limits: Option<&AccountLimits>, webhook: WebhookId, taken: usize) -> usize {
    let most = limits.and_then(|limits| limits.get(&webhook)?.max_in_flight);
    most.and_then(|most| usize::try_from(most).ok()).map_or(usize::MAX, |most| most.saturating_sub(taken))
}

/// How many seats one account may have: half of all while more than that are free, an eighth else.
fn limit(seats: Seats) -> usize {
    let limit = if seats.free * 2 > seats.total { seats.total / 2 } else { seats.total / SHARE };
    limit.max(1)
}

#[cfg(test)]
mod tests;
