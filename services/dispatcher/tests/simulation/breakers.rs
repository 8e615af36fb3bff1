//! The breakers of the webhooks that fail: what a report means for one, what the registry's word does, and the end of what waits for a
//! webhook that was given up.

use std::collections::BTreeMap;

use sluice_dispatcher::attempt::{Attempt, KeptAnswer};
use sluice_dispatcher::breaker::{Breaker, Decision, Probe, Seen, Standing, State, Why};
use sluice_dispatcher::claim::{self, Finish};
use sluice_dispatcher::execution::{End, Next};
use sluice_dispatcher::gate::{Lane, Subject};
use sluice_dispatcher::pending::Pending;
use sluice_domain::Span;
use sluice_runtime::Entropy;

use super::mutation::Mutation;
use super::world::{Held, Hook, Report, World};

/// The registry's word for how a webhook stands, as of a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) hook: Hook,
    pub(crate) revision: i64,
    pub(crate) standing: Standing,
    /// Whether it is the answer to a disabling.
    pub(crate) answer: bool,
}

impl World {
    /// A breaker as a planted bug has it.
    pub(crate) fn as_planted(&self, breaker: Breaker) -> Breaker {
        let state = match breaker.state {
            State::HalfOpen(_) if self.has(Mutation::SecondProbe) => State::Open { until: self.now },
            State::HalfOpen(Probe { token, until }) if self.has(Mutation::DeadProbeKept) => {
                State::HalfOpen(Probe { token, until: until.plus(Span::from_secs(1_000 * 86_400)) })
            }
            State::Open { .. } if self.has(Mutation::BreakerIgnored) => State::Closed,
            state => state,
        };
        Breaker { state, ..breaker }
    }

    /// Whether a claim is its webhook's probe.
    pub(crate) fn is_probe(&self, held: &Held) -> bool {
        let webhook = self.made[&held.seq].run.plan.deliveries[held.step].webhook;
        self.probes(&(held.account.clone(), webhook), held.token)
    }

    /// Whether the claim under this token is a webhook's probe.
    fn probes(&self, hook: &Hook, token: i64) -> bool {
        let breaker = self.breakers.get(hook);
        breaker.is_some_and(|breaker| matches!(breaker.state, State::HalfOpen(probe) if probe.token == token))
    }

    /// How many probes there are whose lease is over, and that nobody has reported.
    pub(crate) fn dead_probes(&self) -> usize {
        let held = |row: &Pending| row.hold().filter(|hold| hold.lease_until <= self.now);
        let dead = self.pending.values().filter_map(|(row, lane)| Some((held(row)?.token, row, lane)));
        let is_probe = |(token, row, lane): &(i64, &Pending, &Lane)| {
            self.probes(&(self.made[&row.seq].account.clone(), lane.webhook), *token)
        };
        dead.filter(is_probe).count()
    }

    /// A claim ended so: what that means for its webhook's breaker.
    pub(crate) fn see(&mut self, held: &Held, report: &Report) {
        let finish = self.finish_of(held, report);
        let Some(contact) = finish.contact else { return };
        let hook = (held.account.clone(), contact.webhook);
        // Where the account is left as it is, nobody reads its breakers.
        let breaker = if finish.leaves_account() { None } else { self.breakers.get(&hook).copied() };
        let again_after = match finish.next {
            Next::HandBack(after) => after,
            Next::End(_) | Next::Retry(_) | Next::Advance { .. } => Span::ZERO,
        };
        let seen = Seen { sign: finish.sign(), token: held.token, version: contact.version, again_after };
        let fraction = Entropy::seeded(report.chance).fraction();
        let wake_at = match self.policy.after(breaker, seen, self.now, fraction) {
            Decision::Leave => return,
            Decision::Keep(next) => {
                self.opens(&hook, breaker, next);
                self.breakers.insert(hook, next);
                next.probe_at()
            }
            Decision::Forget => {
                self.breakers.remove(&hook);
                breaker.filter(Breaker::holds).map(|_| self.now)
            }
        };
        let quota = self.quota(&held.account);
        if quota.waiting > 0 {
            quota.wake_at = quota.wake_at.into_iter().chain(wake_at).min();
        }
    }

    /// The report as the store gets it.
    fn finish_of(&self, held: &Held, report: &Report) -> Finish {
        let delivery = &self.made[&held.seq].run.plan.deliveries[held.step];
        let attempt = report.tried.map(|(verdict, status)| {
            let answer = |status| KeptAnswer { status, headers: vec![], body: vec![], truncated: false };
            Attempt {
                step: held.step,
                number: held.attempt,
                verdict,
                started_at: held.claimed_at,
                ended_at: None,
                duration: Span::ZERO,
                url_path: String::new(),
                request_headers: Vec::new(),
                answer: status.map(answer),
                error: String::new(),
            }
        });
        let claim = claim::Standing {
            seq: held.seq,
            token: held.token,
            step: held.step,
            attempt: held.attempt,
            ends: held.ends,
            started_at: held.started_at,
            ordered: delivery.ordered,
        };
        let (webhook, troubled, version) = (delivery.webhook, held.troubled, report.version);
        let contact = Some(claim::Contact { webhook, troubled, version });
        Finish { account: held.account.clone(), claim, attempt, next: report.next.clone(), contact }
    }

    /// Bugs that show when a breaker opens or its webhook is to be given up.
    fn opens(&mut self, hook: &Hook, before: Option<Breaker>, next: Breaker) {
        if before.is_some_and(|before| before.holds()) || !next.holds() {
            return;
        }
        let uses = u32::from(self.has(Mutation::BreakerUsesARetry));
        let attempts = i64::from(self.has(Mutation::BreakerUsesAnAttempt));
        for (row, _) in self.pending.values_mut().filter(|waiting| waits_for(waiting, hook)) {
            row.attempt += attempts;
            row.retries += uses;
        }
        if self.has(Mutation::FailsBeforeTheAnswer) && matches!(next.state, State::Disabling { .. }) {
            self.fail_waiting(hook);
        }
    }

    /// Webhooks that the registry is to disable and has not answered for, with the version and why.
    pub(crate) fn disabling(&self) -> Vec<(Hook, i64, Why)> {
        let told = |(hook, breaker): (&Hook, &Breaker)| match breaker.state {
            State::Disabling { why, version } => Some((hook.clone(), version, why)),
            _ => None,
        };
        self.breakers.iter().filter_map(told).collect()
    }

    /// Webhooks that the system disabled, and for which something may wait still.
    pub(crate) fn unswept(&self) -> Vec<Hook> {
        let waits = |breaker: &Breaker| breaker.is_disabled() && breaker.may_hold_work();
        self.breakers.iter().filter(|(_, breaker)| waits(breaker)).map(|(hook, _)| hook.clone()).collect()
    }

    /// The webhooks that have a gate or a breaker, and whether the registry's word that one is enabled would be news.
    pub(crate) fn gated(&self) -> BTreeMap<Hook, bool> {
        let mut gated = BTreeMap::new();
        for (account, gates) in &self.gates {
            for (gate, closed) in gates {
                if let Subject::Webhook(webhook) = gate.subject {
                    gated.insert((account.clone(), webhook), *closed);
                }
            }
        }
        for (hook, breaker) in &self.breakers {
            *gated.entry(hook.clone()).or_default() |= breaker.is_given_up();
        }
        gated
    }

    /// Takes the registry's word. Says whether anything changed.
    pub(crate) fn told(&mut self, word: &Word) -> bool {
        let (account, webhook) = &word.hook;
        self.quota(account);
        let closes = word.standing == Standing::DisabledByHand;
        let fresh = self.put(account, Subject::Webhook(*webhook), word.revision, closes);
        if closes && self.has(Mutation::PauseUsesAnAttempt) {
            let behind = self.pending.values_mut().filter(|waiting| waits_for(waiting, &word.hook));
            behind.for_each(|(row, _)| row.attempt += 1);
        }
        let breaker = self.breakers.get(&word.hook).copied();
        let decision = match breaker.filter(|_| word.answer) {
            Some(breaker) => breaker.answered(word.standing, word.revision, fresh),
            None => Breaker::told(breaker, word.standing, word.revision, fresh, self.now),
        };
        match decision {
            Decision::Leave => {}
            Decision::Keep(next) => {
                self.breakers.insert(word.hook.clone(), next);
            }
            Decision::Forget => {
                self.breakers.remove(&word.hook);
            }
        }
        let (now, opens) = (self.now, (fresh && !closes) || decision == Decision::Forget);
        let quota = self.quota(account);
        if opens && quota.waiting > 0 {
            quota.wake_at = Some(now);
        }
        fresh || decision != Decision::Leave
    }

    /// Fails what waits for a webhook that the system disabled.
    pub(crate) fn sweep(&mut self, hook: &Hook) {
        let Some(breaker) = self.breakers.get(hook).copied() else { return };
        let State::Disabled { why, revision, .. } = breaker.state else { return };
        if !self.has(Mutation::NobodySweeps) {
            self.fail_waiting(hook);
        }
        let state = State::Disabled { why, revision, swept: true };
        self.breakers.insert(hook.clone(), Breaker { state, ..breaker });
    }

    fn fail_waiting(&mut self, hook: &Hook) {
        let waiting = self.pending.values().filter(|waiting| waits_for(waiting, hook));
        let waiting: Vec<Pending> = waiting.map(|(row, _)| row.clone()).collect();
        self.end_waiting(&hook.0, &waiting, End::webhook_disabled);
        self.leave_all(&waiting.iter().map(|row| row.seq).collect::<Vec<_>>());
    }
}

/// Whether nobody has it, and its next delivery goes to this webhook.
fn waits_for((row, lane): &(Pending, Lane), (account, webhook): &Hook) -> bool {
    row.account == account.as_str() && lane.webhook == *webhook && row.hold().is_none()
}
