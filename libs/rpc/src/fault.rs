//! The one way to a refusal: a code, a stable reason, and all that a client needs to act on it.

mod code;
mod refusal;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use sluice_domain::{Reason, Span, Violation, Violations};
use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, QuotaViolation, StatusExt as _};

pub use code::code_of;
pub use refusal::{Refusal, fault_of};

/// The `domain` of every `google.rpc.ErrorInfo` of ours.
pub const DOMAIN: &str = "sluice";

/// How much text of a refusal leaves, in bytes. It travels in headers, which clients cap at 8 KiB in all; together, and in the
/// form they have there (the message with its escapes, the details in base64), these stay below 6 KiB.
const MAX_MESSAGE: usize = 512;
const MAX_VALUE: usize = 256;
const MAX_METADATA: usize = 1024;
const MAX_LISTED: usize = 2 * 1024;
/// What an entry of a list takes beside its text.
const ENTRY: usize = 10;

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

    /// A refusal for this reason, with the code that goes with it; the message is for people and may change.
    pub fn of(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(code_of(reason), reason, message)
    }

    /// `INVALID_ARGUMENT`: fields that break rules, all at once.
    pub fn invalid(violations: Violations) -> Self {
        let more = violations.found().saturating_sub(1);
        let message = match (violations.iter().next(), more) {
            (Some(first), 0) => format!("{}: {}", first.field, first.description),
            (Some(first), more) => format!("{}: {} (and {more} more)", first.field, first.description),
            (None, _) => "the request breaks a rule".to_owned(),
        };
        let mut fault = Self::of(Reason::InvalidArgument, message);
        fault.0.violations = violations;
        fault
    }

    /// `NOT_FOUND`: no such thing in the account; the same for a foreign one.
    pub fn not_found(noun: &str, name: impl fmt::Display) -> Self {
        Self::of(Reason::NotFound, format!("there is no such {noun}"))
            .with("resource_type", noun)
            .with("resource_name", name)
    }

    /// `UNAUTHENTICATED`: no token, or one that does not verify.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::of(Reason::Unauthenticated, message)
    }

    /// `PERMISSION_DENIED`: the caller's roles and scopes do not open this call.
    pub fn permission_denied(message: impl Into<String>) -> Self {
        Self::of(Reason::PermissionDenied, message)
    }

    /// `FAILED_PRECONDITION`: billing has not told us of the account.
    pub fn account_unknown(account: impl fmt::Display) -> Self {
        let message = "the account is not known here; its entitlements must be put first";
        Self::of(Reason::AccountUnknown, message).with("account", account)
    }

    /// `UNAVAILABLE`: something this call needs does not answer; try again after that time.
    pub fn unavailable(message: impl Into<String>, retry_after: Span) -> Self {
        Self::of(Reason::Unavailable, message).retry_after(retry_after)
    }

    /// `RESOURCE_EXHAUSTED`: the server has as much under way as it takes; try again after that time.
    pub fn overloaded(message: impl Into<String>, retry_after: Span) -> Self {
        Self::of(Reason::Overloaded, message).retry_after(retry_after)
    }

    /// `DEADLINE_EXCEEDED`: the time the client or the server allows has passed.
    pub fn deadline_exceeded() -> Self {
        let message = "the call's deadline passed; whether it took effect is not known";
        Self::of(Reason::DeadlineExceeded, message)
    }

    /// `INTERNAL`: a fault of ours, whose cause is in the logs and never in the answer.
    pub fn internal() -> Self {
        Self::of(Reason::Internal, "something went wrong on the server")
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

    /// Adds a field at fault to the `BadRequest`, whatever the reason: its path in the request, and the rule it breaks.
    #[must_use]
    pub fn violation(mut self, field: impl Into<String>, description: impl fmt::Display) -> Self {
        self.0.violations.add(field, description);
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
        let mut metadata = HashMap::new();
        let mut room = Room(MAX_METADATA);
        for (key, value) in &self.0.metadata {
            let value = clipped(value, MAX_VALUE);
            if room.take(&[key, &value]) {
                metadata.insert(key.clone(), value);
            }
        }
        let mut room = Room(MAX_LISTED);
        let mut details = ErrorDetails::with_error_info(self.0.reason.as_str(), DOMAIN, metadata);
        if !self.0.violations.is_empty() {
            details.set_bad_request(fitting(&self.0.violations, &mut room));
        }
        if let Some(delay) = self.0.retry_after {
            details.set_retry_info(Some(delay.to_duration()));
        }
        if !self.0.preconditions.is_empty() {
            let clip = |(kind, subject, description): &(String, String, String)| {
                [kind, subject, description].map(|text| clipped(text, MAX_VALUE))
            };
            let told = self.0.preconditions.iter().map(clip).take_while(|texts| room.take(texts));
            let told = told.map(|[kind, subject, text]| PreconditionViolation::new(kind, subject, text));
            details.set_precondition_failure(told.collect::<Vec<_>>());
        }
        if !self.0.quotas.is_empty() {
            let clip = |(subject, description): &(String, String)| {
                [subject, description].map(|text| clipped(text, MAX_VALUE))
            };
            let told = self.0.quotas.iter().map(clip).take_while(|texts| room.take(texts));
            let told = told.map(|[subject, text]| QuotaViolation::new(subject, text));
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

/// The bytes that are left for the entries of lists.
struct Room(usize);

impl Room {
    /// Takes the room of one entry with these texts, if there is as much.
    fn take<T: AsRef<str>>(&mut self, texts: &[T]) -> bool {
        let size = ENTRY + texts.iter().map(|text| text.as_ref().len() + 2).sum::<usize>();
        match self.0.checked_sub(size) {
            Some(left) => self.0 = left,
            None => return false,
        }
        true
    }
}

/// As many violations as there is room for; if that is not all, the last one says how many are left out.
fn fitting(violations: &Violations, room: &mut Room) -> Vec<FieldViolation> {
    let mut told = Vec::new();
    for violation in violations.iter() {
        let texts = [&violation.field, &violation.description].map(|text| clipped(text, MAX_VALUE));
        if !room.take(&texts) {
            let rest = Violation::left_out(violations.found() - told.len());
            told.push(FieldViolation::new(rest.field, rest.description));
            break;
        }
        let [field, description] = texts;
        told.push(FieldViolation::new(field, description));
    }
    told
}

/// The text, or as many of its characters as fit and an ellipsis. Counted as a header carries it: what is not ASCII, and
/// the percent sign, takes three bytes for each of its own.
fn clipped(text: &str, max: usize) -> String {
    let carried = |letter: char| match letter {
        ' '..='$' | '&'..='~' => 1,
        other => 3 * other.len_utf8(),
    };
    if text.len() <= max && text.chars().map(carried).sum::<usize>() <= max {
        return text.to_owned();
    }
    let mut room = max - carried('…');
    let fits = |letter: &char| {
        let left = room.checked_sub(carried(*letter));
        room = left.unwrap_or(0);
        left.is_some()
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    kept.push('…');
    kept
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
        for letter in ["ä", "x", "%", "\u{1f600}"] {
            let huge = letter.repeat(100_000);
            let mut many = violations(5_000);
            many.add(huge.clone(), &huge);
            let mut fault = Fault::invalid(many).retry_after(Span::from_secs(1));
            for at in 0..50 {
                fault = fault
                    .with(format!("value{at}"), &huge)
                    .precondition("KIND", &huge, &huge)
                    .quota(&huge, &huge)
                    .violation(huge.as_str(), &huge);
            }
            fault.0.message = huge;
            let mut headers = http::HeaderMap::new();
            let status = Status::from(fault);
            status.add_header(&mut headers).unwrap();
            let sizes = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
            assert!(sizes.sum::<usize>() < 6 * 1024, "{letter}");
            assert!(status.message().ends_with('…'));
            let told = status.get_error_details().bad_request().unwrap().field_violations.clone();
            let left_out = format!("{} more violations are left out", 5_052 - told.len());
            assert_eq!(told.last().unwrap().description, left_out);
        }
    }

    #[test]
    fn a_reason_of_its_own_tells_its_field_too() {
        let fault =
            Fault::of(Reason::NameTaken, "the name is taken").violation("webhook.display_name", "is taken");
        assert_eq!(fault.code(), Code::AlreadyExists);
        let details = Status::from(fault).get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "NAME_TAKEN");
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "webhook.display_name");
    }

    #[test]
    fn a_foreign_and_a_missing_resource_differ_in_nothing_but_the_name() {
        let status = |name: &str| Status::from(Fault::not_found("webhook", name));
        let (one, other) = (status("accounts/a/webhooks/1"), status("accounts/a/webhooks/2"));
        assert_eq!((one.code(), one.message()), (other.code(), other.message()));
        assert_eq!(one.details().len(), other.details().len());
    }
}
