//! A policy as a deployment's settings have it.

use std::net::IpAddr;

use serde::Deserialize;

use crate::{Policy, PolicyError};

/// `egress.…`: where requests may go. The default is the strictest: public addresses, https.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `egress.allow`: networks or addresses that may be sent to although they are not public, `["10.0.0.0/8"]`.
    pub allow: Vec<String>,
    /// `egress.allow_http`: whether `http` URLs are taken beside `https`.
    pub allow_http: bool,
    /// `egress.ports`: when not empty, the only ports.
    pub ports: Vec<u16>,
    /// `egress.own_addresses`: the deployment's own addresses, never a target.
    pub own_addresses: Vec<IpAddr>,
    /// `egress.own_hosts`: the deployment's own host names, never a target.
    pub own_hosts: Vec<String>,
    /// `egress.cluster_suffixes`: domains of the cluster's own name service, in place of the usual ones.
    pub cluster_suffixes: Option<Vec<String>>,
}

impl Settings {
    /// The policy that these say.
    ///
    /// # Errors
    /// When an entry of `egress.allow` is no network.
    pub fn policy(&self) -> Result<Policy, PolicyError> {
        let usual = Policy::default();
        let allow = self.allow.iter().map(|text| Policy::parse_network(text));
        Ok(Policy {
            allow: allow.collect::<Result<_, _>>()?,
            allow_http: self.allow_http,
            ports: self.ports.clone(),
            own_addresses: self.own_addresses.clone(),
            own_hosts: self.own_hosts.clone(),
            cluster_suffixes: self.cluster_suffixes.clone().unwrap_or(usual.cluster_suffixes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_settings_are_the_strictest_policy_and_a_wrong_network_is_named() {
        assert_eq!(Settings::default().policy().unwrap(), Policy::default());
        let wrong = Settings { allow: vec!["10.0.0.0/33".into()], ..Settings::default() };
        assert!(wrong.policy().unwrap_err().to_string().contains("10.0.0.0/33"));
    }
}
