//! Which headers the history may show. An allow-list: a header nobody vouched for is kept back.

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

/// A header as the history keeps it.
pub fn kept(name: &str, value: &str) -> KeptHeader {
    let name = name.to_ascii_lowercase();
    let harmless = HARMLESS.binary_search(&name.as_str()).is_ok();
    KeptHeader(name, harmless.then(|| value.to_owned()))
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
    fn the_list_is_sorted_so_that_the_search_finds_everything_on_it() {
        assert!(HARMLESS.is_sorted());
    }
}
