//! A refusal on its way out: as the status of a call, or as the error of one item of a batch.

use proto::errors::v1 as wire;
use sluice_domain::{Reason, Violations};
use sluice_rpc::{Fault, ResourceName, code_of};

use crate::error::EvaluatorError;

/// The refusal of a whole call. What is a fault of ours is logged here and told to nobody.
impl From<EvaluatorError> for Fault {
    fn from(error: EvaluatorError) -> Self {
        log(&error);
        let fault = match (error.reason(), &error) {
            (Reason::Internal, _) => return Self::internal(),
            (_, EvaluatorError::NotFound(account, id)) => {
                return ResourceName { account: account.clone(), id: *id }.not_found();
            }
            (_, EvaluatorError::AccountUnknown(account)) => return Self::account_unknown(account),
            (_, EvaluatorError::Invalid(violations)) => return Self::invalid(violations.clone()),
            (reason, error) => Self::of(reason, error.to_string()),
        };
        let violations = error.violations().into_iter().flat_map(Violations::iter);
        let fault = violations.fold(fault, |fault, violation| {
            fault.violation(violation.field.as_str(), violation.description.as_str())
        });
        let fault = error.metadata().into_iter().fold(fault, |fault, (key, value)| fault.with(key, value));
        match error.retry_after() {
            Some(delay) => fault.retry_after(delay),
            None => fault,
        }
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
        code: code_of(reason).into(),
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
    use tonic::Code;

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
        assert!(!item_error(&error).message.contains("SECRET"));
        let fault = Fault::from(error);
        assert_eq!(fault.code(), Code::Internal);
        assert!(!fault.message().contains("SECRET"));
    }

    #[test]
    fn what_passes_by_itself_says_when_to_try_again() {
        let full = EvaluatorError::from(StorageError::Full(Cause::new("disk")));
        assert_eq!(item_error(&full).metadata["retry_after_ms"], "1000");
        let away = Fault::from(EvaluatorError::Unavailable("the dispatcher"));
        let refusal = sluice_rpc::fault_of(&away.into()).unwrap();
        assert!(refusal.is(Reason::Unavailable) && refusal.retry_after.is_some());
    }
}
