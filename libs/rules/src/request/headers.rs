//! Own headers of a request: which may be set, and their values.

use std::collections::HashSet;

use super::encode;
use crate::context::Context;
use crate::rejection::{Reason, Rejection};
use crate::template::{Setting, Template};
use crate::violation::Violations;

/// How many own headers a request may have.
pub const MAX_HEADERS: usize = 20;
/// How many bytes a header's value may have, and its template; a name may have 256.
pub const MAX_HEADER_BYTES: usize = 2_048;

/// Names that can't be set: they belong to the protocol, to authentication, to the signature, to tracing or to
/// proxies, or they unlock a cloud's metadata.
const FORBIDDEN: &[&str] = &[
    "accept-encoding",
    "authorization",
    "baggage",
    "client-ip",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "cookie2",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "metadata",
    "metadata-flavor",
    "set-cookie",
    "te",
    "trailer",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-google-metadata-request",
    "x-identity-header",
    "x-metadata-token",
    "x-original-host",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// Beginnings of names that can't be set.
const FORBIDDEN_PREFIXES: &[&str] = &[
    "proxy-",
    "sluice-",
    "webhook-",
    "x-aliyun-ecs-metadata-token",
    "x-aws-ec2-metadata-token",
    "x-forwarded-",
    "x-tencent-metadata-token",
];

/// A checked header.
#[derive(Debug)]
pub(super) struct Header {
    name: String,
    value: Template,
}

/// Whether a header of this name can't be set, in any case, and with `_` for `-` as some servers read it.
#[must_use]
pub fn is_forbidden(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    FORBIDDEN.contains(&name.as_str())
        || FORBIDDEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || name == "x-forwarded"
}

/// `None` once something is wrong.
pub(super) fn compile(
    headers: &[(String, String)],
    setting: Setting<'_>,
    field: &str,
    violations: &mut Violations,
) -> Option<Vec<Header>> {
    if headers.len() > MAX_HEADERS {
        violations.add(field, format!("{} headers; at most {MAX_HEADERS} are allowed", headers.len()));
        return None;
    }
    let mut names = HashSet::new();
    let mut compiled = Vec::with_capacity(headers.len());
    for (index, (name, template)) in headers.iter().enumerate() {
        if let Some(refusal) = refusal_of_name(name) {
            violations.add(format!("{field}[{index}].name"), refusal);
        } else if !names.insert(name.to_ascii_lowercase()) {
            violations.add(format!("{field}[{index}].name"), "is there twice");
        }
        let value_field = format!("{field}[{index}].value");
        if template.len() > MAX_HEADER_BYTES {
            violations.add(&value_field, format!("longer than {MAX_HEADER_BYTES} bytes"));
            continue;
        }
        if template.chars().any(char::is_control) {
            violations.add(&value_field, Reason::ControlCharacter.to_string());
        }
        match Template::compile(template, setting) {
            Ok(value) => compiled.push(Header { name: name.clone(), value }),
            Err(refusals) => refusals.into_iter().for_each(|refusal| violations.add(&value_field, refusal)),
        }
    }
    (compiled.len() == headers.len()).then_some(compiled)
}

fn refusal_of_name(name: &str) -> Option<&'static str> {
    // RFC 9110, section 5.6.2: token.
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || name.len() > 256 || !name.chars().all(token) {
        return Some("no header name: 1 to 256 letters, digits or signs of a token");
    }
    is_forbidden(name)
        .then_some("this header can't be set: it belongs to the protocol, to the webhook or to a proxy")
}

pub(super) fn render(
    headers: &[Header],
    context: &Context<'_>,
    field: &str,
) -> Result<Vec<(String, String)>, Rejection> {
    let render = |(index, header): (usize, &Header)| {
        let rendered = header.value.render(context, MAX_HEADER_BYTES).and_then(|value| {
            encode::refuse_unsafe(&value)?;
            Ok(value.trim_matches(' ').to_owned())
        });
        match rendered {
            Ok(value) => Ok((header.name.clone(), value)),
            Err(reason) => Err(reason.at(&format!("{field}[{index}].value"))),
        }
    };
    headers.iter().enumerate().map(render).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_protocol_and_its_neighbours_cannot_be_set() {
        for name in [
            "Host",
            "CONTENT-LENGTH",
            "Transfer-Encoding",
            "connection",
            "Te",
            "Upgrade",
            "Trailer",
            "Expect",
            "Keep-Alive",
            "Proxy-Authorization",
            "Proxy-Anything",
            "Forwarded",
            "X-Forwarded-For",
            "X_Forwarded_Host",
            "X-Real-IP",
            "Via",
            "Webhook-Id",
            "webhook-signature",
            "Sluice-Attempt",
            "traceparent",
            "tracestate",
            "baggage",
            "Authorization",
            "Cookie",
            "Metadata-Flavor",
            "Metadata",
            "X-aws-ec2-metadata-token",
            "X-aws-ec2-metadata-token-ttl-seconds",
            "X-Google-Metadata-Request",
            "Content-Type",
        ] {
            assert!(is_forbidden(name), "{name}");
        }
        for name in ["X-Api-Version", "Accept", "User-Agent", "X-Metadata", "If-Match", "Idempotency-Key"] {
            assert!(!is_forbidden(name), "{name}");
        }
    }

    #[test]
    fn names_are_tokens() {
        for name in ["", "a b", "a:b", "a\r\nb", "ä", "{{ deal.x }}", "(a)"] {
            assert!(refusal_of_name(name).is_some(), "{name:?}");
        }
        assert!(refusal_of_name("X-Stage").is_none());
    }
}
