//! One automation set off by one event, or one event webhook's notification: where it stands and what comes after an attempt.
//!
//! Who takes it onward: `Queued`, `Waiting` and `Paused` are claimed when their turn comes; `Running` ends with its attempt, or is
//! rescued when its owner died; the four ends are final until somebody retries.

use std::sync::Arc;

use sluice_domain::{AccountId, AutomationId, ExecutionId, Span, Timestamp, WebhookId};

use crate::attempt::{Attempt, Outcome};
use crate::gate::Stop;
use crate::plan::Plan;
use crate::retry::Schedule;

/// Why an execution that could run is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseReason {
    /// The rate or the allowance is used up.
    Quota,
    /// The plan has no automations.
    Plan,
    /// The webhook was disabled by hand, or the system is about to.
    WebhookDisabled,
    /// The webhook's receiver keeps failing.
    BreakerOpen,
    /// The registry has not told us of the account yet.
    EntitlementsUnknown,
    /// An operator paused the account.
    Operator,
}

macro_rules! stored_as_text {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// The word in the tables.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The one with this word.
            pub fn read(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use stored_as_text;

stored_as_text! {
    /// How an execution can end.
    EndState {
        /// Every delivery succeeded.
        Succeeded = "SUCCEEDED",
        /// A delivery failed for good.
        Failed = "FAILED",
        /// The system stopped it.
        Stopped = "STOPPED",
        /// Somebody cancelled it.
        Cancelled = "CANCELLED",
    }
}

stored_as_text! {
    /// Why an execution ended other than well.
    EndReason {
        /// An answer that no retry would change.
        RefusedByReceiver = "REFUSED_BY_RECEIVER",
        /// Every retry was used.
        RetriesExhausted = "RETRIES_EXHAUSTED",
        /// The webhook is gone.
        WebhookDeleted = "WEBHOOK_DELETED",
        /// The receiver answered 401.
        Unauthenticated = "UNAUTHENTICATED",
        /// The receiver answered 403.
        Forbidden = "FORBIDDEN",
        /// The address is not one we may send to.
        TargetForbidden = "TARGET_FORBIDDEN",
        /// A template could not be rendered safely, or does not fit the webhook's URL.
        TemplateRejected = "TEMPLATE_REJECTED",
        /// The automation was deactivated or deleted.
        AutomationDeactivated = "AUTOMATION_DEACTIVATED",
        /// Somebody cancelled it.
        Cancelled = "CANCELLED",
        /// The webhook's credentials can't be read.
        CredentialsMissing = "CREDENTIALS_MISSING",
        /// The system disabled the webhook.
        WebhookDisabled = "WEBHOOK_DISABLED",
    }
}

/// How an execution ended. A retried one has several ends; the latest counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The state it ended in.
    pub state: EndState,
    /// Why, when not well.
    pub reason: Option<EndReason>,
    /// For people.
    pub message: String,
}

impl End {
    /// Every delivery succeeded.
    pub const fn succeeded() -> Self {
        Self { state: EndState::Succeeded, reason: None, message: String::new() }
    }

    /// A delivery failed for good.
    pub fn failed(reason: EndReason, message: impl Into<String>) -> Self {
        Self { state: EndState::Failed, reason: Some(reason), message: message.into() }
    }

    /// The automation's stop marker reached it.
    pub fn deactivated() -> Self {
        let message = "the automation was deactivated or deleted".into();
        Self { state: EndState::Stopped, reason: Some(EndReason::AutomationDeactivated), message }
    }

    /// The system disabled the webhook of the next delivery.
    pub fn webhook_disabled() -> Self {
        Self::failed(EndReason::WebhookDisabled, "the system disabled the webhook")
    }

    /// Somebody asked for it.
    pub fn cancelled() -> Self {
        let message = "cancelled on request".into();
        Self { state: EndState::Cancelled, reason: Some(EndReason::Cancelled), message }
    }
}

/// Where an execution stands, with what belongs to that state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Accepted and about to start.
    Queued,
    /// An attempt is under way.
    Running,
    /// Waits for a delay, a retry or its turn, until then.
    Waiting(Timestamp),
    /// Held back by a gate, for this reason and, where known, until then.
    Paused(PauseReason, Option<Timestamp>),
    /// Ended, then.
    Ended(End, Timestamp),
}

/// The event that set an execution off.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EventSummary {
    /// The producer's id.
    pub id: String,
    /// The kind of record.
    pub object: String,
    /// What was done to it.
    pub action: sluice_domain::Action,
    /// The record's id.
    pub record_id: String,
    /// When, by the producer's clock.
    pub occurred_at: Timestamp,
    /// Who did it.
    pub actor: Option<String>,
    /// The execution that brought it about.
    pub cause: Option<ExecutionId>,
}

/// What is known of an execution from its acceptance on; it never changes.
#[derive(Debug, Clone)]
pub struct Execution {
    /// The account.
    pub account: AccountId,
    /// The id.
    pub id: ExecutionId,
    /// The automation, or none for a notification.
    pub automation: Option<AutomationId>,
    /// The automation's version that fired.
    pub automation_version: i64,
    /// The automation's generation, compared with its stop marker.
    pub generation: i64,
    /// The event.
    pub event: EventSummary,
    /// The W3C trace context it belongs to.
    pub traceparent: String,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// The requests.
    pub plan: Arc<Plan>,
}

/// What the history shows of an execution.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What never changes.
    pub execution: Execution,
    /// Where it stands.
    pub state: State,
    /// When it first started.
    pub started_at: Option<Timestamp>,
    /// How many attempts there were, the one under way included.
    pub attempt_count: i64,
    /// Its attempts by delivery, oldest first; empty in listings.
    pub attempts: Vec<Attempt>,
}

/// What comes after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The execution is over.
    End(End),
    /// The same delivery again, after that long.
    Retry(Span),
    /// The next delivery.
    Advance {
        /// After that long.
        after: Span,
        /// The webhook it goes to.
        webhook: WebhookId,
        /// Whether it waits for its turn among those about the same record.
        ordered: bool,
    },
    /// The claim is given back undialled, to be claimed again after that long: it leaves no attempt and frees its number.
    HandBack(Span),
}

impl Next {
    /// The webhook of the delivery that it goes on to, where that is another one.
    pub const fn towards(&self) -> Option<WebhookId> {
        match self {
            Self::Advance { webhook, .. } => Some(*webhook),
            Self::End(_) | Self::Retry(_) | Self::HandBack(_) => None,
        }
    }
}

/// What the decision after an attempt needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The requests.
    pub plan: &'a Plan,
    /// Which of them was tried.
    pub step: usize,
    /// Retries of it that were used before this attempt.
    pub retries: u32,
}

/// Decides what comes after an attempt with this outcome; `fraction` is random in 0..1.
pub fn after(outcome: &Outcome, progress: Progress<'_>, schedule: &Schedule, fraction: f64) -> Next {
    match outcome {
        Outcome::Succeeded => match progress.plan.deliveries.get(progress.step + 1) {
            None => Next::End(End::succeeded()),
            Some(next) => Next::Advance { after: next.delay, webhook: next.webhook, ordered: next.ordered },
        },
        Outcome::Failed { reason, message } => Next::End(End::failed(*reason, message.clone())),
        Outcome::Retryable { message, retry_after } => {
            match schedule.delay(progress.retries, *retry_after, fraction) {
                Some(delay) => Next::Retry(delay),
                None => Next::End(End::failed(EndReason::RetriesExhausted, message.clone())),
            }
        }
        Outcome::CutOff => Next::HandBack(Span::ZERO),
    }
}

/// What really comes next where somebody asked to cancel, or a gate ends what waits behind it, meanwhile: an end stays an end,
/// anything that would go on ends.
pub fn settle(next: Next, cancel: bool, stopped: Option<Stop>) -> Next {
    match (next, stopped) {
        (Next::End(end), _) => Next::End(end),
        _ if cancel => Next::End(End::cancelled()),
        (_, Some(stop)) => Next::End(stop.end()),
        (next, None) => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan_of;

    fn decide(outcome: &Outcome, plan: &Plan, step: usize, retries: u32) -> Next {
        after(outcome, Progress { plan, step, retries }, &Schedule::default(), 0.5)
    }

    #[test]
    fn success_of_the_last_delivery_ends_it_and_of_another_moves_on() {
        let plan = plan_of(&[Span::ZERO, Span::from_secs(60), Span::ZERO]);
        assert_eq!(decide(&Outcome::Succeeded, &plan, 2, 0), Next::End(End::succeeded()));
        let webhook = plan.deliveries[0].webhook;
        assert_eq!(
            decide(&Outcome::Succeeded, &plan, 1, 0),
            Next::Advance { after: Span::ZERO, webhook, ordered: true }
        );
        assert_eq!(
            decide(&Outcome::Succeeded, &plan, 0, 0),
            Next::Advance { after: Span::from_secs(60), webhook, ordered: true }
        );
    }

    #[test]
    fn a_failure_for_good_ends_it_with_its_reason() {
        let plan = plan_of(&[Span::ZERO]);
        let outcome = Outcome::Failed { reason: EndReason::Forbidden, message: "answered 403".into() };
        let Next::End(end) = decide(&outcome, &plan, 0, 0) else { panic!("it goes on") };
        assert_eq!((end.state, end.reason), (EndState::Failed, Some(EndReason::Forbidden)));
    }

    #[test]
    fn retries_end_with_the_schedule() {
        let plan = plan_of(&[Span::ZERO]);
        let outcome = Outcome::Retryable { message: "answered 503".into(), retry_after: None };
        assert_eq!(decide(&outcome, &plan, 0, 0), Next::Retry(Span::from_secs(5)));
        let Next::End(end) = decide(&outcome, &plan, 0, Schedule::default().retries) else {
            panic!("goes on for ever")
        };
        assert_eq!(end.reason, Some(EndReason::RetriesExhausted));
    }

    #[test]
    fn cancelling_and_stopping_end_what_would_go_on_and_leave_ends_alone() {
        let retry = || Next::Retry(Span::from_secs(1));
        let stopped = Some(Stop::Deactivated);
        assert_eq!(settle(retry(), true, stopped), Next::End(End::cancelled()));
        assert_eq!(settle(retry(), false, stopped), Next::End(End::deactivated()));
        assert_eq!(settle(retry(), false, None), retry());
        assert_eq!(settle(Next::End(End::succeeded()), true, stopped), Next::End(End::succeeded()));
    }
}
