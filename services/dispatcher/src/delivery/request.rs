//! The request of one attempt: the stored part, the target's part, and the signature over both.

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use sluice_domain::Timestamp;
use sluice_egress::Request;

use crate::attempt::KeptHeader;
use crate::claim::Claim;
use crate::redaction::kept;
use crate::target::Target;

use super::Trace;

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

    let mut headers = Headers::default();
    for (name, value) in &delivery.headers {
        headers.add(name, value)?;
    }
    if !delivery.content_type.is_empty() {
        headers.add(CONTENT_TYPE.as_str(), &delivery.content_type)?;
    }
    let id = delivery.id.to_string();
    let (seconds, _) = now.to_unix();
    headers.add(sluice_signing::HEADER_ID, &id)?;
    headers.add(sluice_signing::HEADER_TIMESTAMP, &seconds.to_string())?;
    if !target.signing.is_empty() {
        let signature = sluice_signing::sign(&id, seconds, &delivery.body, &target.signing);
        headers.add(sluice_signing::HEADER_SIGNATURE, &signature)?;
    }
    headers.add("sluice-execution", &claim.execution.to_string())?;
    headers.add("sluice-attempt", &claim.attempt.to_string())?;
    if let Some(cause) = claim.cause {
        headers.add("sluice-cause", &cause.to_string())?;
    }
    headers.add("traceparent", &trace.attempt.to_string())?;
    if let Some((name, value)) = &target.authentication {
        headers.add_secret(name, value.expose())?;
    }
    let url_path = target.shown(&url);
    let body = delivery.body.clone();
    let request = Request { method, url, headers: headers.map, body, first_byte: None, total: None };
    Ok(Prepared { request, url_path, headers: headers.kept })
}

/// The header fields, and what the history shows of them.
#[derive(Default)]
struct Headers {
    map: HeaderMap,
    kept: Vec<KeptHeader>,
}

impl Headers {
    /// Sets a header; what is set later wins, so that no own header stands in for one of ours.
    fn add(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.set(kept(name, value), value)
    }

    /// Sets a header whose value is nobody's business, whatever its name.
    fn add_secret(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.set(KeptHeader(name.to_ascii_lowercase(), None), value)
    }

    fn set(&mut self, kept: KeptHeader, value: &str) -> Result<(), String> {
        let name = &kept.0;
        let key =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no header name"))?;
        let mut field = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| format!("the value of header {name} can't be sent"))?;
        field.set_sensitive(kept.1.is_none());
        if self.map.insert(key, field).is_some() {
            self.kept.retain(|earlier| earlier.0 != kept.0);
        }
        self.kept.push(kept);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_kept_back_even_in_a_header_that_is_harmless_elsewhere() {
        let mut headers = Headers::default();
        headers.add("user-agent", "own").unwrap();
        headers.add_secret("User-Agent", "hunter2").unwrap();
        assert_eq!(headers.kept, [KeptHeader("user-agent".into(), None)]);
        assert!(headers.map["user-agent"].is_sensitive());
    }
}
