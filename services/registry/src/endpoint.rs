//! Where a webhook's requests go: a URL that this deployment may send to, in the one spelling that is stored and dialled.

use std::fmt;

use sluice_egress::{Decision, Policy, Refusal, decide_url};
use thiserror::Error;

/// The serialisation of a URL that was judged once, when it was given. Judged again, address by address, before each dial.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint(Box<str>);

/// The target is not one that Sluice may send to; the text is fit for the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ForbiddenTarget(String);

/// What a refusal tells beyond the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disclosure {
    /// A tenant on a shared deployment: the faults of its own text, and nothing about our network.
    Tenant,
    /// Whoever runs `sluice up` on their own machine: also the line of configuration that allows it.
    Operator,
}

impl Endpoint {
    /// Reads and judges a URL: its text, scheme, port and host; nothing is looked up.
    ///
    /// # Errors
    /// When the policy forbids it.
    pub fn parse(text: &str, policy: &Policy, disclosure: Disclosure) -> Result<Self, ForbiddenTarget> {
        match decide_url(text, policy) {
            Decision::Allow { url, .. } | Decision::NeedsDns { url, .. } => Ok(Self(url.as_str().into())),
            Decision::Refuse(refusal) => Err(ForbiddenTarget::of(&refusal, disclosure)),
        }
    }

    /// A URL that was judged before it was stored.
    pub fn stored(url: String) -> Self {
        Self(url.into())
    }

    /// The URL as it is stored and dialled.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl ForbiddenTarget {
    fn of(refusal: &Refusal, disclosure: Disclosure) -> Self {
        let mut text = if refusal.concerns_text() {
            refusal.to_string()
        } else {
            "is not a target that requests may be sent to".to_owned()
        };
        if disclosure == Disclosure::Operator
            && let Some(remedy) = refusal.remedy()
        {
            text.push_str("; whoever runs this deployment can allow it with the setting ");
            text.push_str(&remedy);
        }
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str, disclosure: Disclosure) -> String {
        Endpoint::parse(text, &Policy::default(), disclosure).unwrap_err().to_string()
    }

    #[test]
    fn the_serialisation_is_what_is_kept() {
        let endpoint =
            Endpoint::parse("HTTPS://Hooks.Example.com:443/a b/../c", &Policy::default(), Disclosure::Tenant);
        assert!(endpoint.is_err(), "white space is refused rather than rewritten");
        let endpoint =
            Endpoint::parse("HTTPS://Hooks.Example.com:443/a/../c", &Policy::default(), Disclosure::Tenant);
        assert_eq!(endpoint.unwrap().as_str(), "https://hooks.example.com/c");
    }

    #[test]
    fn a_tenant_learns_nothing_about_addresses_and_names_of_ours() {
        let texts =
            ["https://127.0.0.1/", "https://169.254.169.254/", "https://printer/", "https://a.local/"];
        let said: Vec<_> = texts.iter().map(|text| refusal(text, Disclosure::Tenant)).collect();
        assert!(said.iter().all(|text| text == &said[0]), "{said:?}");
        assert!(!said[0].contains("127") && !said[0].contains("egress"));
    }

    #[test]
    fn a_tenant_learns_what_is_wrong_with_its_own_text() {
        assert!(refusal("http://example.com/", Disclosure::Tenant).contains("https"));
        assert!(refusal("https://u:p@example.com/", Disclosure::Tenant).contains("user information"));
        assert!(refusal("https://example.com/#x", Disclosure::Tenant).contains("fragment"));
        assert!(refusal("example.com", Disclosure::Tenant).contains("URL"));
    }

    #[test]
    fn an_operator_is_told_the_setting_that_allows_it() {
        assert!(refusal("http://example.com/", Disclosure::Operator).contains("egress.allow_http = true"));
        assert!(
            refusal("https://127.0.0.1/", Disclosure::Operator).contains("egress.allow = [\"127.0.0.0/8\"]")
        );
    }

    #[test]
    fn a_development_policy_takes_loopback_and_http() {
        let endpoint =
            Endpoint::parse("http://127.0.0.1:9000/in", &Policy::development(), Disclosure::Tenant).unwrap();
        assert_eq!(endpoint.as_str(), "http://127.0.0.1:9000/in");
    }
}
