//! What operators and billing do to an account: hold everything of it back and let it go on, add to its allowance.

use sluice_dispatcher::execution::{End, EndReason};
use sluice_dispatcher::grant::{Grant, GrantError, Units};
use sluice_dispatcher::pending::Pending;
use sluice_dispatcher::quota::AccountQuota;
use sluice_domain::{AccountId, Span};

use super::ledger::Broken;
use super::mutation::Mutation;
use super::schedule::{Deed, Simulation};
use super::world::World;

/// How a grant was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Granted {
    Done,
    RequestIdReused,
    Refused(GrantError),
}

impl World {
    /// An operator holds an account back. Says whether it is on record.
    pub(crate) fn pause(&mut self, account: &AccountId) -> bool {
        let now = self.now;
        let Some(quota) = self.quotas.get_mut(account) else { return false };
        quota.paused_at = quota.paused_at.or(Some(now));
        true
    }

    /// An operator lets an account go on. Says whether it is on record.
    pub(crate) fn resume(&mut self, account: &AccountId) -> bool {
        let now = self.now;
        let Some(quota) = self.quotas.get_mut(account) else { return false };
        let Some(paused_at) = quota.paused_at.take() else { return true };
        quota.wake_at = Some(now);
        if now.since(paused_at) > Span::from_secs(600) && self.has(Mutation::PauseExpires) {
            let waits = |row: &&Pending| row.account == account.as_str() && row.hold().is_none();
            let rows: Vec<Pending> =
                self.pending.values().map(|(row, _)| row).filter(waits).cloned().collect();
            self.end_waiting(account, &rows, || End::failed(EndReason::RetriesExhausted, "it took too long"));
            self.leave_all(&rows.iter().map(|row| row.seq).collect::<Vec<_>>());
        }
        true
    }

    /// Billing grants units, once for each request.
    pub(crate) fn grant(&mut self, account: &AccountId, grant: &Grant) -> Granted {
        let (now, units) = (self.now, grant.units.get());
        let key = (account.clone(), grant.request.as_str().to_owned());
        let known = self.grants.get(&key).map(|(granted, _)| *granted == units);
        let again = self.has(Mutation::GrantCountedTwice);
        let Some(quota) = self.quotas.get_mut(account) else { return Granted::Refused(GrantError::Unknown) };
        match known {
            Some(true) if !again => return Granted::Done,
            Some(false) => return Granted::RequestIdReused,
            Some(true) | None => {}
        }
        if let Err(error) = quota.grant(units, now) {
            return Granted::Refused(error);
        }
        let end = quota.limits.as_ref().map_or(now, |limits| limits.allowance.end);
        self.grants.insert(key, (units, end.plus(Grant::REMEMBERED)));
        Granted::Done
    }

    /// Forgets grants whose time is over. Says how many.
    pub(crate) fn forget_grants(&mut self) -> usize {
        let (now, before) = (self.now, self.grants.len());
        self.grants.retain(|_, (_, kept_until)| *kept_until > now);
        before - self.grants.len()
    }

    /// Where a grant does not end with its period.
    pub(crate) fn keep_grants(&self, quota: &mut AccountQuota) {
        if let Some(limits) = quota.limits.as_mut().filter(|_| self.has(Mutation::GrantKept)) {
            let granted = limits.allowance.granted;
            limits.allowance.roll(self.now);
            limits.allowance.granted = granted;
        }
    }
}

impl Simulation {
    /// An operator pauses an account, also one that is paused, or lets one go on; no account stays paused for long.
    pub(crate) fn operate(&mut self) {
        let paused: Vec<AccountId> = self.ledger.paused.iter().cloned().collect();
        if !paused.is_empty() && self.below(4) > 0 {
            let account = paused[self.any(paused.len())].clone();
            self.put_pause(&account, false);
        } else if self.below(2) == 0 {
            let account = self.accounts[self.any(3)].clone();
            self.put_pause(&account, true);
        }
    }

    pub(crate) fn put_pause(&mut self, account: &AccountId, paused: bool) {
        let known = if paused { self.world.pause(account) } else { self.world.resume(account) };
        if paused && known {
            self.ledger.paused.insert(account.clone());
            self.figures.pauses += 1;
        } else {
            self.ledger.paused.remove(account);
        }
        self.did(Deed::Pause(account.clone(), paused, known));
    }

    /// Billing grants units, or asks again for what it asked for before, now and then for another number.
    pub(crate) fn grant(&mut self) -> Result<(), Broken> {
        let again = self.ledger.remembered(self.world.now);
        let (account, request, units) = if self.below(3) == 0 && !again.is_empty() {
            let (account, request, units) = again[self.any(again.len())].clone();
            (account, request, if self.below(6) == 0 { units + 1 } else { units })
        } else {
            self.requests += 1;
            let account = self.accounts[self.any(3)].clone();
            (account, self.requests.to_string(), self.one_of(&[1, 3, 10]))
        };
        let grant = Grant { units: Units::try_from(units).unwrap(), request: request.parse().unwrap() };
        let granted = self.world.grant(&account, &grant);
        self.did(Deed::Grant(account.clone(), grant.clone(), granted));
        self.figures.grants += usize::from(granted == Granted::Done);
        self.ledger.granted(&account, &grant, granted, self.world.now)
    }

    pub(crate) fn forget_grants(&mut self) {
        let forgotten = self.world.forget_grants();
        self.did(Deed::ForgetGrants(forgotten));
    }
}
