//! Which executions somebody asks for, and the shortest way to them.
//!
//! What has many values in an account and few executions each is looked up: a record, a trace, an end that was no success, what is not
//! over. What has few values and many executions each (an automation, a webhook, success) is found on the way through all of them.

use sluice_domain::{AutomationId, Span, Timestamp, WebhookId};

use crate::execution::{EndReason, EndState, Execution, PauseReason, State};
use crate::record::Record;
use crate::trace::TraceId;

/// How far the time in an id may be from when its execution was accepted: the id is minted by the clock of whoever accepts, and the
/// time is the database's.
const SKEW: Span = Span::from_secs(3_600);

/// A state without what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateName {
    /// Accepted and about to start.
    Queued,
    /// An attempt is under way.
    Running,
    /// Waits for a delay, a retry or its turn.
    Waiting,
    /// Held back by a gate.
    Paused,
    /// Ended so.
    Ended(EndState),
}

/// From one instant on, until before another; where one is absent, without that end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeRange {
    /// The first instant.
    pub from: Option<Timestamp>,
    /// The first that is no longer in it.
    pub until: Option<Timestamp>,
}

/// Which executions are meant; what is set must all hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Of this automation.
    pub automation: Option<AutomationId>,
    /// With a delivery to this webhook.
    pub webhook: Option<WebhookId>,
    /// In one of these states; in any, without one.
    pub states: Vec<StateName>,
    /// Ended for this reason.
    pub end_reason: Option<EndReason>,
    /// Held back for this reason.
    pub pause_reason: Option<PauseReason>,
    /// Of this trace.
    pub trace: Option<TraceId>,
    /// About this record.
    pub record: Option<Record>,
    /// Accepted in this time.
    pub accepted: TimeRange,
    /// Ended, for the last time, in this time.
    pub ended: TimeRange,
}

/// By which way the executions of a filter are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Through all of the account's.
    All,
    /// Through those of a trace.
    Trace(TraceId),
    /// Through those of a record.
    Record(String),
    /// Through those that ended so, which is not success, by their end.
    Ended(EndState),
    /// Through those that are not over and could be in one of these states.
    Unfinished(Vec<StateName>),
}

/// Why an execution that a filter meant was left alone, where all that it means are retried or cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Skip {
    /// Something happened to it meanwhile: it is no longer what the filter means.
    Changed,
    /// Its templates were rejected: there is nothing to send.
    NothingToSend,
    /// Its automation was deactivated or deleted since.
    AutomationDeactivated,
    /// The system disabled its webhook, and nobody has enabled it since.
    WebhookDisabled,
}

impl StateName {
    /// The name of a state.
    pub const fn of(state: &State) -> Self {
        match state {
            State::Queued => Self::Queued,
            State::Running => Self::Running,
            State::Waiting(_) => Self::Waiting,
            State::Paused(..) => Self::Paused,
            State::Ended(end, _) => Self::Ended(end.state),
        }
    }

    /// The one that a reason to end belongs to.
    pub const fn after(reason: EndReason) -> Self {
        match reason {
            EndReason::RefusedByReceiver
            | EndReason::RetriesExhausted
            | EndReason::WebhookDeleted
            | EndReason::Unauthenticated
            | EndReason::Forbidden
            | EndReason::TargetForbidden
            | EndReason::TemplateRejected
            | EndReason::CredentialsMissing
            | EndReason::WebhookDisabled => Self::Ended(EndState::Failed),
            EndReason::AutomationDeactivated => Self::Ended(EndState::Stopped),
            EndReason::Cancelled => Self::Ended(EndState::Cancelled),
        }
    }
}

impl TimeRange {
    /// Whether it has this instant.
    pub fn has(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at < until)
    }

    /// Whether it has every instant.
    pub const fn is_open(&self) -> bool {
        self.from.is_none() && self.until.is_none()
    }

    /// The same, but until before this instant at the latest.
    pub fn before(self, until: Timestamp) -> Self {
        Self { until: Some(self.until.map_or(until, |own| own.min(until))), ..self }
    }
}

impl Filter {
    /// The shortest way to what is meant.
    pub fn way(&self) -> Way {
        if let Some(trace) = self.trace {
            return Way::Trace(trace);
        }
        if let Some(record) = &self.record {
            return Way::Record(record.id.clone());
        }
        match self.states.as_slice() {
            [] | [StateName::Ended(EndState::Succeeded)] => Way::All,
            [StateName::Ended(state)] => Way::Ended(*state),
            states if states.iter().any(|state| matches!(state, StateName::Ended(_))) => Way::All,
            states => Way::Unfinished(states.to_vec()),
        }
    }

    /// When what is meant was accepted, as far as ids tell: what ended before a time was accepted before it, too.
    pub fn minted(&self) -> TimeRange {
        let until = [self.accepted.until, self.ended.until].into_iter().flatten().min();
        TimeRange {
            from: self.accepted.from.map(|from| from.minus(SKEW)),
            until: until.map(|until| until.plus(SKEW)),
        }
    }

    /// Whether it lets everything through.
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// Whether what never changes of an execution is as it says.
    pub fn wants(&self, execution: &Execution) -> bool {
        self.automation.is_none_or(|wanted| execution.automation == Some(wanted))
            && self.webhook.is_none_or(|wanted| {
                execution.plan.deliveries.iter().any(|delivery| delivery.webhook == wanted)
            })
            && self.record.as_ref().is_none_or(|record| record.is_of(&execution.event))
            && self.trace.is_none_or(|trace| TraceId::of(&execution.traceparent) == Some(trace))
            && self.accepted.has(execution.accepted_at)
    }

    /// Whether where an execution stands is as it says.
    pub fn wants_state(&self, state: &State) -> bool {
        let by_reason = match state {
            State::Ended(end, at) => {
                self.pause_reason.is_none()
                    && self.end_reason.is_none_or(|reason| end.reason == Some(reason))
                    && self.ended.has(*at)
            }
            State::Paused(reason, _) => {
                self.end_reason.is_none()
                    && self.pause_reason.is_none_or(|wanted| wanted == *reason)
                    && self.ended.is_open()
            }
            State::Queued | State::Running | State::Waiting(_) => {
                self.end_reason.is_none() && self.pause_reason.is_none() && self.ended.is_open()
            }
        };
        by_reason && (self.states.is_empty() || self.states.contains(&StateName::of(state)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::End;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn in_state(state: StateName) -> Filter {
        Filter { states: vec![state], ..Filter::default() }
    }

    #[test]
    fn a_range_has_its_first_instant_and_not_its_last() {
        let range = TimeRange { from: Some(at(1)), until: Some(at(3)) };
        assert_eq!([0, 1, 2, 3].map(|seconds| range.has(at(seconds))), [false, true, true, false]);
        assert_eq!(range.before(at(2)).until, Some(at(2)));
        assert_eq!(range.before(at(9)).until, Some(at(3)));
        assert!(TimeRange::default().has(at(-9)) && TimeRange::default().is_open());
    }

    #[test]
    fn what_is_rare_is_looked_up_and_what_is_common_is_met_on_the_way() {
        let trace: TraceId = "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap();
        let record = || Some(Record { id: "42".into(), object: None });
        let failed = StateName::Ended(EndState::Failed);
        assert_eq!(Filter::default().way(), Way::All);
        assert_eq!(in_state(StateName::Ended(EndState::Succeeded)).way(), Way::All);
        assert_eq!(in_state(failed).way(), Way::Ended(EndState::Failed));
        assert_eq!(in_state(StateName::Paused).way(), Way::Unfinished(vec![StateName::Paused]));
        let mixed = Filter { states: vec![failed, StateName::Paused], ..Filter::default() };
        assert_eq!(mixed.way(), Way::All);
        assert_eq!(Filter { record: record(), ..in_state(failed) }.way(), Way::Record("42".into()));
        let both = Filter { trace: Some(trace), record: record(), ..Filter::default() };
        assert_eq!(both.way(), Way::Trace(trace));
    }

    #[test]
    fn a_reason_and_a_time_of_the_end_are_of_what_ended_only() {
        let end = || End::failed(EndReason::Forbidden, "");
        let ended = State::Ended(end(), at(5));
        let by_reason = Filter { end_reason: Some(EndReason::Forbidden), ..Filter::default() };
        let by_time = Filter { ended: TimeRange { from: Some(at(5)), until: None }, ..Filter::default() };
        for filter in [&by_reason, &by_time] {
            assert!(filter.wants_state(&ended), "{filter:?}");
            assert!(!filter.wants_state(&State::Queued) && !filter.wants_state(&State::Waiting(at(9))));
        }
        assert!(!by_time.wants_state(&State::Ended(end(), at(4))));
        let paused = Filter { pause_reason: Some(PauseReason::Quota), ..Filter::default() };
        assert!(paused.wants_state(&State::Paused(PauseReason::Quota, None)));
        assert!(!paused.wants_state(&State::Paused(PauseReason::Plan, None)) && !paused.wants_state(&ended));
    }

    #[test]
    fn what_ended_before_a_time_was_accepted_before_it() {
        let ended = TimeRange { from: Some(at(50_000)), until: Some(at(60_000)) };
        let filter = Filter { ended, ..Filter::default() };
        assert_eq!(filter.minted(), TimeRange { from: None, until: Some(at(63_600)) });
        let accepted = TimeRange { from: Some(at(10_000)), until: Some(at(20_000)) };
        let filter = Filter { accepted, ended, ..Filter::default() };
        assert_eq!(filter.minted(), TimeRange { from: Some(at(6_400)), until: Some(at(23_600)) });
    }
}
