//! The one way from the registry's error to a refusal.

use sluice_domain::{Reason, Span};
use sluice_rpc::Fault;
use tonic::{Code, Status};

use crate::error::Error;

/// When a caller may try again what the database could not do.
const RETRY: Span = Span::from_secs(1);

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        log(&error);
        match &error {
            Error::Invalid(violations) => return Self::invalid(violations.clone()),
            Error::NotFound { resource, name } => return Self::not_found(resource, name),
            Error::AccountUnknown(account) => return Self::account_unknown(account),
            Error::Contended(_) | Error::Unavailable(_) => {
                return Self::unavailable(error.to_string(), RETRY);
            }
            Error::Internal(_) => return Self::internal(),
            _ => {}
        }
        let reason = error.reason();
        let mut fault = Self::new(code(reason), reason, error.to_string());
        for (key, value) in error.metadata() {
            fault = fault.with(key, value);
        }
        if let Some(field) = error.field() {
            fault = fault.with("field", field);
        }
        fault
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Fault::from(error).into()
    }
}

/// The code of each reason, after AIP-193.
const fn code(reason: Reason) -> Code {
    match reason {
        Reason::InvalidArgument | Reason::TargetForbidden => Code::InvalidArgument,
        Reason::NotFound => Code::NotFound,
        Reason::PermissionDenied | Reason::GlobalAdminRequired => Code::PermissionDenied,
        Reason::AccountUnknown
        | Reason::PlanRequired
        | Reason::PlanLimitExceeded
        | Reason::CredentialsUnreadable => Code::FailedPrecondition,
        Reason::NameTaken | Reason::RequestIdReused | Reason::VersionReused => Code::AlreadyExists,
        Reason::EtagMismatch | Reason::VersionOutdated => Code::Aborted,
        Reason::CursorTooOld => Code::OutOfRange,
        Reason::StorageFull => Code::ResourceExhausted,
        Reason::Unavailable => Code::Unavailable,
        _ => Code::Internal,
    }
}

/// Failures of ours, once, with what lies beneath; refusals are the caller's business.
fn log(error: &Error) {
    match error {
        Error::Internal(source) => tracing::error!(error = %source, "a call failed"),
        Error::CredentialsUnreadable(source) => {
            tracing::error!(error = %source, "a sealed secret does not open")
        }
        Error::Contended(source) | Error::Unavailable(source) | Error::StorageFull(source) => {
            tracing::warn!(error = %source, "the database could not serve a call");
        }
        _ => {}
    }
}
