//! Where a delivery goes, as the registry has it when the request is sent.

use std::sync::Arc;

use sluice_domain::Secret;
use thiserror::Error;
use url::Url;

/// Why there is no target.
#[derive(Debug, Clone, Error)]
pub enum ResolveError {
    /// The webhook is gone.
    #[error("the webhook was deleted")]
    Deleted,
    /// The registry has it, but it can't be used as it is; the text says why and holds no secret.
    #[error("{0}")]
    Unusable(String),
    /// The registry does not answer.
    #[error("the registry does not answer")]
    Unavailable,
}

/// What is needed to send one request to a webhook. Its secrets live only as long as it does.
#[derive(Clone)]
pub struct Target {
    /// Where to.
    pub endpoint: Url,
    /// The header that proves the request, if the webhook has authentication.
    pub authentication: Option<(String, Secret)>,
    /// The secrets that sign, all of them.
    pub signing: Arc<[sluice_signing::Secret]>,
    /// Whether the webhook is disabled.
    pub disabled: bool,
    /// The webhook's version.
    pub version: i64,
}

impl Target {
    /// The URL of a request with this suffix.
    ///
    /// # Errors
    /// When the suffix does not fit the endpoint; the text says why.
    pub fn url(&self, suffix: &str) -> Result<Url, String> {
        sluice_rules::join_url(&self.endpoint, suffix).map_err(|reason| reason.to_string())
    }

    /// What of the authentication an answer may echo: the header's value whole, and without its scheme.
    pub fn credentials(&self) -> Vec<&str> {
        let value = self.authentication.as_ref().map(|(_, value)| value.expose());
        let bare = value.and_then(|value| value.split_once(' ')).map(|(_, bare)| bare);
        value.into_iter().chain(bare).collect()
    }

    /// Path and query of a request's URL as the history shows it: what belongs to the endpoint's own query is kept back, since
    /// people put keys there.
    pub fn shown(&self, url: &Url) -> String {
        let own = self.endpoint.query().unwrap_or_default();
        match url.query() {
            None => url.path().to_owned(),
            Some(query) if own.is_empty() => format!("{}?{query}", url.path()),
            Some(query) => {
                let rest = query.strip_prefix(own).unwrap_or_default();
                format!("{}?[redacted]{rest}", url.path())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(endpoint: &str) -> Target {
        Target {
            endpoint: endpoint.parse().unwrap(),
            authentication: None,
            signing: Arc::new([]),
            disabled: false,
            version: 1,
        }
    }

    #[test]
    fn a_suffix_joins_an_endpoint_that_ends_openly() {
        let open = target("https://example.com/hooks/");
        assert_eq!(open.url("deals/1").unwrap().as_str(), "https://example.com/hooks/deals/1");
        assert!(target("https://example.com/hooks").url("deals/1").is_err());
    }

    #[test]
    fn the_endpoints_own_query_is_not_shown() {
        let keyed = target("https://example.com/h?key=hunter2&id=");
        let url = keyed.url("42").unwrap();
        assert_eq!(keyed.shown(&url), "/h?[redacted]42");
        let plain = target("https://example.com/h/");
        assert_eq!(plain.shown(&plain.url("a?b=c").unwrap()), "/h/a?b=c");
    }
}
