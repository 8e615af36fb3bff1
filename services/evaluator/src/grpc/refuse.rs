//! A refusal on its way out: as the status of a call, or as the error of one item of a batch.

use proto::errors::v1 as wire;
use sluice_domain::{Reason, Violations};
use sluice_rpc::Fault;
use tonic::Code;

use crate::error::EvaluatorError;

/// The code that goes with a reason (sluice/errors/v1/reason.proto).
const fn code(reason: Reason) -> Code {
    match reason {
        Reason::InvalidArgument | Reason::TargetForbidden | Reason::EventTooWide => Code::InvalidArgument,
        Reason::Unauthenticated => Code::Unauthenticated,
        Reason::PermissionDenied | Reason::GlobalAdminRequired => Code::PermissionDenied,
        Reason::PlanRequired
        | Reason::PlanLimitExceeded
        | Reason::AccountUnknown
        | Reason::WebhookKindMismatch
        | Reason::WebhookUnknown
        | Reason::CredentialsUnreadable
        | Reason::ExecutionState => Code::FailedPrecondition,
        Reason::NotFound => Code::NotFound,
        Reason::NameTaken | Reason::RequestIdReused | Reason::EventIdReused | Reason::VersionReused => {
            Code::AlreadyExists
        }
        Reason::EtagMismatch | Reason::VersionOutdated => Code::Aborted,
        Reason::CursorTooOld => Code::OutOfRange,
        Reason::BacklogFull | Reason::Overloaded | Reason::StorageFull => Code::ResourceExhausted,
        Reason::Unavailable => Code::Unavailable,
        Reason::DeadlineExceeded => Code::DeadlineExceeded,
        Reason::Internal => Code::Internal,
        Reason::MethodUnknown => Code::Unimplemented,
    }
}

/// The refusal of a whole call. What is a fault of ours is logged here and told to nobody.
pub(super) fn fault(error: &EvaluatorError) -> Fault {
    log(error);
    let reason = error.reason();
    let mut fault = match (reason, error) {
        (Reason::Internal, _) => return Fault::internal(),
        (_, EvaluatorError::NotFound(name)) => return Fault::not_found("automation", name),
        (Reason::InvalidArgument, error) => {
            Fault::invalid(error.violations().cloned().unwrap_or_else(Violations::new))
        }
        (reason, error) => Fault::new(code(reason), reason, error.to_string()),
    };
    if reason != Reason::InvalidArgument {
        for violation in error.violations().into_iter().flat_map(Violations::iter) {
            fault =
                fault.precondition(reason.as_str(), violation.field.as_str(), violation.description.as_str());
        }
    }
    for (key, value) in error.metadata() {
        fault = fault.with(key, value);
    }
    match error.retry_after() {
        Some(delay) => fault.retry_after(delay),
        None => fault,
    }
}

/// The refusal of one item.
pub(super) fn item_error(error: &EvaluatorError) -> wire::ItemError {
    log(error);
    let reason = error.reason();
    let message = match reason {
        Reason::Internal => Fault::internal().message().to_owned(),
        _ => error.to_string(),
    };
    let violations = error.violations().into_iter().flat_map(Violations::iter);
    let mut metadata: std::collections::HashMap<String, String> = error.metadata().into_iter().collect();
    if let Some(delay) = error.retry_after() {
        metadata.insert("retry_after_ms".to_owned(), (delay.as_micros() / 1_000).to_string());
    }
    wire::ItemError {
        code: code(reason).into(),
        reason: wire_reason(reason).into(),
        message,
        metadata,
        violations: violations
            .map(|violation| wire::FieldViolation {
                field: violation.field.clone(),
                description: violation.description.clone(),
            })
            .collect(),
    }
}

fn wire_reason(reason: Reason) -> wire::ErrorReason {
    wire::ErrorReason::from_str_name(&format!("ERROR_REASON_{reason}")).unwrap_or(wire::ErrorReason::Internal)
}

fn log(error: &EvaluatorError) {
    let sources = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let causes: Vec<String> = sources.map(ToString::to_string).collect();
    match error.reason() {
        Reason::Internal => tracing::error!(%error, ?causes, "a call failed by a fault of ours"),
        Reason::Unavailable | Reason::StorageFull => {
            tracing::warn!(%error, ?causes, "a call could not be served")
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use sluice_storage::{Cause, StorageError};

    use super::*;

    #[test]
    fn every_reason_has_its_number_on_the_wire() {
        for reason in Reason::ALL {
            assert_eq!(wire_reason(*reason).as_str_name(), format!("ERROR_REASON_{reason}"));
        }
    }

    #[test]
    fn faults_of_ours_tell_nothing_of_their_cause() {
        let error = EvaluatorError::from(StorageError::decode("automation state SECRET"));
        assert_eq!(fault(&error).code(), Code::Internal);
        assert!(!fault(&error).message().contains("SECRET"));
        assert!(!item_error(&error).message.contains("SECRET"));
    }

    #[test]
    fn what_passes_by_itself_says_when_to_try_again() {
        let full = EvaluatorError::from(StorageError::Full(Cause::new("disk")));
        assert_eq!(item_error(&full).metadata["retry_after_ms"], "1000");
        let away = fault(&EvaluatorError::Unavailable("the dispatcher"));
        let refusal = sluice_rpc::fault_of(&away.into()).unwrap();
        assert!(refusal.is(Reason::Unavailable) && refusal.retry_after.is_some());
    }
}
