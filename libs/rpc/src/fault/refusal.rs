//! A refusal as a client reads it.

use std::collections::BTreeMap;

use sluice_domain::{Reason, Span, Violations};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::DOMAIN;

/// What a [`Fault`](super::Fault) was, read back from the status it became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code.
    pub code: Code,
    /// The reason as text: a newer server may know reasons that we do not.
    pub reason: String,
    /// All that varies.
    pub metadata: BTreeMap<String, String>,
    /// The fields that break rules.
    pub violations: Violations,
    /// When to try again, if the server says.
    pub retry_after: Option<Span>,
}

impl Refusal {
    /// Whether this is the reason.
    pub fn is(&self, reason: Reason) -> bool {
        self.reason == reason.as_str()
    }

    /// The reason, if it is one we know.
    pub fn known_reason(&self) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|reason| self.is(*reason))
    }
}

/// The refusal in a status; `None` when it carries no `ErrorInfo` of ours (a proxy's, or tonic's own).
pub fn fault_of(status: &Status) -> Option<Refusal> {
    let details = status.get_error_details();
    let info = details.error_info().filter(|info| info.domain == DOMAIN)?;
    let mut violations = Violations::new();
    for violation in details.bad_request().map_or(&[][..], |bad| bad.field_violations.as_slice()) {
        violations.add(&violation.field, &violation.description);
    }
    Some(Refusal {
        code: status.code(),
        reason: info.reason.clone(),
        metadata: info.metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        violations,
        retry_after: details.retry_info().and_then(|retry| retry.retry_delay).map(Span::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    #[test]
    fn a_client_reads_what_the_server_wrote() {
        let mut violations = Violations::new();
        violations.add("webhook.endpoint_url", "must be https");
        let fault = Fault::invalid(violations.clone()).with("limit", 3).retry_after(Span::from_secs(1));
        let refusal = fault_of(&fault.into()).unwrap();
        assert!(refusal.is(Reason::InvalidArgument));
        assert_eq!(refusal.known_reason(), Some(Reason::InvalidArgument));
        assert_eq!((refusal.code, refusal.metadata["limit"].as_str()), (Code::InvalidArgument, "3"));
        assert_eq!((refusal.violations, refusal.retry_after), (violations, Some(Span::from_secs(1))));
    }

    #[test]
    fn a_status_of_somebody_else_is_no_refusal_of_ours() {
        assert_eq!(fault_of(&Status::unavailable("connection refused")), None);
    }
}
