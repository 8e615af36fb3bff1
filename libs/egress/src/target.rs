//! The decision on a URL: its text, scheme, port and host.

use std::net::IpAddr;

use url::{Host, Url};

use crate::name::{NameKind, decide_name};
use crate::port::decide_port;
use crate::{Policy, Refusal, decide_address};

/// Most bytes of a URL that is registered, as written and as parsed.
pub const MAX_URL_BYTES: usize = 2048;

/// Most bytes of a URL that is sent to: a registered one and 8 KiB that a step appends to it.
pub const MAX_SENT_URL_BYTES: usize = MAX_URL_BYTES + 8 * 1024;

/// What [`decide_url`] says about a URL. Store and dial `url`, never the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The host needs no look-up and may be dialled.
    Allow {
        /// The parsed URL.
        url: Url,
        /// What its host stands for.
        addresses: Vec<IpAddr>,
    },
    /// All is in order but the addresses, which only a look-up tells.
    NeedsDns {
        /// The parsed URL.
        url: Url,
        /// The name to look up, without a dot at its end.
        host: String,
    },
    /// The URL may not be called.
    Refuse(Refusal),
}

/// How the host of a URL in order is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// By these addresses, judged and allowed.
    Addresses(Vec<IpAddr>),
    /// By a look-up of this name, whose addresses are still to be judged.
    Name(String),
}

/// Judges a URL as somebody wrote it. It is parsed once, after checks on the raw text for what a parser would
/// silently drop or rewrite. Its length counts here, where it is registered; what is sent to may be longer by what was appended.
pub fn decide_url(text: &str, policy: &Policy) -> Decision {
    let decided = parse(text).and_then(|url| match decide_parsed(&url, policy)? {
        _ if url.as_str().len() > MAX_URL_BYTES => Err(Refusal::TooLong),
        reach => Ok((url, reach)),
    });
    match decided {
        Ok((url, Reach::Addresses(addresses))) => Decision::Allow { url, addresses },
        Ok((url, Reach::Name(host))) => Decision::NeedsDns { url, host },
        Err(refusal) => Decision::Refuse(refusal),
    }
}

/// Judges a URL that was parsed before: scheme, user info, fragment, port and host.
///
/// # Errors
/// The first rule it breaks.
pub fn decide_parsed(url: &Url, policy: &Policy) -> Result<Reach, Refusal> {
    match url.scheme() {
        "https" => {}
        "http" if policy.allow_http => {}
        "http" => return Err(Refusal::HttpNotAllowed),
        _ => return Err(Refusal::Scheme),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::UserInfo);
    }
    if url.fragment().is_some() {
        return Err(Refusal::Fragment);
    }
    decide_port(url.port_or_known_default().unwrap_or_default(), policy)?;

    let address: IpAddr = match url.host() {
        None => return Err(Refusal::NotAUrl("it has no host")),
        Some(Host::Domain(name)) => {
            return match decide_name(name, policy)? {
                NameKind::Ordinary => Ok(Reach::Name(crate::name::without_root(name).to_owned())),
                NameKind::Loopback => decide_all(policy.loopback(), policy).map(Reach::Addresses),
            };
        }
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
    };
    decide_all(vec![address], policy).map(Reach::Addresses)
}

/// Judges every address of a host; one that is forbidden forbids all.
pub(crate) fn decide_all(addresses: Vec<IpAddr>, policy: &Policy) -> Result<Vec<IpAddr>, Refusal> {
    addresses.iter().try_for_each(|address| decide_address(*address, policy))?;
    Ok(addresses)
}

fn parse(text: &str) -> Result<Url, Refusal> {
    if text.len() > MAX_URL_BYTES {
        return Err(Refusal::TooLong);
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(Refusal::Character);
    }
    let (scheme, rest) =
        text.split_once(':').ok_or(Refusal::NotAUrl("it must begin with https:// or http://"))?;
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return Err(Refusal::Scheme);
    }
    // Parsers of the URL standard take any number of slashes here, and none; others find another host then.
    let authority = rest
        .strip_prefix("//")
        .and_then(|rest| rest.split(['/', '?', '#']).next())
        .filter(|authority| !authority.is_empty())
        .ok_or(Refusal::NotAUrl("it must begin with https:// or http:// and a host"))?;
    if authority.contains('@') {
        return Err(Refusal::UserInfo);
    }
    Url::parse(text).map_err(|error| {
        Refusal::NotAUrl(match error {
            url::ParseError::InvalidPort => "its port must be a number up to 65535",
            url::ParseError::InvalidIpv4Address => "its host ends in a number but is no IPv4 address",
            url::ParseError::InvalidIpv6Address => "its host is in brackets but is no IPv6 address",
            url::ParseError::IdnaError => "its host is no internationalised domain name",
            _ => "its host cannot be read",
        })
    })
}
