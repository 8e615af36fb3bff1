//! What holds work back, as the ledger judges it: receivers that fail and webhooks that are disabled, operators, allowances; and what is
//! left of it when nothing else is left to do.

use sluice_dispatcher::breaker::Standing;
use sluice_dispatcher::execution::Next;
use sluice_dispatcher::grant::{Grant, GrantError};
use sluice_domain::{AccountId, Span, Timestamp, WebhookId};

use super::breakers::Word;
use super::bucket::{first_of, month};
use super::health::{Health, Stand};
use super::ledger::{Broken, Holder, Ledger, hold};
use super::operators::Granted;
use super::registry::Registry;
use super::world::{Held, Hook, Report, World};

impl Ledger {
    /// How a webhook's receiver stands.
    pub(super) fn of(&self, account: &AccountId, webhook: WebhookId) -> Option<&Health> {
        self.health.get(&(account.clone(), webhook))
    }

    /// Whether all may start that waits for a webhook.
    pub(super) fn lets_through(&self, account: &AccountId, webhook: WebhookId) -> bool {
        self.of(account, webhook).is_none_or(|health| !health.is_shut() && health.stand == Stand::Works)
    }

    /// The receiver answered so, or did not. Nobody looks at a success that ends an execution if nothing was held against the receiver
    /// when it was claimed, and nobody stands behind it in its line.
    pub(super) fn hears(
        &mut self,
        world: &World,
        said: (&Held, &Report),
        holder: Holder,
    ) -> Result<(), Broken> {
        let (held, report) = said;
        let delivery = &world.made[&held.seq].run.plan.deliveries[held.step];
        let looked = holder.troubled || delivery.ordered || !matches!(report.next, Next::End(_));
        let hook = (held.account.clone(), delivery.webhook);
        let health = self.health.entry(hook.clone()).or_default();
        let opened = health.heard(said, looked, world.now, &world.policy);
        health.agrees(world.breakers.get(&hook), opened, world.now)
    }

    /// The registry's word was taken.
    pub(crate) fn told(&mut self, world: &World, word: &Word) -> Result<(), Broken> {
        let health = self.health.entry(word.hook.clone()).or_default();
        health.told(word, world.now);
        health.agrees(world.breakers.get(&word.hook), None, world.now)
    }

    /// What waited for a webhook that the system disabled has failed.
    pub(crate) fn swept(&self, world: &World, hook: &Hook) -> Result<(), Broken> {
        let waits = |seq: &i64, webhook| world.made[seq].account == hook.0 && webhook == hook.1;
        let mut behind = world.pending.iter().filter(|(seq, (_, lane))| waits(seq, lane.webhook));
        let left = behind.find(|(_, (row, _))| row.hold().is_none()).map(|(seq, _)| seq);
        hold!(left.is_none(), "{left:?} waits for a webhook that is disabled");
        Ok(())
    }

    /// Billing granted units, or was told why not.
    pub(crate) fn granted(
        &mut self,
        account: &AccountId,
        grant: &Grant,
        granted: Granted,
        now: Timestamp,
    ) -> Result<(), Broken> {
        let (key, units) = ((account.clone(), grant.request.as_str().to_owned()), grant.units.get());
        let meant = match self.grants.get(&key) {
            Some((known, _)) if *known == units => Granted::Done,
            Some(_) => Granted::RequestIdReused,
            None if self.budgets.entry(account.clone()).or_default().grant(units, now) => {
                let next = month(now) + 1;
                self.grants.insert(key, (units, first_of(next).plus(Span::from_secs(86_400))));
                Granted::Done
            }
            None => Granted::Refused(GrantError::Unknown),
        };
        hold!(granted == meant, "a grant to {account} is {granted:?}, not {meant:?}");
        Ok(())
    }

    /// The grants that are to be remembered still.
    pub(crate) fn remembered(&self, now: Timestamp) -> Vec<(AccountId, String, i64)> {
        let known = self.grants.iter().filter(|(_, (_, until))| now < *until);
        known.map(|((account, request), (units, _))| (account.clone(), request.clone(), *units)).collect()
    }

    /// Nothing is left to do: what waits is held back by somebody, and the dispatcher has every webhook as the registry has it. Says how
    /// much waits.
    pub(crate) fn kept(&self, world: &World, registry: &Registry) -> Result<usize, Broken> {
        for (seq, (row, lane)) in &world.pending {
            let account = &world.made[seq].account;
            let shut = self.of(account, lane.webhook).is_some_and(Health::is_shut);
            let held_back = self.paused.contains(account) || shut;
            hold!(held_back, "I1: {seq} waits, {:?}, and nobody holds it back", row.stage);
            let named = world.quotas[account].operator_pause();
            let named = named.or_else(|| world.closed(account).pause(lane.webhook, world.now));
            hold!(named.is_some() || row.is_in_line(), "I1: {seq} waits for no reason that has a name");
        }
        for (hook, standing) in registry.changed() {
            let gates = world.closed(&hook.0);
            let disabled = gates.breaker(hook.1).is_some_and(|breaker| breaker.is_disabled());
            let paused = gates.pause(hook.1, world.now).is_some();
            let meant = match standing {
                Standing::DisabledBySystem(_) => disabled && paused,
                Standing::DisabledByHand => !disabled && paused,
                Standing::Enabled | Standing::Gone => !disabled,
            };
            hold!(meant, "{hook:?} is {standing:?} at the registry; disabled, paused: {disabled}, {paused}");
        }
        Ok(world.pending.len())
    }
}
