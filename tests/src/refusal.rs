//! A call that was refused, as a client reads it.

use std::collections::BTreeMap;

use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

/// What a call came to.
pub type Answer<T> = Result<T, Refusal>;

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
    /// All details as they came.
    pub details: Vec<u8>,
}

impl Refusal {
    /// The same refusal with one text in place of another wherever it stands; both of one length, so that the details
    /// stay in order.
    #[must_use]
    pub fn with_id_replaced(mut self, id: &str, by: &str) -> Self {
        assert_eq!(id.len(), by.len(), "the details would be torn");
        self.message = self.message.replace(id, by);
        for value in self.metadata.values_mut() {
            *value = value.replace(id, by);
        }
        while let Some(at) = self.details.windows(id.len()).position(|bytes| bytes == id.as_bytes()) {
            self.details[at..at + id.len()].copy_from_slice(by.as_bytes());
        }
        self
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let violations = details.bad_request().map_or(&[][..], |bad| &bad.field_violations);
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            reason: info.map_or_else(String::new, |info| info.reason.clone()),
            metadata: info.map(|info| info.metadata.clone().into_iter().collect()).unwrap_or_default(),
            fields: violations.iter().map(|violation| violation.field.clone()).collect(),
            details: status.details().to_vec(),
        }
    }
}

/// The message of an answer, or the refusal.
pub(crate) fn opened<T>(answered: Result<Response<T>, Status>) -> Answer<T> {
    Ok(answered.map(Response::into_inner)?)
}
