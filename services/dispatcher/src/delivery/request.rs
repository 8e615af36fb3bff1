//! The request of one attempt: the stored part, the target's part, and the signature over both.

use std::fmt::{Display, Write as _};

use bytes::BytesMut;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use sluice_domain::Timestamp;
use sluice_egress::Request;

use crate::attempt::KeptHeader;
use crate::claim::Claim;
use crate::redaction::{kept, kept_back};
use crate::target::Target;

use super::Trace;

const WEBHOOK_ID: HeaderName = HeaderName::from_static(sluice_signing::HEADER_ID);
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static(sluice_signing::HEADER_TIMESTAMP);
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static(sluice_signing::HEADER_SIGNATURE);
const EXECUTION: HeaderName = HeaderName::from_static("sluice-execution");
const ATTEMPT: HeaderName = HeaderName::from_static("sluice-attempt");
const CAUSE: HeaderName = HeaderName::from_static("sluice-cause");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Room for the fields of most requests, with those that the client adds.
const FIELDS: usize = 16;
/// Room for their values.
const TEXT_BYTES: usize = 512;

/// A request ready to be sent, and what the history shows of it.
pub(super) struct Prepared {
    pub(super) request: Request,
    pub(super) url_path: String,
    pub(super) headers: Vec<KeptHeader>,
}

/// Builds the request of a claim's attempt that is dialled at `now`.
pub(super) fn prepare(
    claim: &Claim,
    target: &Target,
    now: Timestamp,
    trace: &Trace,
) -> Result<Prepared, String> {
    let delivery = claim.plan.deliveries.get(claim.step).ok_or("the delivery is not in the plan")?;
    let method =
        http::Method::from_bytes(delivery.method.as_bytes()).map_err(|_| "the method is not one of HTTP")?;
    let url = target.url(&delivery.url_suffix)?;

    let mut headers = Headers::new();
    for (name, value) in &delivery.headers {
        headers.add_own(name, value)?;
    }
    if !delivery.content_type.is_empty() {
        headers.add(CONTENT_TYPE, &delivery.content_type)?;
    }
    let id = delivery.id.to_string();
    let (seconds, _) = now.to_unix();
    headers.add(WEBHOOK_ID, &id)?;
    headers.add(WEBHOOK_TIMESTAMP, seconds)?;
    if !target.signing.is_empty() {
        let signature = sluice_signing::sign(&id, seconds, &delivery.body, &target.signing);
        headers.add(WEBHOOK_SIGNATURE, signature)?;
    }
    headers.add(EXECUTION, claim.execution)?;
    headers.add(ATTEMPT, claim.attempt)?;
    if let Some(cause) = claim.cause {
        headers.add(CAUSE, cause)?;
    }
    headers.add(TRACEPARENT, trace.attempt)?;
    if let Some((name, value)) = &target.authentication {
        headers.add_secret(name, value.expose())?;
    }
    let url_path = target.shown(&url);
    let body = delivery.body.clone();
    let request = Request { method, url, headers: headers.map, body, first_byte: None, total: None };
    Ok(Prepared { request, url_path, headers: headers.kept })
}

/// The header fields, and what the history shows of them. All values lie in one piece of memory, since a request's fields are
/// copied on their way more often than they are read.
struct Headers {
    map: HeaderMap,
    kept: Vec<KeptHeader>,
    text: BytesMut,
}

impl Headers {
    fn new() -> Self {
        Self {
            map: HeaderMap::with_capacity(FIELDS),
            kept: Vec::with_capacity(FIELDS),
            text: BytesMut::with_capacity(TEXT_BYTES),
        }
    }

    /// Sets a header of ours; what is set later wins, so that no own header stands in for it.
    fn add(&mut self, name: HeaderName, value: impl Display) -> Result<(), String> {
        let from = self.text.len();
        // Texts that are written into memory are written.
        let _written = write!(self.text, "{value}");
        let written = self.text.get(from..).unwrap_or_default();
        let kept = kept(name.as_str(), &String::from_utf8_lossy(written));
        self.set(name, kept)
    }

    /// Sets a header of the webhook's own.
    fn add_own(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.add(parsed(name)?, value)
    }

    /// Sets a header whose value is nobody's business, whatever its name.
    fn add_secret(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.text.extend_from_slice(value.as_bytes());
        self.set(parsed(name)?, kept_back(name))
    }

    /// Sets the header whose value was just written.
    fn set(&mut self, name: HeaderName, kept: KeptHeader) -> Result<(), String> {
        let mut value = HeaderValue::from_maybe_shared(self.text.split().freeze())
            .map_err(|_| format!("the value of header {name} can't be sent"))?;
        value.set_sensitive(kept.1.is_none());
        if self.map.insert(name, value).is_some() {
            self.kept.retain(|earlier| earlier.0 != kept.0);
        }
        self.kept.push(kept);
        Ok(())
    }
}

fn parsed(name: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("{:?} is no header name", name.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_kept_back_even_in_a_header_that_is_harmless_elsewhere() {
        let mut headers = Headers::new();
        headers.add_own("user-agent", "own").unwrap();
        headers.add_secret("User-Agent", "hunter2").unwrap();
        assert_eq!(headers.kept, [KeptHeader("user-agent".into(), None)]);
        assert!(headers.map["user-agent"].is_sensitive());
    }
}
