//! Why a request got no whole answer, found in what the HTTP client says.

use std::error::Error;
use std::io;

use crate::Refusal;
use crate::resolver::ResolveError;

/// Why a request got no whole answer.
///
/// The texts are for tenants: they hold no address and nothing about our network. What is inside
/// [`SendError::Forbidden`] is for operators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The target, an address of it or the peer that answered may not be called. Trying again will not help.
    #[error("the target may not be called")]
    Forbidden(Refusal),
    /// The host's name has no address, or its look-up failed.
    #[error("the host's name could not be resolved")]
    Dns,
    /// No connection came about.
    #[error("no connection to the host could be made")]
    Connect,
    /// The TLS handshake failed: a certificate that is not valid for the host, or no TLS there.
    #[error("the TLS handshake with the host failed")]
    Tls,
    /// It took too long.
    #[error("{0}")]
    Timeout(Phase),
    /// The connection ended before the answer did.
    #[error("the host closed the connection before its answer was complete")]
    Reset,
    /// What came is no HTTP/1.1.
    #[error("the host's answer is no valid HTTP")]
    Protocol,
    /// The answer's head is larger than the client takes.
    #[error("the head of the host's answer is too large")]
    HeadTooLarge,
    /// The request cannot be put on the wire; nothing was sent.
    #[error("the request cannot be sent as it is")]
    Unsendable,
}

/// What was waited for when time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Phase {
    /// The look-up, the connection and the TLS handshake.
    #[error("no connection to the host in time")]
    Connect,
    /// The answer's head.
    #[error("no answer from the host in time")]
    FirstByte,
    /// The whole exchange, the answer's body included.
    #[error("the host's answer was not complete in time")]
    Total,
}

impl From<Refusal> for SendError {
    fn from(refusal: Refusal) -> Self {
        Self::Forbidden(refusal)
    }
}

impl SendError {
    /// The stable, machine-readable kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Forbidden(_) => Refusal::TENANT_REASON,
            Self::Dns => "DNS_FAILED",
            Self::Connect => "CONNECT_FAILED",
            Self::Tls => "TLS_FAILED",
            Self::Timeout(Phase::Connect) => "TIMEOUT_CONNECT",
            Self::Timeout(Phase::FirstByte) => "TIMEOUT_FIRST_BYTE",
            Self::Timeout(Phase::Total) => "TIMEOUT_TOTAL",
            Self::Reset => "CONNECTION_RESET",
            Self::Protocol => "PROTOCOL_ERROR",
            Self::HeadTooLarge => "HEAD_TOO_LARGE",
            Self::Unsendable => "UNSENDABLE",
        }
    }
}

type Cause = dyn Error + 'static;

/// Finds the kind of the client's error by what its chain of causes holds.
pub(crate) fn classify(error: &reqwest::Error) -> SendError {
    if error.is_builder() {
        return SendError::Unsendable;
    }
    if let Some(ResolveError::Forbidden(refusal)) = causes(error).find_map(|cause| cause.downcast_ref()) {
        return SendError::Forbidden(refusal.clone());
    }
    if error.is_connect() {
        return if error.is_dns() {
            SendError::Dns
        } else if causes(error).any(is_handshake) {
            SendError::Tls
        } else if error.is_timeout() {
            SendError::Timeout(Phase::Connect)
        } else {
            SendError::Connect
        };
    }
    if causes(error).any(|cause| cause.is::<io::Error>()) {
        return SendError::Reset;
    }
    match causes(error).find_map(|cause| cause.downcast_ref::<hyper::Error>()) {
        Some(cause) if cause.is_parse_too_large() => SendError::HeadTooLarge,
        Some(cause) if cause.is_parse() => SendError::Protocol,
        Some(cause) if cause.is_user() => SendError::Unsendable,
        _ => SendError::Reset,
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &Cause> {
    fn next<'a>(cause: &&'a Cause) -> Option<&'a Cause> {
        (*cause).source()
    }
    std::iter::successors(error.source(), next)
}

/// The connector wraps what the handshake says, an I/O error, into another; a plain one is TCP's.
fn is_handshake(cause: &Cause) -> bool {
    cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
        .is_some_and(|inner| inner.is::<io::Error>())
}
