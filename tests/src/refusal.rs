//! A call that was refused, as a client reads it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

/// What a call came to.
pub type Answer<T> = Result<T, Box<Refusal>>;

/// A refusal; two are equal when a client can't tell them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The gRPC code.
    pub code: Code,
    /// The words for people.
    pub message: String,
    /// The reason in `google.rpc.ErrorInfo`; empty when there is none.
    pub reason: String,
    /// The metadata beside the reason.
    pub metadata: BTreeMap<String, String>,
    /// The fields in `google.rpc.BadRequest`.
    pub fields: Vec<String>,
    /// When to come back, from `google.rpc.RetryInfo`.
    pub retry_delay: Option<Duration>,
    /// All other details, as text.
    pub details: String,
}

impl Refusal {
    /// The same refusal with one text in place of another wherever it stands.
    #[must_use]
    pub fn with_id_replaced(mut self, id: &str, by: &str) -> Self {
        let texts = [&mut self.message, &mut self.details].into_iter();
        for text in texts.chain(self.metadata.values_mut()).chain(&mut self.fields) {
            *text = text.replace(id, by);
        }
        self
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let mut details = status.get_error_details();
        let info = details.error_info().cloned();
        let violations = details.bad_request().map_or(&[][..], |bad| &bad.field_violations);
        let fields = violations.iter().map(|violation| violation.field.clone()).collect();
        if let Some(info) = &info {
            // Its entries come in any order; they are compared as `metadata`.
            details.set_error_info(&info.reason, &info.domain, HashMap::new());
        }
        let retry_delay = details.retry_info().and_then(|retry| retry.retry_delay);
        let (reason, metadata) = info.map(|info| (info.reason, info.metadata)).unwrap_or_default();
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            reason,
            metadata: metadata.into_iter().collect(),
            fields,
            retry_delay,
            details: format!("{details:?}"),
        }
    }
}

/// Checks that a call was refused because something is away, and that the refusal says when to come back.
pub fn assert_unavailable<T: std::fmt::Debug>(answer: Answer<T>) {
    let refusal = answer.expect_err("the call should be refused");
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::Unavailable, "UNAVAILABLE"), "{refusal:?}");
    assert!(refusal.retry_delay.is_some_and(|delay| !delay.is_zero()), "{refusal:?}");
}

/// The message of an answer, or the refusal.
pub fn opened<T>(answered: Result<Response<T>, Status>) -> Answer<T> {
    answered.map(Response::into_inner).map_err(|status| Box::new(status.into()))
}
