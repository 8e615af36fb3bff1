//! The one way from the registry's error to a refusal.

use sluice_domain::{Span, Violation};
use sluice_rpc::Fault;
use tonic::Status;

use crate::error::Error;

/// When a caller may try again what the database could not do.
const RETRY: Span = Span::from_secs(1);

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        log(&error);
        let fault = match &error {
            Error::Invalid(violations) => Self::invalid(violations.clone()),
            Error::NotFound { resource, name } => Self::not_found(resource, name),
            Error::AccountUnknown(account) => Self::account_unknown(account),
            Error::Contended(_) | Error::Unavailable(_) => Self::unavailable(error.to_string(), RETRY),
            Error::Internal(_) => Self::internal(),
            _ => Self::of(error.reason(), error.to_string()),
        };
        let fault = error.metadata().into_iter().fold(fault, |fault, (key, value)| fault.with(key, value));
        match error.violation() {
            Some(Violation { field, description }) => {
                fault.with("field", &field).violation(field, description)
            }
            None => fault,
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Fault::from(error).into()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_named_by_the_keys_of_the_contract() {
        let fault = Fault::from(Error::no_webhook("accounts/a/webhooks/w"));
        assert_eq!(fault.metadata()["resource_type"], "webhook");
        assert_eq!(fault.metadata()["resource_name"], "accounts/a/webhooks/w");
        assert_eq!(fault.metadata().len(), 2);
    }
}
