//! One table from the dispatcher's errors to codes and reasons.

use proto::errors::v1::{ErrorReason, FieldViolation, ItemError};
use sluice_domain::{Reason, Span};
use sluice_rpc::{Fault, ResourceName};
use sluice_storage::StorageError;
use tonic::Code;

use crate::error::Error;

/// When a caller should come back after a refusal that will pass.
const AGAIN: Span = Span::from_secs(1);

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Invalid(violations) => Self::invalid(violations),
            Error::ExecutionNotFound(account, id) => ResourceName { account, id }.not_found(),
            Error::State { state, message } => {
                Self::new(Code::FailedPrecondition, Reason::ExecutionState, message).with("state", state)
            }
            Error::AccountUnknown(account) => {
                Self::new(Code::FailedPrecondition, Reason::AccountUnknown, text).with("account", account)
            }
            Error::RequestIdReused => Self::new(Code::AlreadyExists, Reason::RequestIdReused, text),
            Error::EventIdReused => Self::new(Code::AlreadyExists, Reason::EventIdReused, text),
            Error::BacklogFull { waiting, max_waiting } => {
                Self::new(Code::ResourceExhausted, Reason::BacklogFull, text)
                    .with("waiting", waiting)
                    .with("max_waiting", max_waiting)
            }
            Error::CursorTooOld => Self::new(Code::OutOfRange, Reason::CursorTooOld, text),
            Error::TooManyWatches(account) => Self::new(Code::ResourceExhausted, Reason::Overloaded, text)
                .with("account", account)
                .retry_after(AGAIN),
            Error::Closing => Self::unavailable(text, AGAIN),
            Error::Storage(error) => stored(&error),
        }
    }
}

fn stored(error: &StorageError) -> Fault {
    match error {
        StorageError::Full(_) => Fault::new(Code::ResourceExhausted, Reason::StorageFull, error.to_string()),
        StorageError::Unavailable(_) | StorageError::Retry(_) => Fault::unavailable(error.to_string(), AGAIN),
        StorageError::Conflict { .. } | StorageError::Decode(_) | StorageError::Other(_) => {
            tracing::error!(error = %error, cause = ?error, "a call failed in the database");
            Fault::internal()
        }
    }
}

/// The same refusal as the answer for one item of a batch.
pub(super) fn item(error: Error) -> ItemError {
    let fault = Fault::from(error);
    let violations = fault.violations().iter().map(|violation| FieldViolation {
        field: violation.field.clone(),
        description: violation.description.clone(),
    });
    let mut item = ItemError {
        code: fault.code().into(),
        message: fault.message().to_owned(),
        metadata: fault.metadata().iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        violations: violations.collect(),
        ..ItemError::default()
    };
    let name = format!("ERROR_REASON_{}", fault.reason());
    item.set_reason(ErrorReason::from_str_name(&name).unwrap_or(ErrorReason::Unspecified));
    item
}
