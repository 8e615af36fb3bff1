//! One random schedule: producers that repeat themselves, owners that claim, dial, die and stall, receivers of every kind, and people
//! who change plans, gates and automations, on a virtual clock. A seed fixes all of it.

use std::collections::BTreeMap;

use sluice_dispatcher::attempt::{Outcome, Verdict};
use sluice_dispatcher::claim::{Lease, Reported};
use sluice_dispatcher::execution::Next;
use sluice_dispatcher::retry;
use sluice_domain::{AccountId, AutomationId, Entitlements, Span, Timestamp, WebhookId};
use sluice_runtime::Entropy;

use super::ledger::{Broken, Ledger};
use super::mutation::Mutation;
use super::world::{Answer, Asked, Event, Held, World};

/// How often a rescuer looks.
pub(crate) const POLL: Span = Span::from_secs(2);
/// How many processes there are.
pub(crate) const OWNERS: usize = 3;

/// One thing that was done to the tables, and how it was taken.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    At(Timestamp),
    Accept(Vec<Event>, usize, Vec<Answer>, Vec<Held>),
    Claim(AccountId, usize, Vec<Held>),
    Finish(Held, Option<Verdict>, Next, Reported),
    Rescue(Vec<i64>),
    Cancel(i64, Asked),
    Retry(i64, Asked),
    Stop(AccountId, AutomationId, i64),
    Gate(AccountId, WebhookId, i64, bool),
    Entitle(AccountId, Entitlements),
    Restart,
}

/// What a run shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) trace: u64,
    pub(crate) executions: usize,
    pub(crate) hits: usize,
    pub(crate) interrupted: usize,
    pub(crate) lost_reports: usize,
    pub(crate) restarts: usize,
    pub(crate) repeats: usize,
}

/// A claim at one of the processes.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) held: Held,
    pub(crate) dialled: bool,
}

/// A process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Owner {
    pub(crate) work: Vec<Work>,
    pub(crate) stalled_until: Option<Timestamp>,
}

/// A schedule as it runs.
pub(crate) struct Simulation {
    pub(crate) world: World,
    pub(crate) ledger: Ledger,
    /// What was done in the last step.
    pub(crate) deeds: Vec<Deed>,
    pub(crate) figures: Figures,
    pub(crate) accounts: Vec<AccountId>,
    pub(crate) dice: Entropy,
    pub(crate) schedule: retry::Schedule,
    /// Whether nothing is cut off so often in a row that chance says when it goes on.
    pub(crate) calm: bool,
    pub(crate) owners: Vec<Owner>,
    pub(crate) sent: Vec<Event>,
    pub(crate) versions: BTreeMap<AccountId, i64>,
    pub(crate) revisions: i64,
    pub(crate) generations: BTreeMap<(usize, u8), i64>,
    /// How many events there were.
    pub(crate) events: u64,
}

impl Simulation {
    pub(crate) fn begin(
        seed: u64,
        start: Timestamp,
        schedule: retry::Schedule,
        mutation: Option<Mutation>,
        calm: bool,
    ) -> Self {
        let accounts = ["a", "b", "c"].map(|name| format!("{name}-{seed}").parse().unwrap()).to_vec();
        let lease = Lease::for_timeout(Span::from_secs(15));
        let mut simulation = Self {
            world: World::new(start, lease, schedule, mutation),
            ledger: Ledger::default(),
            deeds: Vec::new(),
            figures: Figures { trace: 0xcbf2_9ce4_8422_2325, ..Figures::default() },
            accounts,
            dice: Entropy::seeded(seed),
            schedule,
            calm,
            owners: vec![Owner::default(); OWNERS],
            sent: Vec::new(),
            versions: BTreeMap::new(),
            revisions: 0,
            generations: BTreeMap::new(),
            events: 0,
        };
        // The third stays unknown until chance knows it.
        simulation.entitle(0);
        simulation.entitle(1);
        simulation
    }

    /// One step, and a look at everything after it.
    pub(crate) fn step(&mut self) -> Result<(), Broken> {
        match self.below(100) {
            0..20 => self.accept()?,
            20..36 => self.claim()?,
            36..56 => (0..=self.below(4)).try_for_each(|_| self.dial())?,
            56..76 => (0..=self.below(4)).try_for_each(|_| self.answer())?,
            76..86 => self.move_on()?,
            86..88 => self.die(),
            88..90 => self.stall(),
            90..92 => self.restart(),
            92..94 => {
                let account = self.any(3);
                self.entitle(account);
            }
            94..96 => self.gate(),
            96..98 => self.cancel(),
            98 => self.retry(),
            _ => self.stop(),
        }
        self.ledger.look(&self.world)
    }

    /// With open gates and plans for everybody, everything comes to its end.
    pub(crate) fn drain(&mut self) -> Result<(), Broken> {
        for account in 0..self.accounts.len() {
            self.entitle_with(account, |entitlements| {
                entitlements.automations = true;
                entitlements.allowance = None;
                entitlements.executions.units = 3_000;
            });
        }
        for (account, webhook) in self.ledger.disabled.clone() {
            self.put_gate(&account, webhook, false);
        }
        for round in 0_u32.. {
            if round > 20_000 {
                return Err("I11: it does not come to its end".into());
            }
            self.claim_all(50)?;
            for owner in 0..OWNERS {
                while let Some(work) = self.owners[owner].work.pop() {
                    let dialled = if work.dialled { Some(work) } else { self.dial_one(work)? };
                    if let Some(work) = dialled {
                        self.report(&work.held, Outcome::Succeeded)?;
                    }
                }
            }
            self.ledger.look(&self.world)?;
            if self.world.pending.is_empty() {
                break;
            }
            let wake = self.world.next_wake().map(|after| self.world.now.plus(after));
            let lease =
                self.world.pending.values().filter_map(|(row, _)| Some(row.hold()?.lease_until)).min();
            let next = wake.into_iter().chain(lease).filter(|at| *at > self.world.now).min();
            match next {
                Some(at) => self.set_clock(at.max(self.world.now))?,
                None if self.world.due_accounts().is_empty() => {
                    return Err(format!("I11: {} wait and nobody wakes", self.world.pending.len()));
                }
                None => {}
            }
        }
        self.ledger.close(&self.world)
    }

    pub(crate) fn below(&self, end: u64) -> u64 {
        self.dice.u64() % end
    }

    pub(crate) fn any(&self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }

    pub(crate) fn one_of<T: Copy>(&self, choices: &[T]) -> T {
        choices[self.any(choices.len())]
    }

    /// Notes what was done: the trace is a digest of it (FNV-1a).
    pub(crate) fn did(&mut self, deed: Deed) {
        for byte in format!("{deed:?}").bytes() {
            self.figures.trace = (self.figures.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.deeds.push(deed);
    }
}
