//! Which headers the history may show. An allow-list: a header nobody vouched for is kept back.

use std::borrow::Cow;

use crate::attempt::KeptHeader;

/// Headers whose values are known to be harmless, in lower case.
const HARMLESS: &[&str] = &[
    "accept",
    "accept-ranges",
    "age",
    "allow",
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "retry-after",
    "server",
    "sluice-attempt",
    "sluice-cause",
    "sluice-execution",
    "traceparent",
    "transfer-encoding",
    "user-agent",
    "vary",
    "webhook-id",
    "webhook-timestamp",
];

/// How much of one header's value is kept.
const VALUE_BYTES: usize = 2 * 1024;
/// How much of all headers of an answer is kept.
const HEAD_BYTES: usize = 16 * 1024;

/// The headers of an answer as the history keeps them: long values and long heads are cut.
pub fn kept_head<'a>(headers: impl Iterator<Item = (&'a str, Cow<'a, str>)>) -> Vec<KeptHeader> {
    let mut left = HEAD_BYTES;
    let mut head = Vec::new();
    for (name, value) in headers {
        let header = kept(name, &value[..value.floor_char_boundary(VALUE_BYTES)]);
        let bytes = header.0.len() + header.1.as_ref().map_or(0, String::len);
        if bytes > left {
            break;
        }
        left -= bytes;
        head.push(header);
    }
    head
}

/// A body as the history keeps it: receivers that echo the request must not bring our credential into it.
pub fn kept_body(body: &[u8], secrets: &[&str]) -> Vec<u8> {
    let mut body = body.to_vec();
    for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST_SECRET) {
        while let Some(at) = body.windows(secret.len()).position(|window| window == secret.as_bytes()) {
            body.splice(at..at + secret.len(), *REDACTED);
        }
    }
    body
}

/// What stands in a body where a credential was.
const REDACTED: &[u8; 10] = b"[redacted]";
/// Shorter credentials are not looked for: they would be found everywhere.
const SHORTEST_SECRET: usize = 6;

/// A header as the history keeps it.
pub fn kept(name: &str, value: &str) -> KeptHeader {
    match harmless(name) {
        Some(name) => KeptHeader(Cow::Borrowed(name), Some(value.to_owned())),
        None => kept_back(name),
    }
}

/// A header whose value is nobody's business, whatever its name.
pub fn kept_back(name: &str) -> KeptHeader {
    KeptHeader(Cow::Owned(name.to_ascii_lowercase()), None)
}

/// The name as it stands on the list, if it does.
fn harmless(name: &str) -> Option<&'static str> {
    let lower = name.bytes().map(|byte| byte.to_ascii_lowercase());
    let found = HARMLESS.binary_search_by(|known| known.bytes().cmp(lower.clone()));
    found.ok().and_then(|at| HARMLESS.get(at)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_secret_headers_are_kept_back() {
        for name in
            ["authorization", "X-Api-Key", "set-cookie", "webhook-signature", "x-anything", "location"]
        {
            assert_eq!(kept(name, "hunter2").1, None, "{name}");
        }
        assert_eq!(
            kept("Content-Type", "text/plain"),
            KeptHeader("content-type".into(), Some("text/plain".into()))
        );
    }

    #[test]
    fn long_heads_are_cut() {
        let long = || ("server", "x".repeat(10_000).into());
        let head = kept_head(std::iter::repeat_with(long).take(100));
        assert_eq!(head.len(), 7);
        assert_eq!(head[0].1.as_ref().unwrap().len(), VALUE_BYTES);
    }

    #[test]
    fn an_echoed_credential_does_not_reach_the_history() {
        let body = kept_body(
            b"you sent Bearer hunter2hunter2 and hunter2hunter2",
            &["Bearer hunter2hunter2", "hunter2hunter2"],
        );
        assert_eq!(body, b"you sent [redacted] and [redacted]");
        assert_eq!(kept_body(b"abc", &["b"]), b"abc");
    }

    #[test]
    fn the_list_is_sorted_so_that_the_search_finds_everything_on_it() {
        assert!(HARMLESS.is_sorted());
    }
}
