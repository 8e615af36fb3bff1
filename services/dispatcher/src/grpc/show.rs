//! From what the history knows to the contract's messages.

use bytes::Bytes;
use proto::dispatcher::v1 as wire;
use sluice_domain::{AccountId, Action};
use sluice_rpc::ResourceName;
use sluice_rpc::convert::{to_duration, to_timestamp};

use crate::attempt::{Attempt, KeptHeader, Verdict};
use crate::execution::{End, EndReason, EndState, EventSummary, PauseReason, Snapshot, State};
use crate::line::IN_LINE;
use crate::pause::Pause;
use crate::plan::Delivery;

/// An execution; `whole` shows bodies and attempts too.
pub(super) fn execution(snapshot: Snapshot, whole: bool) -> wire::Execution {
    let Snapshot { execution, state, started_at, attempt_count, attempts } = snapshot;
    let account = &execution.account;
    let deliveries = execution.plan.deliveries.iter().enumerate().map(|(step, delivery)| {
        let own = attempts.iter().filter(|attempt| attempt.step == step);
        wire::Delivery { attempts: own.map(attempt).collect(), ..self::delivery(account, delivery, whole) }
    });
    let mut shown = wire::Execution {
        name: ResourceName { account: account.clone(), id: execution.id }.to_string(),
        automation: execution
            .automation
            .map_or_else(String::new, |id| ResourceName { account: account.clone(), id }.to_string()),
        automation_version: execution.automation_version,
        deliveries: deliveries.collect(),
        event: Some(event(&execution.event)),
        attempt_count: i32::try_from(attempt_count).unwrap_or(i32::MAX),
        trace_id: execution.traceparent.split('-').nth(1).unwrap_or_default().to_owned(),
        create_time: Some(to_timestamp(execution.accepted_at)),
        start_time: started_at.map(to_timestamp),
        ..wire::Execution::default()
    };
    shown.set_state(state_code(&state));
    match state {
        State::Queued | State::Running => {}
        State::Waiting(until) => shown.wait_until = (until != IN_LINE).then(|| to_timestamp(until)),
        State::Paused(reason, until) => {
            shown.pause = Some(pause((reason, until)));
        }
        State::Ended(End { reason, message, .. }, at) => {
            let reason = reason.map_or(wire::EndReason::Unspecified, end_code).into();
            shown.end = Some(wire::End { reason, message, end_time: Some(to_timestamp(at)) });
        }
    }
    shown
}

/// The state's number on the wire.
pub(super) const fn state_code(state: &State) -> wire::ExecutionState {
    match state {
        State::Queued => wire::ExecutionState::Queued,
        State::Running => wire::ExecutionState::Running,
        State::Waiting(_) => wire::ExecutionState::Waiting,
        State::Paused(..) => wire::ExecutionState::Paused,
        State::Ended(end, _) => match end.state {
            EndState::Succeeded => wire::ExecutionState::Succeeded,
            EndState::Failed => wire::ExecutionState::Failed,
            EndState::Stopped => wire::ExecutionState::Stopped,
            EndState::Cancelled => wire::ExecutionState::Cancelled,
        },
    }
}

/// Why a gate is closed, and until when.
pub(super) fn pause((reason, until): Pause) -> wire::Pause {
    wire::Pause { reason: pause_code(reason).into(), expected_end_time: until.map(to_timestamp) }
}

const fn pause_code(reason: PauseReason) -> wire::PauseReason {
    match reason {
        PauseReason::Quota => wire::PauseReason::Quota,
        PauseReason::Plan => wire::PauseReason::Plan,
        PauseReason::WebhookDisabled => wire::PauseReason::WebhookDisabled,
        PauseReason::EntitlementsUnknown => wire::PauseReason::EntitlementsUnknown,
        PauseReason::Operator => wire::PauseReason::Operator,
        PauseReason::BreakerOpen => wire::PauseReason::BreakerOpen,
    }
}

const fn end_code(reason: EndReason) -> wire::EndReason {
    match reason {
        EndReason::RefusedByReceiver => wire::EndReason::RefusedByReceiver,
        EndReason::RetriesExhausted => wire::EndReason::RetriesExhausted,
        EndReason::WebhookDeleted => wire::EndReason::WebhookDeleted,
        EndReason::Unauthenticated => wire::EndReason::Unauthenticated,
        EndReason::Forbidden => wire::EndReason::Forbidden,
        EndReason::TargetForbidden => wire::EndReason::TargetForbidden,
        EndReason::TemplateRejected => wire::EndReason::TemplateRejected,
        EndReason::AutomationDeactivated => wire::EndReason::AutomationDeactivated,
        EndReason::Cancelled => wire::EndReason::Cancelled,
        EndReason::CredentialsMissing => wire::EndReason::CredentialsMissing,
        EndReason::WebhookDisabled => wire::EndReason::WebhookDisabled,
    }
}

fn delivery(account: &AccountId, delivery: &Delivery, whole: bool) -> wire::Delivery {
    wire::Delivery {
        id: delivery.id.to_string(),
        webhook: ResourceName { account: account.clone(), id: delivery.webhook }.to_string(),
        method: delivery.method.clone(),
        url_suffix: delivery.url_suffix.clone(),
        content_type: delivery.content_type.clone(),
        body: if whole { delivery.body.clone() } else { Bytes::new() },
        delay: Some(to_duration(delivery.delay)),
        ordered: delivery.ordered,
        attempts: Vec::new(),
    }
}

/// One try.
pub(super) fn attempt(attempt: &Attempt) -> wire::Attempt {
    let outcome = match attempt.verdict {
        Verdict::Started => wire::AttemptOutcome::Started,
        Verdict::Succeeded => wire::AttemptOutcome::Succeeded,
        Verdict::Retried => wire::AttemptOutcome::FailedRetryable,
        Verdict::Failed => wire::AttemptOutcome::Failed,
        Verdict::Interrupted => wire::AttemptOutcome::Interrupted,
    };
    wire::Attempt {
        number: i32::try_from(attempt.number).unwrap_or(i32::MAX),
        outcome: outcome.into(),
        start_time: Some(to_timestamp(attempt.started_at)),
        end_time: attempt.ended_at.map(to_timestamp),
        duration: attempt.ended_at.map(|_| to_duration(attempt.duration)),
        url_path: attempt.url_path.clone(),
        request_headers: headers(&attempt.request_headers),
        answer: attempt.answer.as_ref().map(|answer| wire::Answer {
            status: u32::from(answer.status),
            headers: headers(&answer.headers),
            body: Bytes::from(answer.body.clone()),
            body_truncated: answer.truncated,
        }),
        error: attempt.error.clone(),
    }
}

fn headers(kept: &[KeptHeader]) -> Vec<wire::Header> {
    let header = |KeptHeader(name, value): &KeptHeader| wire::Header {
        name: name.clone().into_owned(),
        value: value.clone().unwrap_or_default(),
        redacted: value.is_none(),
    };
    kept.iter().map(header).collect()
}

fn event(event: &EventSummary) -> wire::EventSummary {
    let action = match event.action {
        Action::Added => proto::event::v1::Action::Added,
        Action::Updated => proto::event::v1::Action::Updated,
        Action::Deleted => proto::event::v1::Action::Deleted,
    };
    wire::EventSummary {
        id: event.id.clone(),
        object: event.object.clone(),
        action: action.into(),
        record_id: event.record_id.clone(),
        occurred_at: Some(to_timestamp(event.occurred_at)),
        actor: event.actor.clone().unwrap_or_default(),
        cause: event.cause.map_or_else(String::new, |cause| cause.to_string()),
    }
}
