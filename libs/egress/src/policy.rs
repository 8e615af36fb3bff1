//! What a deployment lets out: the strictest by default, each exception by name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// What a deployment lets out to receivers; the default is the strictest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Named networks whose addresses may be dialled although they are not public (`egress.allow`).
    ///
    /// An address is let through as it is written: `127.0.0.0/8` does not open `::ffff:127.0.0.1`.
    /// When a loopback address is among them, `localhost` names the loopback addresses that are.
    pub allow: Vec<IpNet>,
    /// Whether `http` URLs are allowed beside `https`.
    pub allow_http: bool,
    /// When not empty, the only ports that may be dialled. The Fetch standard's bad ports never may.
    pub ports: Vec<u16>,
    /// The deployment's own addresses, refused even inside an allowed network.
    pub own_addresses: Vec<IpAddr>,
    /// The deployment's own host names, refused exactly (not their subdomains).
    pub own_hosts: Vec<String>,
    /// Domains of the cluster's own name service; a name equal to one or below one is refused.
    pub cluster_suffixes: Vec<String>,
}

/// Kubernetes' service and pod names with and without the cluster's domain, and Consul's domain.
const CLUSTER_SUFFIXES: [&str; 6] = ["svc", "pod", "cluster.local", "default", "kube-system", "consul"];

impl Default for Policy {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            allow_http: false,
            ports: Vec::new(),
            own_addresses: Vec::new(),
            own_hosts: Vec::new(),
            cluster_suffixes: CLUSTER_SUFFIXES.map(str::to_owned).to_vec(),
        }
    }
}

impl Policy {
    /// The policy of `sluice up --dev`, `sluice demo` and tests: loopback of both families, and http.
    pub fn development() -> Self {
        let loopback = [(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8), (IpAddr::V6(Ipv6Addr::LOCALHOST), 128)];
        Self {
            allow: loopback
                .into_iter()
                .filter_map(|(address, bits)| IpNet::new(address, bits).ok())
                .collect(),
            allow_http: true,
            ..Self::default()
        }
    }

    /// Reads one entry of `egress.allow`: a network (`10.0.0.0/8`) or a single address (`10.0.0.7`).
    ///
    /// # Errors
    /// [`PolicyError::Network`] for anything else, host bits below the prefix included.
    pub fn parse_network(text: &str) -> Result<IpNet, PolicyError> {
        let wrong = || PolicyError::Network { text: text.to_owned() };
        let network: IpNet = match text.parse::<IpAddr>() {
            Ok(address) => address.into(),
            Err(_) => text.parse().map_err(|_| wrong())?,
        };
        if network.trunc() == network { Ok(network) } else { Err(wrong()) }
    }

    pub(crate) fn allows_by_name(&self, address: IpAddr) -> bool {
        self.allow.iter().any(|network| network.contains(&address))
    }

    /// The loopback addresses this policy lets out, IPv4 first: what `localhost` means here.
    pub(crate) fn loopback(&self) -> Vec<IpAddr> {
        [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
            .into_iter()
            .filter(|address| self.allows_by_name(*address))
            .collect()
    }
}

/// Why a configured policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// An entry of `egress.allow` is no network.
    #[error(
        "egress.allow: {text:?} must be a network such as 10.0.0.0/8 (no bits below the prefix) or an address"
    )]
    Network {
        /// The entry as it was written.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::Policy;

    #[test]
    fn networks_and_single_addresses_are_read() {
        for (text, written) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.7", "10.0.0.7/32"),
            ("fd00::/8", "fd00::/8"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(Policy::parse_network(text).unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_no_network_is_refused_by_name() {
        for text in ["", "10.0.0.1/8", "10.0.0.0/33", "localhost", "10.0/8", "fd00::1/8"] {
            let error = Policy::parse_network(text).unwrap_err();
            assert!(error.to_string().starts_with("egress.allow: "), "{text}");
        }
    }

    #[test]
    fn localhost_means_the_loopback_addresses_that_are_allowed() {
        assert_eq!(Policy::default().loopback().len(), 0);
        assert_eq!(Policy::development().loopback().len(), 2);
        let only_v4 =
            Policy { allow: vec![Policy::parse_network("127.0.0.0/8").unwrap()], ..Policy::default() };
        assert_eq!(only_v4.loopback(), ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    }
}
