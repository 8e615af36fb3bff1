//! What a call came to, to the last byte a client can see.

use std::collections::BTreeMap;

use bytes::Bytes;
use sluice_tests::Refusal;
use tonic::Status;
use tonic::metadata::{KeyAndValueRef, MetadataMap};

/// An answer or a refusal. Two are equal when a client can't tell them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The message, or the refusal.
    pub(crate) answer: Result<Bytes, Box<Refusal>>,
    /// The size of the refusal's details: their entries come in any order, so they are compared as text.
    details_bytes: usize,
    /// Headers and trailers, but the date.
    metadata: BTreeMap<String, String>,
}

impl Reply {
    /// A refusal.
    pub(crate) fn refused(status: Status) -> Self {
        Self {
            details_bytes: status.details().len(),
            metadata: texts(status.metadata()),
            answer: Err(Box::new(status.into())),
        }
    }

    /// An answer; a stream may have none yet.
    pub(crate) fn good(metadata: &MetadataMap, message: Option<Bytes>) -> Self {
        Self { answer: Ok(message.unwrap_or_default()), details_bytes: 0, metadata: texts(metadata) }
    }

    /// The refusal.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        self.answer.as_ref().err().map(AsRef::as_ref)
    }

    /// The same, the texts of a refusal with one in place of another.
    #[must_use]
    pub(crate) fn with_replaced(mut self, text: &str, by: &str) -> Self {
        self.answer = self.answer.map_err(|refusal| Box::new(refusal.with_id_replaced(text, by)));
        self
    }

    /// All that came, as text.
    pub(crate) fn told(&self) -> String {
        match &self.answer {
            Ok(message) => format!("{} {:?}", String::from_utf8_lossy(message), self.metadata),
            Err(refusal) => format!("{refusal:?} {:?}", self.metadata),
        }
    }
}

fn texts(metadata: &MetadataMap) -> BTreeMap<String, String> {
    let entries = metadata.iter().map(|entry| match entry {
        KeyAndValueRef::Ascii(name, value) => (name.to_string(), format!("{value:?}")),
        KeyAndValueRef::Binary(name, value) => (name.to_string(), format!("{value:?}")),
    });
    entries.filter(|(name, _)| name != "date").collect()
}
