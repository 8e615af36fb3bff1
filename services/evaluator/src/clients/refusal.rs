//! What another service of ours refused, as our own error.

use std::collections::BTreeMap;

use proto::errors::v1::{ErrorReason, ItemError};
use sluice_domain::{Reason, Violations};
use sluice_rpc::fault_of;
use tonic::Code;

use crate::error::{EvaluatorError, Refusal};

/// A call as a whole was refused or did not get through.
///
/// Only what the caller can do something about is passed on; that the other service finds our request wrong, or our token,
/// is a fault of ours.
pub(super) fn of_status(service: &'static str, status: &tonic::Status) -> EvaluatorError {
    let refusal = fault_of(status);
    let reason = refusal.as_ref().and_then(sluice_rpc::Refusal::known_reason);
    match (status.code(), reason, refusal) {
        (Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled, ..) => {
            EvaluatorError::Unavailable(service)
        }
        (Code::ResourceExhausted, Some(reason), Some(refusal)) => EvaluatorError::Refused(Refusal {
            reason,
            message: status.message().to_owned(),
            metadata: refusal.metadata,
            violations: Violations::new(),
        }),
        // Every server of ours gives a reason; a transport that broke over the call has none, and its own code.
        (Code::Unknown | Code::Internal, None, None) if std::error::Error::source(status).is_some() => {
            EvaluatorError::Unavailable(service)
        }
        _ => {
            EvaluatorError::Internal(format!("{service} answered {:?}: {}", status.code(), status.message()))
        }
    }
}

/// One item was refused.
pub(super) fn of_item(service: &'static str, error: ItemError) -> EvaluatorError {
    let reason = match reason(&error) {
        Some(Reason::Unavailable | Reason::DeadlineExceeded) => return EvaluatorError::Unavailable(service),
        Some(
            reason @ (Reason::EventIdReused | Reason::BacklogFull | Reason::Overloaded | Reason::StorageFull),
        ) => reason,
        Some(reason @ Reason::AccountUnknown) => reason,
        _ => return EvaluatorError::Internal(format!("{service} refused an event: {}", error.message)),
    };
    let mut violations = Violations::new();
    for violation in error.violations {
        violations.add(violation.field, violation.description);
    }
    let metadata: BTreeMap<String, String> = error.metadata.into_iter().collect();
    EvaluatorError::Refused(Refusal { reason, message: error.message, metadata, violations })
}

fn reason(error: &ItemError) -> Option<Reason> {
    let name = ErrorReason::try_from(error.reason).ok()?.as_str_name().strip_prefix("ERROR_REASON_")?;
    Reason::ALL.iter().copied().find(|reason| reason.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(reason: ErrorReason) -> EvaluatorError {
        of_item(
            "the dispatcher",
            ItemError { reason: reason.into(), message: "no".to_owned(), ..ItemError::default() },
        )
    }

    #[test]
    fn what_the_caller_can_act_on_is_passed_on() {
        assert_eq!(item(ErrorReason::EventIdReused).reason(), Reason::EventIdReused);
        assert_eq!(item(ErrorReason::BacklogFull).reason(), Reason::BacklogFull);
        assert_eq!(item(ErrorReason::Unavailable).reason(), Reason::Unavailable);
        assert_eq!(item(ErrorReason::InvalidArgument).reason(), Reason::Internal);
        let reason = |status| of_status("the dispatcher", &status).reason();
        assert_eq!(reason(tonic::Status::unavailable("")), Reason::Unavailable);
        assert_eq!(reason(tonic::Status::unauthenticated("")), Reason::Internal);
        assert_eq!(reason(tonic::Status::unknown("")), Reason::Internal);
    }

    #[test]
    fn a_connection_that_broke_over_the_call_means_that_the_service_is_away() {
        let cut =
            std::io::Error::new(std::io::ErrorKind::BrokenPipe, "stream closed because of a broken pipe");
        let broken = tonic::Status::from_error(Box::new(cut));
        assert_eq!(broken.code(), Code::Unknown);
        assert_eq!(of_status("the dispatcher", &broken).reason(), Reason::Unavailable);
    }
}
