//! The registry, and how the dispatcher's processes hear of it: its feed, which each follows at its own pace and begins anew after a
//! restart, and its answers to disablings, which may be late or get lost. What the feed tells of a change is how the webhook stands when
//! it is read, and what is read may be put on record late.

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

/// All webhooks that were ever changed, and which of them was at each revision.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    webhooks: BTreeMap<Hook, Registered>,
    feed: Vec<Hook>,
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
        let version = self.version(hook) + 1;
        self.webhooks.insert(hook.clone(), Registered { version, standing });
        self.feed.push(hook.clone());
    }

    /// How it stands, told for this many revisions.
    fn word(&self, hook: &Hook, revision: usize, answer: bool) -> Word {
        let revision = i64::try_from(revision).unwrap();
        Word { hook: hook.clone(), revision, standing: self.standing(hook), answer }
    }

    /// What is told of the next changes after so many, each webhook once, at the last of them.
    fn page(&self, cursor: usize, most: usize) -> (Vec<Word>, usize) {
        let next = self.feed.len().min(cursor.saturating_add(most));
        let page = || self.feed[cursor..next].iter().enumerate();
        let last = |(at, hook): &(usize, &Hook)| !page().any(|(later, other)| later > *at && other == *hook);
        (page().filter(last).map(|(at, hook)| self.word(hook, cursor + at + 1, false)).collect(), next)
    }

    /// The system disables it, if it is enabled and still what it was at `version`. Says how it stands.
    fn give_up(&mut self, hook: &Hook, version: i64, why: Why) -> Word {
        let now = self.get(hook);
        if now.standing == Standing::Enabled && now.version == version {
            self.change(hook, Standing::DisabledBySystem(why));
        }
        self.word(hook, self.feed.len(), true)
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

    /// It reads on where nothing is left that it has read, and puts some of that on record.
    fn follow(&mut self, owner: usize, most: usize) -> Result<(), Broken> {
        if self.owners[owner].read.is_empty() {
            let (words, next) = match self.owners[owner].cursor {
                Some(cursor) => self.registry.page(cursor, most),
                None => self.present(),
            };
            self.owners[owner].cursor = Some(next);
            self.owners[owner].read.extend(words);
        }
        let told = self.one_of(&[0, 1, 2, 50]).max(usize::from(most == usize::MAX) * 50);
        for _ in 0..told {
            let Some(word) = self.owners[owner].read.pop_front() else { break };
            self.tell(word)?;
        }
        Ok(())
    }

    /// The present state: of those that are enabled only what is news.
    fn present(&mut self) -> (Vec<Word>, usize) {
        let (gated, head) = (self.world.gated(), self.registry.feed.len());
        let is_news = |hook: &Hook| gated.get(hook).copied().unwrap_or(false);
        let changed = self.registry.changed();
        let told = changed.filter(|(hook, standing)| *standing != Standing::Enabled || is_news(hook));
        let words = told.map(|(hook, _)| self.registry.word(hook, head, false)).collect();
        self.did(Deed::Present(gated));
        (words, head)
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
            // What it has read before, or the present state, and then what happened since.
            self.follow(owner, usize::MAX)?;
            self.follow(owner, usize::MAX)?;
            self.follow(owner, usize::MAX)?;
        }
        self.sweep()
    }
}
