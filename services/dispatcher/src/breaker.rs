//! The health of one webhook: it fails and is counted, its breaker opens and lets one probe through at a time, and in the end the
//! system disables it. A webhook that works has none of this on record.
//!
//! Who moves it on: an attempt that ends ([`Policy::after`]), the claim that takes a probe ([`Breaker::take_probe`]), and the
//! registry, which is told of a disabling, stores it, and says when somebody enables the webhook again.

mod policy;

use sluice_domain::Timestamp;

use crate::attempt::{Attempt, Verdict};
use crate::execution::{EndReason, Next, PauseReason, stored_as_text};
use crate::pause::Pause;

pub use policy::{Decision, Policy, Seen};

/// The HTTP status of a receiver that is gone for good.
const GONE: u16 = 410;

stored_as_text! {
    /// Why the system disables a webhook.
    Why {
        /// Its receiver answered 410.
        Gone = "GONE",
        /// It kept failing for the configured time.
        Failing = "FAILING",
    }
}

/// The one request that is let through an open breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// The token of its claim.
    pub token: i64,
    /// When another one takes its place, because its owner died.
    pub until: Timestamp,
}

/// Whether requests to a webhook that fails go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// They do; it has not failed often or long enough.
    Closed,
    /// None does until the time of the next probe.
    Open {
        /// When that is.
        until: Timestamp,
    },
    /// None does while a probe is under way.
    HalfOpen(Probe),
    /// None does: the system disables it, and the registry has not taken it up yet. What waits is paused.
    Disabling {
        /// Why.
        why: Why,
        /// The webhook's version that the request went to: one that was changed since is not disabled.
        version: i64,
    },
    /// The registry has it as disabled by the system. What waits fails.
    Disabled {
        /// Why.
        why: Why,
        /// The registry's revision that says so; a later one may enable it again.
        revision: i64,
        /// Whether all that waited has failed.
        swept: bool,
    },
}

/// A webhook that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row.
    pub failures: u32,
    /// When the first of them was recorded.
    pub since: Timestamp,
    /// How often in a row it opened: how long it does next time.
    pub opened: u32,
    /// Where it stands.
    pub state: State,
}

/// How the registry says that a webhook stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In use.
    Enabled,
    /// Disabled by hand.
    DisabledByHand,
    /// Disabled by the system.
    DisabledBySystem(Why),
    /// Deleted.
    Gone,
}

/// What an attempt that ended says of the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It is there: it took the request, or refused this one.
    Alive,
    /// It is not, or can't take requests now.
    Failing,
    /// It is gone for good.
    Gone,
    /// Nothing: there was no request, or it was cut off by us.
    Silent,
}

impl Sign {
    /// What a claim says by what became of it.
    pub fn of(attempt: Option<&Attempt>, next: &Next) -> Self {
        let Some(attempt) = attempt else { return Self::Silent };
        match (attempt.verdict, attempt.answer.as_ref().map(|answer| answer.status)) {
            (Verdict::Started | Verdict::Interrupted, _) => Self::Silent,
            (Verdict::Succeeded, _) => Self::Alive,
            (Verdict::Retried, _) => Self::Failing,
            (Verdict::Failed, Some(GONE)) => Self::Gone,
            (Verdict::Failed, Some(_)) => Self::Alive,
            (Verdict::Failed, None) => match next {
                Next::End(end) if end.reason == Some(EndReason::TargetForbidden) => Self::Failing,
                _ => Self::Silent,
            },
        }
    }
}

impl Breaker {
    /// Whether it keeps requests from going through; a probe aside.
    pub const fn holds(&self) -> bool {
        !matches!(self.state, State::Closed)
    }

    /// Whether something may wait behind it.
    pub const fn may_hold_work(&self) -> bool {
        match self.state {
            State::Closed => false,
            State::Open { .. } | State::HalfOpen(_) | State::Disabling { .. } => true,
            State::Disabled { swept, .. } => !swept,
        }
    }

    /// Whether what waits for the webhook fails.
    pub const fn is_disabled(&self) -> bool {
        matches!(self.state, State::Disabled { .. })
    }

    /// Whether the system has given the webhook up, so that only somebody's word lets requests through again.
    pub const fn is_given_up(&self) -> bool {
        matches!(self.state, State::Disabling { .. } | State::Disabled { .. })
    }

    /// The time of the next probe; none where none will be let through.
    pub const fn probe_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Open { until } | State::HalfOpen(Probe { until, .. }) => Some(until),
            State::Closed | State::Disabling { .. } | State::Disabled { .. } => None,
        }
    }

    /// Whether a probe may go now: its time has come, and the last one has ended or its owner died.
    pub fn lets_probe(&self, now: Timestamp) -> bool {
        self.probe_at().is_some_and(|at| at <= now)
    }

    /// A probe is under way, under this token, until then at most; [`Self::lets_probe`] said yes.
    pub fn take_probe(&mut self, token: i64, until: Timestamp) {
        self.state = State::HalfOpen(Probe { token, until });
    }

    /// What the registry's word means for a webhook's breaker, if it has one on record; `fresh` says that no later word is known.
    pub fn told(
        breaker: Option<Self>,
        standing: Standing,
        revision: i64,
        fresh: bool,
        now: Timestamp,
    ) -> Decision {
        let given_up = |why| {
            let failing =
                breaker.unwrap_or(Self { failures: 1, since: now, opened: 0, state: State::Closed });
            Decision::Keep(Self { state: State::Disabled { why, revision, swept: false }, ..failing })
        };
        match (breaker.map(|breaker| breaker.state), standing) {
            (Some(State::Disabled { revision: known, .. }), Standing::Enabled | Standing::DisabledByHand) => {
                if revision > known {
                    Decision::Forget
                } else {
                    Decision::Leave
                }
            }
            // The registry has still to answer; what it says then counts.
            (Some(State::Disabling { .. }), Standing::Enabled | Standing::DisabledByHand) => Decision::Leave,
            // Somebody changed it: it is tried anew.
            (Some(_), Standing::Enabled) if fresh => Decision::Forget,
            (Some(_), Standing::Gone) => Decision::Forget,
            (Some(State::Disabled { .. }), Standing::DisabledBySystem(_)) => {
                breaker.map_or(Decision::Leave, |breaker| breaker.still_disabled(revision))
            }
            (_, Standing::DisabledBySystem(why)) if fresh => given_up(why),
            _ => Decision::Leave,
        }
    }

    /// What the registry's answer to a disabling means, which is how the webhook stands as of a revision. Another answer may have been
    /// faster, and the webhook been tried anew since.
    pub fn answered(self, standing: Standing, revision: i64, fresh: bool) -> Decision {
        match (self.state, standing) {
            (State::Disabled { .. }, Standing::DisabledBySystem(_)) => self.still_disabled(revision),
            (State::Disabled { .. }, _) => Decision::Leave,
            // Also where it is no longer to be disabled: what the registry tells of it is no later word than this, and would be left.
            (_, Standing::DisabledBySystem(why)) if fresh => {
                Decision::Keep(Self { state: State::Disabled { why, revision, swept: false }, ..self })
            }
            // It was changed since, or enabled again before the answer was here.
            (State::Disabling { .. }, _) => Decision::Forget,
            _ => Decision::Leave,
        }
    }

    /// The registry says at this revision that it is disabled still: a word from before no longer enables it.
    fn still_disabled(self, revision: i64) -> Decision {
        match self.state {
            State::Disabled { why, revision: known, swept } if known < revision => {
                Decision::Keep(Self { state: State::Disabled { why, revision, swept }, ..self })
            }
            _ => Decision::Leave,
        }
    }

    /// Why requests wait, and until when: the time of the probe, unless it has come already, since then it depends on the receiver.
    pub fn pause(&self, now: Timestamp) -> Option<Pause> {
        match self.state {
            State::Closed => None,
            State::Open { until } => Some((PauseReason::BreakerOpen, Some(until).filter(|at| *at > now))),
            State::HalfOpen(_) => Some((PauseReason::BreakerOpen, None)),
            State::Disabling { .. } | State::Disabled { .. } => Some((PauseReason::WebhookDisabled, None)),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use sluice_domain::Span;

    use super::*;
    use crate::attempt::KeptAnswer;
    use crate::execution::End;

    pub(crate) fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_795_000_000_000_000).plus(Span::from_secs(seconds))
    }

    pub(crate) fn breaker(state: State) -> Breaker {
        Breaker { failures: 10, since: at(0), opened: 1, state }
    }

    fn attempt(verdict: Verdict, status: Option<u16>) -> Attempt {
        let answer =
            status.map(|status| KeptAnswer { status, headers: vec![], body: vec![], truncated: false });
        Attempt {
            step: 0,
            number: 1,
            verdict,
            started_at: at(0),
            ended_at: None,
            duration: Span::ZERO,
            url_path: String::new(),
            request_headers: Vec::new(),
            answer,
            error: String::new(),
        }
    }

    #[test]
    fn what_no_receiver_answered_for_says_nothing() {
        let again = Next::HandBack(Span::ZERO);
        assert_eq!(Sign::of(None, &again), Sign::Silent);
        assert_eq!(Sign::of(Some(&attempt(Verdict::Interrupted, None)), &again), Sign::Silent);
        let rejected = Next::End(End::failed(EndReason::TemplateRejected, ""));
        assert_eq!(Sign::of(Some(&attempt(Verdict::Failed, None)), &rejected), Sign::Silent);
    }

    #[test]
    fn a_refusal_shows_a_living_receiver_and_what_is_retried_or_has_no_target_a_failing_one() {
        let end = Next::End(End::failed(EndReason::RefusedByReceiver, ""));
        for status in [301, 400, 401, 403, 404, 409, 422] {
            assert_eq!(
                Sign::of(Some(&attempt(Verdict::Failed, Some(status))), &end),
                Sign::Alive,
                "{status}"
            );
        }
        assert_eq!(Sign::of(Some(&attempt(Verdict::Failed, Some(410))), &end), Sign::Gone);
        let done = Next::End(End::succeeded());
        assert_eq!(Sign::of(Some(&attempt(Verdict::Succeeded, Some(204))), &done), Sign::Alive);
        let last = Next::End(End::failed(EndReason::RetriesExhausted, ""));
        for (status, next) in
            [(Some(503), Next::Retry(Span::ZERO)), (None, Next::Retry(Span::ZERO)), (Some(429), last)]
        {
            assert_eq!(Sign::of(Some(&attempt(Verdict::Retried, status)), &next), Sign::Failing);
        }
        let forbidden = Next::End(End::failed(EndReason::TargetForbidden, ""));
        assert_eq!(Sign::of(Some(&attempt(Verdict::Failed, None)), &forbidden), Sign::Failing);
    }

    #[test]
    fn a_probe_goes_at_its_time_and_another_one_only_once_its_lease_is_over() {
        let mut breaker = breaker(State::Open { until: at(30) });
        assert!(!breaker.lets_probe(at(29)) && breaker.lets_probe(at(30)));
        breaker.take_probe(7, at(60));
        assert!(!breaker.lets_probe(at(59)) && breaker.lets_probe(at(60)));
        assert!(breaker.holds() && breaker.may_hold_work());
    }

    #[test]
    fn a_pause_ends_at_the_probes_time_as_long_as_that_lies_ahead() {
        let open = breaker(State::Open { until: at(30) });
        assert_eq!(open.pause(at(29)), Some((PauseReason::BreakerOpen, Some(at(30)))));
        assert_eq!(open.pause(at(30)), Some((PauseReason::BreakerOpen, None)));
        let probe = Probe { token: 1, until: at(60) };
        assert_eq!(breaker(State::HalfOpen(probe)).pause(at(31)), Some((PauseReason::BreakerOpen, None)));
        assert_eq!(breaker(State::Closed).pause(at(0)), None);
    }

    #[test]
    fn only_a_later_word_than_the_disablings_enables_a_webhook_again() {
        let told = |state, standing, revision, fresh| {
            Breaker::told(Some(breaker(state)), standing, revision, fresh, at(0))
        };
        let disabled = State::Disabled { why: Why::Gone, revision: 7, swept: true };
        assert_eq!(told(disabled, Standing::Enabled, 7, true), Decision::Leave);
        assert_eq!(told(disabled, Standing::Enabled, 8, true), Decision::Forget);
        let later = State::Disabled { why: Why::Gone, revision: 9, swept: true };
        let still = Decision::Keep(breaker(later));
        assert_eq!(told(disabled, Standing::DisabledBySystem(Why::Gone), 9, true), still);
        assert_eq!(breaker(disabled).answered(Standing::DisabledBySystem(Why::Gone), 9, true), still);
        assert_eq!(told(later, Standing::Enabled, 8, false), Decision::Leave, "it was disabled again since");
        assert_eq!(told(disabled, Standing::DisabledBySystem(Why::Gone), 7, true), Decision::Leave);
        assert_eq!(told(disabled, Standing::Gone, 8, true), Decision::Forget);
        let disabling = State::Disabling { why: Why::Gone, version: 1 };
        assert_eq!(told(disabling, Standing::Enabled, 99, true), Decision::Leave, "it was not answered yet");
        let by_system = Standing::DisabledBySystem(Why::Gone);
        let Decision::Keep(next) = told(disabling, by_system, 9, true) else { panic!("it is not disabled") };
        assert_eq!(next.state, State::Disabled { why: Why::Gone, revision: 9, swept: false });
        assert_eq!(told(disabling, by_system, 9, false), Decision::Leave);
        assert_eq!(told(State::Open { until: at(9) }, Standing::Enabled, 9, true), Decision::Forget);
        assert_eq!(told(State::Open { until: at(9) }, Standing::Enabled, 9, false), Decision::Leave);
        assert!(matches!(Breaker::told(None, by_system, 9, true, at(0)), Decision::Keep(_)));
        assert_eq!(Breaker::told(None, Standing::Enabled, 9, true, at(0)), Decision::Leave);
    }

    #[test]
    fn the_answer_to_a_disabling_settles_it_either_way() {
        let disabling = breaker(State::Disabling { why: Why::Failing, version: 1 });
        let by_system = Standing::DisabledBySystem(Why::Failing);
        let Decision::Keep(next) = disabling.answered(by_system, 9, true) else {
            panic!("it is not disabled")
        };
        assert_eq!(next.state, State::Disabled { why: Why::Failing, revision: 9, swept: false });
        assert_eq!(disabling.answered(by_system, 9, false), Decision::Forget, "it was enabled again since");
        for standing in [Standing::Enabled, Standing::DisabledByHand, Standing::Gone] {
            assert_eq!(disabling.answered(standing, 9, true), Decision::Forget);
        }
    }

    #[test]
    fn an_answer_is_taken_also_where_another_one_was_faster_and_the_webhook_was_tried_anew() {
        let probe = Probe { token: 7, until: at(60) };
        let by_system = Standing::DisabledBySystem(Why::Gone);
        for state in [State::Closed, State::Open { until: at(30) }, State::HalfOpen(probe)] {
            let Decision::Keep(next) = breaker(state).answered(by_system, 9, true) else {
                panic!("{state:?}: nobody tells it again")
            };
            assert_eq!(next.state, State::Disabled { why: Why::Gone, revision: 9, swept: false });
            assert_eq!(breaker(state).answered(by_system, 9, false), Decision::Leave);
            assert_eq!(breaker(state).answered(Standing::Enabled, 9, true), Decision::Leave);
        }
        let disabled = breaker(State::Disabled { why: Why::Gone, revision: 9, swept: true });
        assert_eq!(disabled.answered(by_system, 9, true), Decision::Leave, "it is swept already");
    }

    #[test]
    fn nothing_waits_behind_a_webhook_that_is_disabled_and_swept() {
        let disabled = |swept| breaker(State::Disabled { why: Why::Gone, revision: 3, swept });
        assert!(disabled(false).may_hold_work() && !disabled(true).may_hold_work());
        assert!(
            disabled(true).holds() && disabled(true).is_disabled() && !disabled(true).lets_probe(at(999))
        );
        let disabling = breaker(State::Disabling { why: Why::Failing, version: 1 });
        assert!(disabling.may_hold_work() && !disabling.is_disabled() && !disabling.lets_probe(at(999)));
        assert!(disabling.is_given_up() && disabled(true).is_given_up());
        assert!(!breaker(State::Open { until: at(30) }).is_given_up());
    }
}
