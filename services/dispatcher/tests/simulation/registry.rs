//! The registry, and how the dispatcher's processes hear of it: its feed, which each follows at its own pace and begins anew after a
//! restart, and its answers to disablings, which may be late or get lost.

use std::collections::BTreeMap;

use sluice_dispatcher::breaker::{Standing, Why};
use sluice_domain::WebhookId;

use super::breakers::Word;
use super::ledger::Broken;
use super::schedule::{Deed, OWNERS, Simulation};
use super::world::Hook;

/// A webhook as the registry has it.
#[derive(Debug, Clone, Copy)]
struct Registered {
    version: i64,
    standing: Standing,
}

/// All webhooks, and what happened to them.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    webhooks: BTreeMap<Hook, Registered>,
    feed: Vec<Word>,
    head: i64,
}

impl Registry {
    fn get(&self, hook: &Hook) -> Registered {
        let new = Registered { version: 1, standing: Standing::Enabled };
        self.webhooks.get(hook).copied().unwrap_or(new)
    }

    /// The version that a request would go to.
    pub(crate) fn version(&self, hook: &Hook) -> i64 {
        self.get(hook).version
    }

    pub(crate) fn standing(&self, hook: &Hook) -> Standing {
        self.get(hook).standing
    }

    /// The webhooks that were ever changed.
    pub(crate) fn changed(&self) -> impl Iterator<Item = (&Hook, Standing)> {
        self.webhooks.iter().map(|(hook, registered)| (hook, registered.standing))
    }

    /// It is changed, and stands so from now on.
    pub(crate) fn change(&mut self, hook: &Hook, standing: Standing) {
        self.head += 1;
        let version = self.version(hook) + 1;
        self.webhooks.insert(hook.clone(), Registered { version, standing });
        self.feed.push(Word { hook: hook.clone(), revision: self.head, standing, answer: false });
    }

    /// The system disables it, if it is enabled and still what it was at `version`. Says how it stands.
    fn give_up(&mut self, hook: &Hook, version: i64, why: Why) -> Word {
        let now = self.get(hook);
        if now.standing == Standing::Enabled && now.version == version {
            self.change(hook, Standing::DisabledBySystem(why));
        }
        Word { hook: hook.clone(), revision: self.head, standing: self.standing(hook), answer: true }
    }
}

impl Simulation {
    pub(crate) fn hook(&self) -> Hook {
        let account = self.accounts[self.one_of(&[0, 0, 1, 1, 2])].clone();
        (account, WebhookId::from_bytes([self.one_of(&[1, 2]); 16]))
    }

    /// Somebody changes a webhook: disables it by hand, enables it, or changes something else about it.
    pub(crate) fn manage(&mut self) {
        let disabled = self.registry.changed().filter(|(_, standing)| *standing != Standing::Enabled);
        let disabled: Vec<Hook> = disabled.map(|(hook, _)| hook.clone()).collect();
        let any = disabled.is_empty() || self.below(3) == 0;
        let hook = if any { self.hook() } else { disabled[self.any(disabled.len())].clone() };
        let standing = match (self.registry.standing(&hook), self.below(4)) {
            (Standing::Enabled, 0 | 1) => Standing::DisabledByHand,
            (_, 0..3) => Standing::Enabled,
            (standing, _) => standing,
        };
        self.change(&hook, standing);
    }

    pub(crate) fn change(&mut self, hook: &Hook, standing: Standing) {
        self.registry.change(hook, standing);
        self.receivers.mend_gone(hook);
    }

    /// A process gives webhooks up, or hears some of what the registry tells.
    pub(crate) fn hear(&mut self) -> Result<(), Broken> {
        let Some(owner) = self.owner() else { return Ok(()) };
        match self.below(3) {
            0 if self.owners[owner].answer.is_some() || !self.world.disabling().is_empty() => {
                self.give_up(owner)
            }
            1 if !self.world.unswept().is_empty() => self.sweep(),
            _ => {
                let most = self.one_of(&[1, 2, 50]);
                self.follow(owner, most)
            }
        }
    }

    /// It hears the present state first, where it has heard nothing yet.
    fn follow(&mut self, owner: usize, most: usize) -> Result<(), Broken> {
        let head = self.registry.head;
        let words: Vec<Word> = match self.owners[owner].cursor {
            Some(cursor) => self.registry.feed[cursor..].iter().take(most).cloned().collect(),
            None => {
                let present = self.registry.webhooks.iter();
                let word = |(hook, now): (&Hook, &Registered)| Word {
                    hook: hook.clone(),
                    revision: head,
                    standing: now.standing,
                    answer: false,
                };
                present.map(word).collect()
            }
        };
        let cursor = self.owners[owner].cursor.map_or(self.registry.feed.len(), |at| at + words.len());
        self.owners[owner].cursor = Some(cursor);
        words.into_iter().try_for_each(|word| self.tell(word))
    }

    fn tell(&mut self, word: Word) -> Result<(), Broken> {
        let changed = self.world.told(&word);
        self.did(Deed::Told(word.clone(), changed));
        self.ledger.told(&self.world, &word)
    }

    /// A process tells the registry of a webhook that is to be disabled, or puts its answer on record. Now and then it gets none.
    fn give_up(&mut self, owner: usize) -> Result<(), Broken> {
        if let Some(answer) = self.owners[owner].answer.take() {
            return self.tell(answer);
        }
        let disabling = self.world.disabling();
        if disabling.is_empty() {
            return Ok(());
        }
        let (hook, version, why) = disabling[self.any(disabling.len())].clone();
        match self.below(8) {
            0 => {}
            1 => _ = self.registry.give_up(&hook, version, why),
            2..5 => self.owners[owner].answer = Some(self.registry.give_up(&hook, version, why)),
            _ => {
                let answer = self.registry.give_up(&hook, version, why);
                self.tell(answer)?;
            }
        }
        Ok(())
    }

    /// What waits for webhooks that the system disabled fails.
    fn sweep(&mut self) -> Result<(), Broken> {
        for hook in self.world.unswept() {
            self.world.sweep(&hook);
            self.did(Deed::Sweep(hook.clone()));
            self.figures.swept += 1;
            self.ledger.swept(&self.world, &hook)?;
        }
        Ok(())
    }

    /// All that is on its way arrives: the registry's answers, what it tells, and the end of what waits for what was given up.
    pub(crate) fn arrive(&mut self) -> Result<(), Broken> {
        for owner in 0..OWNERS {
            if let Some(answer) = self.owners[owner].answer.take() {
                self.tell(answer)?;
            }
        }
        for (hook, version, why) in self.world.disabling() {
            let answer = self.registry.give_up(&hook, version, why);
            self.tell(answer)?;
        }
        for owner in 0..OWNERS {
            self.follow(owner, usize::MAX)?;
            self.follow(owner, usize::MAX)?;
        }
        self.sweep()
    }
}
