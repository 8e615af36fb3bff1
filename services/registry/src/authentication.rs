//! How a request proves itself to the receiver beside its signature: none, HTTP basic, bearer, or a key in a header.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluice_domain::{Secret, Violation};
use zeroize::Zeroizing;

const MAX_USERNAME: usize = 256;
const MAX_PASSWORD: usize = 1_024;
const MAX_TOKEN: usize = 4_096;
const MAX_HEADER_NAME: usize = 256;

/// The part of an authentication that may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// Nothing is sent.
    None,
    /// HTTP basic, RFC 7617.
    Basic {
        /// The user name.
        username: String,
    },
    /// A bearer token, RFC 6750.
    Bearer,
    /// A key in a header.
    ApiKey {
        /// The header's name, as it was given.
        header: String,
    },
}

/// A scheme with the secret it needs; [`Scheme::None`] alone has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentication {
    scheme: Scheme,
    secret: Option<Secret>,
}

impl Scheme {
    /// The stored word for the scheme.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Basic { .. } => "BASIC",
            Self::Bearer => "BEARER",
            Self::ApiKey { .. } => "API_KEY",
        }
    }

    /// The user name or the header's name, where the scheme has one.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Basic { username } => Some(username),
            Self::ApiKey { header } => Some(header),
            Self::None | Self::Bearer => None,
        }
    }

    /// The scheme back from its stored word and detail; `None` when they are not ours.
    pub fn from_stored(word: &str, detail: Option<String>) -> Option<Self> {
        match (word, detail) {
            ("NONE", None) => Some(Self::None),
            ("BASIC", Some(username)) => Some(Self::Basic { username }),
            ("BEARER", None) => Some(Self::Bearer),
            ("API_KEY", Some(header)) => Some(Self::ApiKey { header }),
            _ => None,
        }
    }

    /// The header that proves a request, name and value; `None` when nothing is sent.
    pub fn header(&self, secret: &Secret) -> Option<(String, Secret)> {
        match self {
            Self::None => None,
            Self::Basic { username } => {
                let pair = Zeroizing::new(format!("{username}:{}", secret.expose()));
                let mut value = String::with_capacity(6 + pair.len().div_ceil(3) * 4);
                value.push_str("Basic ");
                STANDARD.encode_string(pair.as_bytes(), &mut value);
                Some(("Authorization".to_owned(), Secret::new(value)))
            }
            Self::Bearer => {
                Some(("Authorization".to_owned(), Secret::new(format!("Bearer {}", secret.expose()))))
            }
            Self::ApiKey { header } => Some((header.clone(), secret.clone())),
        }
    }
}

impl Authentication {
    /// No authentication.
    pub const fn none() -> Self {
        Self { scheme: Scheme::None, secret: None }
    }

    /// HTTP basic.
    ///
    /// # Errors
    /// Every rule that is broken; fields are counted from `webhook.authentication`.
    pub fn basic(username: &str, password: Secret) -> Result<Self, Vec<Violation>> {
        let mut violations = Vec::new();
        let characters = username.chars().count();
        if !(1..=MAX_USERNAME).contains(&characters) || username.chars().any(|c| c == ':' || c.is_control()) {
            violations.push(broken(
                "basic.username",
                "must be 1 to 256 characters without colons and control characters",
            ));
        }
        let characters = password.expose().chars().count();
        if !(1..=MAX_PASSWORD).contains(&characters) || password.expose().chars().any(char::is_control) {
            violations.push(broken(
                "basic.password",
                "must be 1 to 1,024 characters without control characters; it is write-only, so it has to be sent again",
            ));
        }
        Self::unless(violations, Scheme::Basic { username: username.to_owned() }, password)
    }

    /// A bearer token.
    ///
    /// # Errors
    /// As [`Authentication::basic`].
    pub fn bearer(token: Secret) -> Result<Self, Vec<Violation>> {
        let mut violations = Vec::new();
        let text = token.expose();
        if !(1..=MAX_TOKEN).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
            violations.push(broken(
                "bearer.token",
                "must be 1 to 4,096 printable ASCII characters without spaces; it is write-only, so it has to be sent again",
            ));
        }
        Self::unless(violations, Scheme::Bearer, token)
    }

    /// A key in a named header.
    ///
    /// # Errors
    /// As [`Authentication::basic`].
    pub fn api_key(header: &str, key: Secret) -> Result<Self, Vec<Violation>> {
        let mut violations = Vec::new();
        if !(1..=MAX_HEADER_NAME).contains(&header.len()) || !header.bytes().all(is_token) {
            violations.push(broken("api_key.header", "must be a header name of 1 to 256 characters"));
        } else if is_taken(header) {
            violations.push(broken(
                "api_key.header",
                "must not be a header that belongs to the protocol, the signature, tracing or a proxy",
            ));
        }
        let text = key.expose();
        if !(1..=MAX_TOKEN).contains(&text.len())
            || !text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
            || text.trim() != text
        {
            violations.push(broken(
                "api_key.key",
                "must be 1 to 4,096 printable ASCII characters, no space at either end; it is write-only, so it has to be sent again",
            ));
        }
        Self::unless(violations, Scheme::ApiKey { header: header.to_owned() }, key)
    }

    /// The part that may be shown.
    pub fn scheme(&self) -> Scheme {
        self.scheme.clone()
    }

    /// The part to be sealed; `None` without authentication.
    pub const fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    fn unless(violations: Vec<Violation>, scheme: Scheme, secret: Secret) -> Result<Self, Vec<Violation>> {
        if violations.is_empty() { Ok(Self { scheme, secret: Some(secret) }) } else { Err(violations) }
    }
}

fn broken(field: &str, rule: &str) -> Violation {
    Violation { field: format!("webhook.authentication.{field}"), description: rule.to_owned() }
}

/// A character of a header's name, RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A key may well stand in `Authorization`; whatever else a template can't set, a key can't either.
fn is_taken(header: &str) -> bool {
    !header.eq_ignore_ascii_case("authorization") && sluice_rules::request::is_forbidden_header(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(result: Result<Authentication, Vec<Violation>>) -> Vec<String> {
        result.unwrap_err().into_iter().map(|violation| violation.field).collect()
    }

    fn sent(authentication: &Authentication) -> (String, String) {
        let (name, value) = authentication.scheme().header(authentication.secret().unwrap()).unwrap();
        (name, value.expose().to_owned())
    }

    /// The user and password of RFC 7617, section 2.
    #[test]
    fn basic_is_written_as_its_specification_shows() {
        let basic = Authentication::basic("Aladdin", Secret::new("open sesame")).unwrap();
        assert_eq!(sent(&basic), ("Authorization".into(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".into()));
    }

    #[test]
    fn bearer_and_key_stand_in_their_headers() {
        let bearer = Authentication::bearer(Secret::new("mF_9.B5f-4.1JqM")).unwrap();
        assert_eq!(sent(&bearer), ("Authorization".into(), "Bearer mF_9.B5f-4.1JqM".into()));
        let key = Authentication::api_key("X-Api-Key", Secret::new("k 1")).unwrap();
        assert_eq!(sent(&key), ("X-Api-Key".into(), "k 1".into()));
        assert!(Authentication::api_key("Authorization", Secret::new("ApiKey k")).is_ok());
        assert_eq!(Scheme::None.header(&Secret::new("x")), None);
    }

    #[test]
    fn headers_of_the_protocol_the_signature_and_proxies_are_refused_in_any_case() {
        for header in [
            "Host",
            "content-length",
            "Transfer-Encoding",
            "Webhook-Signature",
            "sluice-attempt",
            "X-Forwarded-For",
            "Proxy-Authorization",
            "traceparent",
            "Metadata-Flavor",
        ] {
            assert_eq!(
                fields(Authentication::api_key(header, Secret::new("k"))),
                ["webhook.authentication.api_key.header"]
            );
        }
    }

    #[test]
    fn every_broken_field_is_named_at_once() {
        assert_eq!(
            fields(Authentication::basic("a:b", Secret::new("x\n"))),
            ["webhook.authentication.basic.username", "webhook.authentication.basic.password"]
        );
        assert_eq!(
            fields(Authentication::api_key("a b", Secret::new(""))),
            ["webhook.authentication.api_key.header", "webhook.authentication.api_key.key"]
        );
        assert_eq!(
            fields(Authentication::bearer(Secret::new("a b"))),
            ["webhook.authentication.bearer.token"]
        );
        assert!(Authentication::bearer(Secret::new("x".repeat(4_097))).is_err());
    }

    #[test]
    fn a_scheme_reads_back_from_what_is_stored() {
        for scheme in [
            Scheme::None,
            Scheme::Basic { username: "u".into() },
            Scheme::Bearer,
            Scheme::ApiKey { header: "X-Key".into() },
        ] {
            let detail = scheme.detail().map(str::to_owned);
            assert_eq!(Scheme::from_stored(scheme.word(), detail), Some(scheme));
        }
        assert_eq!(Scheme::from_stored("BASIC", None), None);
    }

    #[test]
    fn nothing_secret_shows_when_printed() {
        let basic = Authentication::basic("user", Secret::new("hunter2")).unwrap();
        assert!(!format!("{basic:?}").contains("hunter2"));
    }
}
