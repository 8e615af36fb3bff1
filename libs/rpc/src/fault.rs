//! The one way to a refusal: a code, a stable reason, and all that a client needs to act on it.

mod refusal;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use sluice_domain::{Reason, Span, Violations};
use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, QuotaViolation, StatusExt as _};

pub use refusal::{Refusal, fault_of};

/// The `domain` of every `google.rpc.ErrorInfo` of ours.
pub const DOMAIN: &str = "sluice";

/// How much text of a refusal leaves, in bytes. It travels in headers, which clients cap at 8 or 16 KiB in all.
const MAX_MESSAGE: usize = 512;
const MAX_VALUE: usize = 256;
const MAX_VIOLATIONS: usize = 3 * 1024;

/// A refusal on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}: {}", .0.reason, .0.message)]
pub struct Fault(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    code: Code,
    reason: Reason,
    message: String,
    metadata: BTreeMap<String, String>,
    violations: Violations,
    retry_after: Option<Span>,
    preconditions: Vec<(String, String, String)>,
    quotas: Vec<(String, String)>,
}

impl Fault {
    /// A refusal with this code and reason; the message is for people and may change.
    pub fn new(code: Code, reason: Reason, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code,
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
            violations: Violations::new(),
            retry_after: None,
            preconditions: Vec::new(),
            quotas: Vec::new(),
        }))
    }

    /// `INVALID_ARGUMENT`: fields that break rules, all at once.
    pub fn invalid(violations: Violations) -> Self {
        let mut all = violations.iter();
        let message = match (all.next(), all.len()) {
            (Some(first), 0) => format!("{}: {}", first.field, first.description),
            (Some(first), more) => format!("{}: {} (and {more} more)", first.field, first.description),
            (None, _) => "the request breaks a rule".to_owned(),
        };
        let mut fault = Self::new(Code::InvalidArgument, Reason::InvalidArgument, message);
        fault.0.violations = violations;
        fault
    }

    /// `NOT_FOUND`: no such thing in the account; the same for a foreign one.
    pub fn not_found(noun: &str, name: impl fmt::Display) -> Self {
        Self::new(Code::NotFound, Reason::NotFound, format!("there is no such {noun}"))
            .with("resource_type", noun)
            .with("resource_name", name)
    }

    /// `UNAUTHENTICATED`: no token, or one that does not verify.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(Code::Unauthenticated, Reason::Unauthenticated, message)
    }

    /// `PERMISSION_DENIED`: the caller's roles and scopes do not open this call.
    pub fn permission_denied(message: impl Into<String>) -> Self {
        Self::new(Code::PermissionDenied, Reason::PermissionDenied, message)
    }

    /// `FAILED_PRECONDITION`: billing has not told us of the account.
    pub fn account_unknown(account: impl fmt::Display) -> Self {
        let message = "the account is not known here; its entitlements must be put first";
        Self::new(Code::FailedPrecondition, Reason::AccountUnknown, message).with("account", account)
    }

    /// `UNAVAILABLE`: something this call needs does not answer; try again after that time.
    pub fn unavailable(message: impl Into<String>, retry_after: Span) -> Self {
        Self::new(Code::Unavailable, Reason::Unavailable, message).retry_after(retry_after)
    }

    /// `RESOURCE_EXHAUSTED`: the server has as much under way as it takes; try again after that time.
    pub fn overloaded(message: impl Into<String>, retry_after: Span) -> Self {
        Self::new(Code::ResourceExhausted, Reason::Overloaded, message).retry_after(retry_after)
    }

    /// `DEADLINE_EXCEEDED`: the time the client or the server allows has passed.
    pub fn deadline_exceeded() -> Self {
        let message = "the call's deadline passed; whether it took effect is not known";
        Self::new(Code::DeadlineExceeded, Reason::DeadlineExceeded, message)
    }

    /// `INTERNAL`: a fault of ours, whose cause is in the logs and never in the answer.
    pub fn internal() -> Self {
        Self::new(Code::Internal, Reason::Internal, "something went wrong on the server")
    }

    /// Adds something that varies; at most 256 bytes of it leave.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        self.0.metadata.insert(key.into(), value.to_string());
        self
    }

    /// Adds a `RetryInfo`: when the call may be tried again.
    #[must_use]
    pub fn retry_after(mut self, delay: Span) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Adds a violation to a `PreconditionFailure`: its type (a reason), its subject (a resource name) and words.
    #[must_use]
    pub fn precondition(
        mut self,
        kind: impl Into<String>,
        subject: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        self.0.preconditions.push((kind.into(), subject.into(), description.into()));
        self
    }

    /// Adds a violation to a `QuotaFailure`: its subject (a resource name) and words.
    #[must_use]
    pub fn quota(mut self, subject: impl Into<String>, description: impl Into<String>) -> Self {
        self.0.quotas.push((subject.into(), description.into()));
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The reason.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The message for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// All that varies.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.metadata
    }

    /// The fields that break rules.
    pub fn violations(&self) -> &Violations {
        &self.0.violations
    }

    fn details(&self) -> ErrorDetails {
        let metadata: HashMap<String, String> =
            self.0.metadata.iter().map(|(key, value)| (key.clone(), clipped(value, MAX_VALUE))).collect();
        let mut details = ErrorDetails::with_error_info(self.0.reason.as_str(), DOMAIN, metadata);
        if !self.0.violations.is_empty() {
            details.set_bad_request(fitting(&self.0.violations));
        }
        if let Some(delay) = self.0.retry_after {
            details.set_retry_info(Some(delay.to_duration()));
        }
        if !self.0.preconditions.is_empty() {
            let told = self.0.preconditions.iter().map(|(kind, subject, description)| {
                PreconditionViolation::new(kind, clipped(subject, MAX_VALUE), clipped(description, MAX_VALUE))
            });
            details.set_precondition_failure(told.collect::<Vec<_>>());
        }
        if !self.0.quotas.is_empty() {
            let told = self.0.quotas.iter().map(|(subject, description)| {
                QuotaViolation::new(clipped(subject, MAX_VALUE), clipped(description, MAX_VALUE))
            });
            details.set_quota_failure(told.collect::<Vec<_>>());
        }
        details
    }
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        Self::with_error_details(fault.0.code, clipped(&fault.0.message, MAX_MESSAGE), fault.details())
    }
}

impl From<Violations> for Fault {
    fn from(violations: Violations) -> Self {
        Self::invalid(violations)
    }
}

/// As many violations as headers have room for; if that is not all, the last one says how many are left out.
fn fitting(violations: &Violations) -> Vec<FieldViolation> {
    let mut told = Vec::new();
    let mut room = MAX_VIOLATIONS;
    for violation in violations.iter() {
        let one = FieldViolation::new(
            clipped(&violation.field, MAX_VALUE),
            clipped(&violation.description, MAX_VALUE),
        );
        let size = one.field.len() + one.description.len() + 8;
        if size > room {
            let left = violations.iter().len() - told.len();
            told.push(FieldViolation::new("", format!("{left} more violations are left out")));
            break;
        }
        room -= size;
        told.push(one);
    }
    told
}

/// The text, or as many of its characters as fit and an ellipsis.
fn clipped(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max - '…'.len_utf8()).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(count: usize) -> Violations {
        let mut violations = Violations::new();
        for at in 0..count {
            violations.add(format!("steps[{at}].path"), "must not be empty");
        }
        violations
    }

    #[test]
    fn a_status_carries_reason_metadata_and_retry_delay() {
        let fault =
            Fault::new(Code::FailedPrecondition, Reason::PlanRequired, "automations need a higher plan")
                .with("plan_required", "advanced")
                .with("plan", "essential")
                .precondition("PLAN_REQUIRED", "accounts/acme", "has plan essential")
                .quota("accounts/acme", "used up")
                .retry_after(Span::from_secs(2));
        let status = Status::from(fault);
        assert_eq!(status.code(), Code::FailedPrecondition);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("PLAN_REQUIRED", "sluice"));
        assert_eq!(info.metadata["plan_required"], "advanced");
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(Span::from_secs(2).to_duration()));
        assert_eq!(details.precondition_failure().unwrap().violations[0].subject, "accounts/acme");
        assert_eq!(details.quota_failure().unwrap().violations[0].description, "used up");
        assert!(details.bad_request().is_none());
    }

    #[test]
    fn all_violations_of_an_ordinary_request_are_told_and_the_message_counts_them() {
        let fault = Fault::invalid(violations(3));
        assert_eq!(fault.message(), "steps[0].path: must not be empty (and 2 more)");
        let details = Status::from(fault).get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations.len(), 3);
    }

    #[test]
    fn a_refusal_never_outgrows_the_headers_it_travels_in() {
        let huge = "ä".repeat(100_000);
        let mut many = violations(5_000);
        many.add(huge.clone(), &huge);
        let mut fault = Fault::invalid(many).with("value", &huge);
        fault.0.message = huge;
        let status = Status::from(fault);
        assert!(status.details().len() < 6 * 1024, "{}", status.details().len());
        assert!(status.message().len() <= MAX_MESSAGE && status.message().ends_with('…'));
        let told = status.get_error_details().bad_request().unwrap().field_violations.clone();
        assert_eq!(
            told.last().unwrap().description,
            format!("{} more violations are left out", 5_002 - told.len())
        );
    }

    #[test]
    fn a_foreign_and_a_missing_resource_differ_in_nothing_but_the_name() {
        let status = |name: &str| Status::from(Fault::not_found("webhook", name));
        let (one, other) = (status("accounts/a/webhooks/1"), status("accounts/a/webhooks/2"));
        assert_eq!((one.code(), one.message()), (other.code(), other.message()));
        assert_eq!(one.details().len(), other.details().len());
    }
}
