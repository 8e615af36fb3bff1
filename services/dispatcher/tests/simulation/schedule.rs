//! One random schedule: producers that repeat themselves, owners that claim, dial, die and stall, receivers that fail and recover or are
//! gone, a registry that is heard late, and people who change plans, webhooks and automations, pause accounts and grant units, on a
//! virtual clock. A seed fixes all of it.

use std::collections::{BTreeMap, VecDeque};

use sluice_dispatcher::attempt::Outcome;
use sluice_dispatcher::breaker::{Policy, Standing};
use sluice_dispatcher::claim::{Lease, Reported};
use sluice_dispatcher::grant::Grant;
use sluice_dispatcher::retry;
use sluice_domain::{AccountId, AutomationId, Entitlements, Span, Timestamp};
use sluice_runtime::Entropy;

use super::breakers::Word;
use super::ledger::{Broken, Ledger};
use super::mutation::Mutation;
use super::operators::Granted;
use super::receivers::Receivers;
use super::registry::Registry;
use super::world::{Answer, Asked, Event, Held, Hook, Report, World};

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
    Finish(Held, Report, Reported),
    Rescue(Vec<i64>),
    Cancel(i64, Asked),
    Retry(i64, Asked),
    Stop(AccountId, AutomationId, i64),
    Present(BTreeMap<Hook, bool>),
    Told(Word, bool),
    Sweep(Hook),
    Entitle(AccountId, Entitlements),
    Pause(AccountId, bool, bool),
    Grant(AccountId, Grant, Granted),
    ForgetGrants(usize),
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
    pub(crate) probes: usize,
    /// Those whose owner died or stalled.
    pub(crate) dead_probes: usize,
    pub(crate) swept: usize,
    pub(crate) pauses: usize,
    pub(crate) grants: usize,
    /// What waits at the end, since somebody holds it back.
    pub(crate) kept: usize,
}

/// When a breaker opens in a schedule, and when its webhook is given up.
pub(crate) const POLICY: Policy = Policy {
    failures: 2,
    over: Span::from_secs(1),
    first: Span::from_secs(5),
    factor: 2.0,
    longest: Span::from_secs(40),
    disable_after: Span::from_secs(120),
};

/// A claim at one of the processes.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) held: Held,
    /// The webhook's version that its request went to, once it is dialled.
    pub(crate) dialled: Option<i64>,
}

/// A process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Owner {
    pub(crate) work: Vec<Work>,
    pub(crate) stalled_until: Option<Timestamp>,
    /// How far it has followed the registry; none before it heard the present state.
    pub(crate) cursor: Option<usize>,
    /// What it has read and not put on record.
    pub(crate) read: VecDeque<Word>,
    /// What the registry answered it, on its way.
    pub(crate) answer: Option<Word>,
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
    pub(crate) registry: Registry,
    pub(crate) receivers: Receivers,
    pub(crate) sent: Vec<Event>,
    pub(crate) versions: BTreeMap<AccountId, i64>,
    /// How many grants were asked for.
    pub(crate) requests: u64,
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
            world: World::new(start, lease, (schedule, POLICY), mutation),
            ledger: Ledger::default(),
            deeds: Vec::new(),
            figures: Figures { trace: 0xcbf2_9ce4_8422_2325, ..Figures::default() },
            accounts,
            dice: Entropy::seeded(seed),
            schedule,
            calm,
            owners: vec![Owner::default(); OWNERS],
            registry: Registry::default(),
            receivers: Receivers::default(),
            sent: Vec::new(),
            versions: BTreeMap::new(),
            requests: 0,
            generations: BTreeMap::new(),
            events: 0,
        };
        // The third stays unknown until chance knows it.
        simulation.entitle(0);
        simulation.entitle(1);
        simulation.fail();
        simulation
    }

    /// One step, and a look at everything after it.
    pub(crate) fn step(&mut self) -> Result<(), Broken> {
        match self.below(117) {
            0..18 => self.accept()?,
            18..36 => self.claim()?,
            36..57 => (0..=self.below(4)).try_for_each(|_| self.dial())?,
            57..78 => (0..=self.below(4)).try_for_each(|_| self.answer())?,
            78..88 => self.move_on()?,
            88 => self.die(),
            89 | 90 => self.stall(),
            91 => self.restart(),
            92..94 => {
                let account = self.any(3);
                self.entitle(account);
            }
            94..96 => self.manage(),
            96..98 => self.cancel(),
            98 => self.retry(),
            99 => self.stop(),
            100..105 => self.fail(),
            105..112 => self.hear()?,
            112..115 => self.operate(),
            115 => self.grant()?,
            _ => self.forget_grants(),
        }
        self.ledger.look(&self.world)
    }

    /// Everything comes to its end, or waits for a reason that has a name: first with plans for everybody and receivers that work, and
    /// then with no account paused and every webhook enabled.
    pub(crate) fn drain(&mut self) -> Result<(), Broken> {
        for account in 0..self.accounts.len() {
            self.entitle_with(account, |entitlements| {
                entitlements.automations = true;
                entitlements.allowance = None;
                entitlements.executions.units = 3_000;
            });
        }
        self.receivers.mend();
        self.settle()?;
        self.figures.kept = self.ledger.kept(&self.world, &self.registry)?;
        for account in self.ledger.paused.clone() {
            self.put_pause(&account, false);
        }
        let changed: Vec<Hook> = self.registry.changed().map(|(hook, _)| hook.clone()).collect();
        changed.iter().for_each(|hook| self.change(hook, Standing::Enabled));
        self.settle()?;
        self.ledger.close(&self.world)
    }

    /// Goes on until nothing is left to do.
    fn settle(&mut self) -> Result<(), Broken> {
        for _ in 0..20_000 {
            self.arrive()?;
            self.claim_all(50)?;
            for owner in 0..OWNERS {
                while let Some(work) = self.owners[owner].work.pop() {
                    let dialled = if work.dialled.is_some() { Some(work) } else { self.dial_one(work)? };
                    if let Some(Work { held, dialled: Some(version) }) = dialled {
                        self.report(&held, version, Outcome::Succeeded, Some(200))?;
                    }
                }
            }
            self.ledger.look(&self.world)?;
            let wake = self.world.next_wake().map(|after| self.world.now.plus(after));
            let lease =
                self.world.pending.values().filter_map(|(row, _)| Some(row.hold()?.lease_until)).min();
            let next = wake.into_iter().chain(lease).filter(|at| *at > self.world.now).min();
            match next.filter(|_| !self.world.pending.is_empty()) {
                Some(at) => self.set_clock(at.max(self.world.now))?,
                None if self.world.due_accounts().is_empty() || self.world.pending.is_empty() => {
                    return Ok(());
                }
                None => {}
            }
        }
        Err("I11: it does not come to its end".into())
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
