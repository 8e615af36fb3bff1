//! What the processes do: accept, claim, dial, report, die, stall, come again.

use sluice_dispatcher::attempt::{Outcome, Verdict};
use sluice_dispatcher::breaker::Standing;
use sluice_dispatcher::claim::Reported;
use sluice_dispatcher::execution::{Next, Progress, after};
use sluice_domain::{Span, Timestamp};

use super::ledger::Broken;
use super::schedule::{Deed, OWNERS, Owner, POLL, Simulation, Work};
use super::world::{Answer, Held, Report};

impl Simulation {
    /// The processes that neither died nor stalled.
    fn living(&self) -> Vec<usize> {
        let now = self.world.now;
        let lives = |owner: &usize| self.owners[*owner].stalled_until.is_none_or(|until| until <= now);
        (0..OWNERS).filter(lives).collect()
    }

    /// One of them.
    pub(crate) fn owner(&self) -> Option<usize> {
        let living = self.living();
        (!living.is_empty()).then(|| self.one_of(&living))
    }

    fn room(&self) -> usize {
        self.one_of(&[0, 1, 2, 5, 50, 50, 50])
    }

    fn give(&mut self, owner: usize, claims: Vec<Held>) {
        self.figures.probes += claims.iter().filter(|held| self.world.is_probe(held)).count();
        self.owners[owner].work.extend(claims.into_iter().map(|held| Work { held, dialled: None }));
    }

    /// Some events arrive, new ones and repeated ones; now and then the answer gets lost, and the process with it.
    pub(crate) fn accept(&mut self) -> Result<(), Broken> {
        let Some(owner) = self.owner() else { return Ok(()) };
        let mut batch = Vec::new();
        for _ in 0..=self.below(3) {
            let event = match self.below(10) {
                0 | 1 if !self.sent.is_empty() => {
                    self.figures.repeats += 1;
                    let mut again = self.sent[self.any(self.sent.len())].clone();
                    again.runs.iter_mut().for_each(|run| run.id = self.mint());
                    again.digest = if self.below(10) == 0 { 2 } else { again.digest };
                    again
                }
                _ => self.event(),
            };
            batch.push(event);
        }
        let room = self.room();
        let (answers, claims) = self.world.accept(&batch, room);
        self.did(Deed::Accept(batch.clone(), room, answers.clone(), claims.clone()));
        let lost =
            self.below(12) == 0 && self.may_lose(owner) && claims.iter().all(|held| self.patient(held));
        for (event, answer) in batch.iter().zip(&answers) {
            if !lost || matches!(answer, Answer::Repeated(_)) {
                self.ledger.answered(&self.world, event, answer)?;
            }
            if event.digest == 1 {
                self.sent.push(event.clone());
            }
        }
        self.ledger.claimed(&self.world, &claims, room)?;
        if lost {
            self.owners[owner].work.clear();
        } else {
            self.give(owner, claims);
        }
        Ok(())
    }

    pub(crate) fn claim(&mut self) -> Result<(), Broken> {
        let Some(owner) = self.owner() else { return Ok(()) };
        let due = self.world.due_accounts();
        if due.is_empty() {
            return Ok(());
        }
        let account = due[self.any(due.len())].clone();
        let room = self.room();
        let claims = self.world.claim(&account, room);
        self.did(Deed::Claim(account, room, claims.clone()));
        self.ledger.claimed(&self.world, &claims, room)?;
        self.give(owner, claims);
        Ok(())
    }

    pub(crate) fn claim_all(&mut self, room: usize) -> Result<(), Broken> {
        for account in self.world.due_accounts() {
            let claims = self.world.claim(&account, room);
            self.did(Deed::Claim(account, room, claims.clone()));
            self.ledger.claimed(&self.world, &claims, room)?;
            self.give(0, claims);
        }
        Ok(())
    }

    /// Takes one piece of work of a living process, dialled or not.
    fn take(&mut self, dialled: bool) -> Option<(usize, Work)> {
        let all = self.living().into_iter().flat_map(|owner| {
            let work = self.owners[owner].work.iter().enumerate();
            work.filter(|(_, work)| work.dialled.is_some() == dialled).map(move |(at, _)| (owner, at))
        });
        let fits: Vec<(usize, usize)> = all.collect();
        if fits.is_empty() {
            return None;
        }
        let (owner, at) = self.one_of(&fits);
        Some((owner, self.owners[owner].work.swap_remove(at)))
    }

    pub(crate) fn dial(&mut self) -> Result<(), Broken> {
        let Some((owner, work)) = self.take(false) else { return Ok(()) };
        if self.below(15) == 0 {
            // The registry does not answer.
            return self.hand_back(&work.held, Span::from_secs(2));
        }
        if let Some(work) = self.dial_one(work)? {
            self.owners[owner].work.push(work);
        }
        Ok(())
    }

    /// Dials a claim, or hands it back if it is too late.
    pub(crate) fn dial_one(&mut self, work: Work) -> Result<Option<Work>, Broken> {
        if self.world.now > work.held.claimed_at.plus(self.world.lease.send_within) {
            self.hand_back(&work.held, Span::ZERO)?;
            return Ok(None);
        }
        let webhook = self.world.made[&work.held.seq].run.plan.deliveries[work.held.step].webhook;
        let hook = (work.held.account.clone(), webhook);
        // Now and then it goes where the webhook pointed before it was changed.
        let late = self.below(6) == 0;
        if self.registry.standing(&hook) != Standing::Enabled && !late {
            self.hand_back(&work.held, Span::from_secs(1))?;
            return Ok(None);
        }
        let version = (self.registry.version(&hook) - i64::from(late)).max(1);
        self.ledger.hit(&self.world, &work.held)?;
        self.figures.hits += 1;
        Ok(Some(Work { dialled: Some(version), ..work }))
    }

    fn hand_back(&mut self, held: &Held, after: Span) -> Result<(), Broken> {
        self.finish(held, Report { tried: None, next: Next::HandBack(after), version: 0, chance: 0 })
    }

    pub(crate) fn answer(&mut self) -> Result<(), Broken> {
        let Some((_, Work { held, dialled: Some(version) })) = self.take(true) else { return Ok(()) };
        let (outcome, status) = self.outcome(&held);
        self.report(&held, version, outcome, status)
    }

    /// Reports an outcome as a sender does.
    pub(crate) fn report(
        &mut self,
        held: &Held,
        version: i64,
        outcome: Outcome,
        status: Option<u16>,
    ) -> Result<(), Broken> {
        let plan = self.world.made[&held.seq].run.plan.clone();
        let progress = Progress { plan: &plan, step: held.step, retries: held.retries };
        let next = after(&outcome, progress, &self.schedule, self.dice.fraction());
        let verdict = match &outcome {
            Outcome::Succeeded => Verdict::Succeeded,
            Outcome::CutOff => Verdict::Interrupted,
            Outcome::Retryable { .. } => Verdict::Retried,
            Outcome::Failed { .. } => Verdict::Failed,
        };
        let chance = self.dice.u64();
        self.finish(held, Report { tried: Some((verdict, status)), next, version, chance })
    }

    fn finish(&mut self, held: &Held, report: Report) -> Result<(), Broken> {
        let reported = self.world.finish(held, &report);
        self.did(Deed::Finish(held.clone(), report.clone(), reported));
        self.figures.lost_reports += usize::from(reported == Reported::ClaimLost);
        self.ledger.reported(&self.world, held, &report, reported)
    }

    /// Time goes on; rescuers look in their time.
    pub(crate) fn move_on(&mut self) -> Result<(), Broken> {
        let now = self.world.now;
        let wake = now.plus(self.world.next_wake().unwrap_or(Span::ZERO));
        let within = |micros| Span::from_micros(i64::try_from(self.below(micros)).unwrap());
        let to = match self.below(20) {
            0..7 => now.plus(within(1_000_000)),
            7..11 => now.plus(within(10_000_000)),
            11..16 => wake,
            16..18 => wake.minus(Span::from_micros(1)),
            18 => now.plus(within(120_000_000)),
            _ => now.plus(within(40 * 86_400_000_000)),
        };
        self.set_clock(to.max(now))
    }

    pub(crate) fn set_clock(&mut self, to: Timestamp) -> Result<(), Broken> {
        let mut held = self.owners.iter().flat_map(|owner| &owner.work);
        if held.any(|work| !self.patient(&work.held)) {
            return Ok(());
        }
        let first = self.world.pending.values().filter_map(|(row, _)| Some(row.hold()?.lease_until)).min();
        if let Some(first) = first.filter(|first| *first <= to) {
            // The rescuer that looks next after the first lease is over; what else is over by then goes with it.
            self.world.now = first.max(self.world.now).plus(POLL).max(to);
            self.did(Deed::At(self.world.now));
            return self.rescue();
        }
        self.world.now = to;
        self.did(Deed::At(to));
        if self.below(4) > 0 { Ok(()) } else { self.rescue() }
    }

    fn rescue(&mut self) -> Result<(), Broken> {
        self.figures.dead_probes += self.world.dead_probes();
        let fraction = self.dice.fraction();
        let rescued = self.world.rescue(fraction);
        self.figures.interrupted += rescued.len();
        self.did(Deed::Rescue(rescued.clone()));
        self.ledger.rescued(&self.world, &rescued)
    }

    /// Whether the claim may be cut off: in a calm schedule only until chance would say when it goes on.
    pub(crate) fn patient(&self, held: &Held) -> bool {
        let row = self.world.pending.get(&held.seq).map(|(row, _)| row.interruptions);
        !self.calm || row.is_none_or(|interruptions| interruptions < 4)
    }

    fn may_lose(&self, owner: usize) -> bool {
        self.owners[owner].work.iter().all(|work| self.patient(&work.held))
    }

    pub(crate) fn die(&mut self) {
        if let Some(owner) = self.owner().filter(|owner| self.may_lose(*owner)) {
            self.owners[owner] = Owner::default();
        }
    }

    /// It does nothing until well after its leases are over, and then goes on as if nothing had been.
    pub(crate) fn stall(&mut self) {
        if let Some(owner) = self.owner().filter(|owner| self.may_lose(*owner)) {
            let length = Span::from_micros(i64::try_from(self.below(60_000_000)).unwrap());
            self.owners[owner].stalled_until = Some(self.world.now.plus(length));
        }
    }

    pub(crate) fn restart(&mut self) {
        if (0..OWNERS).all(|owner| self.may_lose(owner)) {
            self.figures.restarts += 1;
            self.owners = vec![Owner::default(); OWNERS];
            self.world.restart();
            self.did(Deed::Restart);
        }
    }
}
