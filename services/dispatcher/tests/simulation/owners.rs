//! What the processes do: accept, claim, dial, report, die, stall, come again.

use sluice_dispatcher::attempt::{Outcome, Verdict};
use sluice_dispatcher::claim::Reported;
use sluice_dispatcher::execution::{EndReason, Next, Progress, after};
use sluice_domain::{Span, Timestamp};

use super::ledger::Broken;
use super::schedule::{Deed, OWNERS, Owner, POLL, Simulation, Work};
use super::world::{Answer, Held};

impl Simulation {
    /// A process that neither died nor stalled.
    fn owner(&self) -> Option<usize> {
        let now = self.world.now;
        let lives = |owner: &usize| self.owners[*owner].stalled_until.is_none_or(|until| until <= now);
        let living: Vec<usize> = (0..OWNERS).filter(lives).collect();
        (!living.is_empty()).then(|| self.one_of(&living))
    }

    fn room(&self) -> usize {
        self.one_of(&[0, 1, 2, 5, 50, 50, 50])
    }

    fn give(&mut self, owner: usize, claims: Vec<Held>) {
        self.owners[owner].work.extend(claims.into_iter().map(|held| Work { held, dialled: false }));
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
        let owner = self.owner()?;
        let work = &self.owners[owner].work;
        let fits: Vec<usize> = (0..work.len()).filter(|at| work[*at].dialled == dialled).collect();
        if fits.is_empty() {
            return None;
        }
        let at = self.one_of(&fits);
        Some((owner, self.owners[owner].work.swap_remove(at)))
    }

    pub(crate) fn dial(&mut self) -> Result<(), Broken> {
        let Some((owner, work)) = self.take(false) else { return Ok(()) };
        if self.below(15) == 0 {
            // The registry does not answer.
            return self.finish(&work.held, None, Next::HandBack(Span::from_secs(2)));
        }
        if let Some(work) = self.dial_one(work)? {
            self.owners[owner].work.push(work);
        }
        Ok(())
    }

    /// Dials a claim, or hands it back if it is too late.
    pub(crate) fn dial_one(&mut self, work: Work) -> Result<Option<Work>, Broken> {
        if self.world.now > work.held.claimed_at.plus(self.world.lease.send_within) {
            self.finish(&work.held, None, Next::HandBack(Span::ZERO))?;
            return Ok(None);
        }
        self.ledger.hit(&self.world, &work.held)?;
        self.figures.hits += 1;
        Ok(Some(Work { dialled: true, ..work }))
    }

    pub(crate) fn answer(&mut self) -> Result<(), Broken> {
        let Some((_, work)) = self.take(true) else { return Ok(()) };
        let message = || "it failed".to_owned();
        let outcome = match self.below(20) {
            0..10 => Outcome::Succeeded,
            10..15 => Outcome::Retryable { message: message(), retry_after: None },
            15 => Outcome::Retryable { message: message(), retry_after: Some(Span::from_secs(30)) },
            16 | 17 => Outcome::Failed { reason: EndReason::Forbidden, message: message() },
            18 if self.patient(&work.held) => Outcome::CutOff,
            _ => Outcome::Retryable { message: message(), retry_after: Some(Span::ZERO) },
        };
        self.report(&work.held, outcome)
    }

    /// Reports an outcome as a sender does.
    pub(crate) fn report(&mut self, held: &Held, outcome: Outcome) -> Result<(), Broken> {
        let plan = self.world.made[&held.seq].run.plan.clone();
        let progress = Progress { plan: &plan, step: held.step, retries: held.retries };
        let next = after(&outcome, progress, &self.schedule, self.dice.fraction());
        let verdict = match (&outcome, &next) {
            (Outcome::Succeeded, _) => Verdict::Succeeded,
            (Outcome::CutOff, _) => Verdict::Interrupted,
            (_, Next::Retry(_)) => Verdict::Retried,
            _ => Verdict::Failed,
        };
        self.finish(held, Some(verdict), next)
    }

    fn finish(&mut self, held: &Held, tried: Option<Verdict>, next: Next) -> Result<(), Broken> {
        let reported = self.world.finish(held, tried, next.clone());
        self.did(Deed::Finish(held.clone(), tried, next.clone(), reported));
        self.figures.lost_reports += usize::from(reported == Reported::ClaimLost);
        self.ledger.reported(&self.world, held, &next, tried.is_some(), reported)
    }

    /// Time goes on; rescuers look in their time.
    pub(crate) fn move_on(&mut self) -> Result<(), Broken> {
        let now = self.world.now;
        let wake = now.plus(self.world.next_wake().unwrap_or(Span::ZERO));
        let within = |micros| Span::from_micros(i64::try_from(self.below(micros)).unwrap());
        let to = match self.below(20) {
            0..9 => now.plus(within(1_000_000)),
            9..12 => now.plus(within(10_000_000)),
            12..16 => wake,
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
        if first.is_some_and(|first| first <= to) {
            // The rescuer that looks next after the first lease is over; what else is over by then goes with it.
            let looks = first.into_iter().chain([self.world.now]).max().unwrap_or(to).plus(POLL);
            self.world.now = looks.max(to);
            self.did(Deed::At(self.world.now));
            let fraction = self.dice.fraction();
            let rescued = self.world.rescue(fraction);
            self.figures.interrupted += rescued.len();
            self.did(Deed::Rescue(rescued.clone()));
            return self.ledger.rescued(&self.world, &rescued);
        }
        self.world.now = to;
        self.did(Deed::At(to));
        if self.below(4) > 0 {
            return Ok(());
        }
        let fraction = self.dice.fraction();
        let rescued = self.world.rescue(fraction);
        self.did(Deed::Rescue(rescued.clone()));
        self.ledger.rescued(&self.world, &rescued)
    }

    /// Whether the claim may be cut off: in a calm schedule only until chance would say when it goes on.
    fn patient(&self, held: &Held) -> bool {
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
