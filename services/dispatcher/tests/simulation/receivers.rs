//! The receivers: each works, fails for a while, or is gone until somebody changes its webhook.

use std::collections::BTreeMap;

use sluice_dispatcher::attempt::{Outcome, judge};
use sluice_dispatcher::execution::EndReason;
use sluice_domain::{Span, Timestamp};

use super::schedule::Simulation;
use super::world::{Held, Hook};

/// How one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    FailsUntil(Timestamp),
    Gone,
}

/// Those that don't work.
#[derive(Debug, Default)]
pub(crate) struct Receivers(BTreeMap<Hook, Mood>);

impl Receivers {
    /// The webhook has another receiver now.
    pub(crate) fn mend_gone(&mut self, hook: &Hook) {
        if self.0.get(hook) == Some(&Mood::Gone) {
            self.0.remove(hook);
        }
    }

    /// All of them work from now on.
    pub(crate) fn mend(&mut self) {
        self.0.clear();
    }

    fn mood(&self, hook: &Hook, now: Timestamp) -> Option<Mood> {
        let lasts = |mood: &&Mood| !matches!(mood, Mood::FailsUntil(until) if *until <= now);
        self.0.get(hook).filter(lasts).copied()
    }
}

impl Simulation {
    /// A receiver begins to fail, for moments or for weeks, or is gone for good.
    pub(crate) fn fail(&mut self) {
        let hook = self.hook();
        let seconds = self.one_of(&[20, 120, 3_000, 3_000, 86_400, 50 * 86_400]);
        let until = self.world.now.plus(Span::from_secs(seconds));
        let mood = if self.below(8) == 0 { Mood::Gone } else { Mood::FailsUntil(until) };
        self.receivers.0.insert(hook, mood);
    }

    /// What comes back of a request, with the status where the receiver answered.
    pub(crate) fn outcome(&mut self, held: &Held) -> (Outcome, Option<u16>) {
        let webhook = self.world.made[&held.seq].run.plan.deliveries[held.step].webhook;
        let hook = (held.account.clone(), webhook);
        let answered = |status, after: Option<i64>| (judge(status, after.map(Span::from_secs)), Some(status));
        let unreached = || (Outcome::Retryable { message: "no answer".into(), retry_after: None }, None);
        let forbidden = || {
            let message = "it is not public".to_owned();
            (Outcome::Failed { reason: EndReason::TargetForbidden, message }, None)
        };
        let dice = self.below(20);
        if dice == 19 && self.patient(held) {
            return (Outcome::CutOff, None);
        }
        match (self.receivers.mood(&hook, self.world.now), dice) {
            (Some(Mood::Gone), _) => answered(410, None),
            (Some(Mood::FailsUntil(_)), 0..10) => answered(503, None),
            (Some(Mood::FailsUntil(_)), 10) => answered(429, Some(30)),
            (Some(Mood::FailsUntil(_)), 11) => forbidden(),
            (Some(Mood::FailsUntil(_)), _) => unreached(),
            (None, 0..11) => answered(200, None),
            (None, 11..14) => answered(503, None),
            (None, 14) => unreached(),
            (None, 15) => answered(429, Some(30)),
            (None, 16 | 17) => answered(403, None),
            (None, _) => answered(408, Some(0)),
        }
    }
}
