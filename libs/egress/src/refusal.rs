//! Why a target may not be called: all of it for operators, one reason for tenants.

use std::net::IpAddr;

use ipnet::IpNet;

/// Why a target may not be called, for operators.
///
/// [`Refusal::reason`] is stable and machine-readable. The text may name addresses and blocks, so a tenant
/// sees it only when [`Refusal::concerns_text`]; otherwise it sees [`Refusal::TENANT_REASON`] and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The text does not parse as an absolute URL with a host.
    #[error("not an absolute URL with a host: {0}")]
    NotAUrl(&'static str),
    /// The text, or what it is written as after parsing, is over 2,048 bytes.
    #[error("longer than 2,048 bytes")]
    TooLong,
    /// The text has a character that parsers drop or rewrite.
    #[error("white space, control characters and backslashes are not allowed in a URL")]
    Character,
    /// The scheme is neither `https` nor `http`.
    #[error("the scheme must be https or http")]
    Scheme,
    /// The scheme is `http` and the policy wants `https`.
    #[error("the scheme must be https")]
    HttpNotAllowed,
    /// There is a user name or a password.
    #[error("user information is not allowed in a URL")]
    UserInfo,
    /// There is a fragment.
    #[error("a fragment is not allowed in a URL")]
    Fragment,
    /// The port belongs to another protocol.
    #[error("port {0} is a bad port of the Fetch standard")]
    BadPort(u16),
    /// The policy lists ports, and this is none of them.
    #[error("port {0} is not among the allowed ports")]
    PortNotAllowed(u16),
    /// The name can only be local, or is no name at all.
    #[error("the name {name:?} {rule}")]
    Name {
        /// The name as the parser normalised it.
        name: String,
        /// Which rule it falls under.
        rule: NameRule,
    },
    /// The address is not public.
    #[error("the address {address} is not public: {block} ({network})")]
    Address {
        /// The forbidden address; for NAT64 the IPv4 address inside.
        address: IpAddr,
        /// What the block is for.
        block: &'static str,
        /// The block.
        network: IpNet,
    },
    /// The address is one of the deployment's own.
    #[error("the address {0} is one of this deployment's own")]
    OwnAddress(IpAddr),
}

/// Which rule forbids a name before any look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameRule {
    /// Empty or over-long labels, or characters that no host name has.
    #[error("is no valid host name")]
    Malformed,
    /// One label only: the machine's search list would complete it.
    #[error("has a single label, such names are local")]
    SingleLabel,
    /// Reserved so that it never resolves publicly, or local by general custom.
    #[error("is special-use or local by custom and never resolves publicly")]
    SpecialUse,
    /// A name of the cluster's own name service.
    #[error("belongs to the cluster's own name service")]
    Cluster,
    /// A cloud's instance metadata service.
    #[error("is a cloud's metadata service")]
    Metadata,
    /// The deployment's own host.
    #[error("is one of this deployment's own hosts")]
    Own,
}

impl Refusal {
    /// The one reason a tenant learns about a target that may not be called.
    pub const TENANT_REASON: &'static str = "TARGET_FORBIDDEN";

    /// The stable, machine-readable reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotAUrl(_) => "not-a-url",
            Self::TooLong => "too-long",
            Self::Character => "forbidden-character",
            Self::Scheme => "scheme",
            Self::HttpNotAllowed => "http-not-allowed",
            Self::UserInfo => "user-info",
            Self::Fragment => "fragment",
            Self::BadPort(_) => "bad-port",
            Self::PortNotAllowed(_) => "port-not-allowed",
            Self::Name { rule, .. } => match rule {
                NameRule::Malformed => "malformed-name",
                NameRule::SingleLabel => "single-label-name",
                NameRule::SpecialUse => "special-use-name",
                NameRule::Cluster => "cluster-name",
                NameRule::Metadata => "metadata-name",
                NameRule::Own => "own-host",
            },
            Self::Address { .. } => "forbidden-address",
            Self::OwnAddress(_) => "own-address",
        }
    }

    /// Whether the fault is in the URL's text alone, so that its owner may read it in full.
    pub fn concerns_text(&self) -> bool {
        match self {
            Self::NotAUrl(_)
            | Self::TooLong
            | Self::Character
            | Self::Scheme
            | Self::HttpNotAllowed
            | Self::UserInfo
            | Self::Fragment
            | Self::BadPort(_) => true,
            Self::PortNotAllowed(_) | Self::Name { .. } | Self::Address { .. } | Self::OwnAddress(_) => false,
        }
    }

    /// How an operator allows such targets on purpose, when the policy can: a line of configuration.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::HttpNotAllowed => Some("egress.allow_http = true".to_owned()),
            Self::Address { network, .. } => Some(format!("egress.allow = [\"{network}\"]")),
            Self::Name { name, rule: NameRule::SingleLabel | NameRule::SpecialUse }
                if name == "localhost" || name.ends_with(".localhost") =>
            {
                Some("egress.allow = [\"127.0.0.0/8\", \"::1/128\"]".to_owned())
            }
            _ => None,
        }
    }
}
