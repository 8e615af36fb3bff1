//! Which names may be looked up: public ones, by their form and their last labels.

use crate::{NameRule, Policy, Refusal};

/// Most bytes of a name in the DNS, its last dot not counted (RFC 1035).
const MAX_NAME: usize = 253;
/// Most bytes of a label (RFC 1035).
const MAX_LABEL: usize = 63;

/// Domains that never resolve publicly; a name equal to one or below one is refused.
///
/// IANA's special-use registry without `example.com`, `.net` and `.org`, which are ordinary names; the reverse
/// trees, which name addresses; and last labels that ICANN will not delegate or that RFC 6762 (appendix G) lists
/// as private by custom.
const SPECIAL_USE: [&str; 23] = [
    "localhost",
    "test",
    "invalid",
    "example",
    "local",
    "onion",
    "alt",
    "internal",
    "home.arpa",
    "in-addr.arpa",
    "ip6.arpa",
    "ipv4only.arpa",
    "resolver.arpa",
    "service.arpa",
    "eap.arpa",
    "localdomain",
    "lan",
    "home",
    "corp",
    "mail",
    "intranet",
    "private",
    "localdomain6",
];

/// Names by which clouds serve instance metadata; below them nothing else lives.
const METADATA: [&str; 12] = [
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "metadata.azure.com",
    "instance-data.ec2.internal",
    "metadata.tencentyun.com",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "metadata.oraclecloud.com",
    "metadata.oraclecloud.internal",
    "metadata.cloud.ibm.com",
    "rancher-metadata.rancher.internal",
];

/// What kind of name passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameKind {
    /// To be looked up; its addresses decide.
    Ordinary,
    /// `localhost` or below it, under a policy that allows loopback: never looked up (RFC 6761).
    Loopback,
}

/// Judges a host name before any look-up. `host` is as the URL parser gives it: mapped by IDNA, in ASCII, lower
/// case; a dot at its end makes no difference.
pub(crate) fn decide_name(host: &str, policy: &Policy) -> Result<NameKind, Refusal> {
    let name = without_root(host);
    let refused = |rule| Err(Refusal::Name { name: name.to_owned(), rule });
    if !is_well_formed(name) {
        return refused(NameRule::Malformed);
    }
    if policy.own_hosts.iter().any(|own| without_root(own).eq_ignore_ascii_case(name)) {
        return refused(NameRule::Own);
    }
    if is_within(name, "localhost") && !policy.loopback().is_empty() {
        return Ok(NameKind::Loopback);
    }
    if METADATA.iter().any(|domain| is_within(name, domain)) {
        return refused(NameRule::Metadata);
    }
    if SPECIAL_USE.contains(&name) {
        return refused(NameRule::SpecialUse);
    }
    if !name.contains('.') {
        return refused(NameRule::SingleLabel);
    }
    if policy.cluster_suffixes.iter().any(|domain| is_within(name, &domain.to_ascii_lowercase())) {
        return refused(NameRule::Cluster);
    }
    if SPECIAL_USE.iter().any(|domain| is_within(name, domain)) {
        return refused(NameRule::SpecialUse);
    }
    Ok(NameKind::Ordinary)
}

/// A name without the dot that stands for the root.
pub(crate) fn without_root(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

fn is_within(name: &str, domain: &str) -> bool {
    let domain = domain.trim_matches('.');
    !domain.is_empty()
        && name.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn is_well_formed(name: &str) -> bool {
    let host_character = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    name.len() <= MAX_NAME
        && name
            .split('.')
            .all(|label| (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(host_character))
}

#[cfg(test)]
mod tests {
    use super::{METADATA, NameKind, SPECIAL_USE, decide_name};
    use crate::{NameRule, Policy, Refusal};

    fn rule(name: &str, policy: &Policy) -> Option<NameRule> {
        match decide_name(name, policy) {
            Ok(_) => None,
            Err(Refusal::Name { rule, .. }) => Some(rule),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn listed_domains_are_refused_with_all_below_but_not_their_look_alikes() {
        let strict = Policy::default();
        for domain in SPECIAL_USE.iter().chain(&METADATA) {
            for name in
                [(*domain).to_owned(), format!("{domain}."), format!("a.{domain}"), format!("a.b.{domain}.")]
            {
                assert!(decide_name(&name, &strict).is_err(), "{name}");
            }
            for name in [format!("{domain}.example.com"), format!("{domain}.co"), format!("x{domain}x.dev")] {
                assert_eq!(decide_name(&name, &strict), Ok(NameKind::Ordinary), "{name}");
            }
        }
        assert_eq!(rule("myhome.arpa", &strict), None);
        assert_eq!(rule("notmetadata.goog", &strict), None);
    }

    #[test]
    fn single_labels_and_cluster_names_are_refused() {
        let strict = Policy::default();
        assert_eq!(rule("intranet-host", &strict), Some(NameRule::SingleLabel));
        assert_eq!(rule("com.", &strict), Some(NameRule::SingleLabel));
        assert_eq!(rule("api.default.svc", &strict), Some(NameRule::Cluster));
        assert_eq!(rule("kubernetes.default", &strict), Some(NameRule::Cluster));
        assert_eq!(rule("api.default.svc.cluster.local", &strict), Some(NameRule::Cluster));
        assert_eq!(rule("svc.example.com", &strict), None);
        let own = Policy { cluster_suffixes: vec![".K8S.example.net".to_owned()], ..Policy::default() };
        assert_eq!(rule("api.k8s.example.net", &own), Some(NameRule::Cluster));
        assert_eq!(rule("k8s-example.net", &own), None);
    }

    #[test]
    fn names_the_dns_cannot_hold_are_malformed() {
        let strict = Policy::default();
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(longest.len(), 253);
        assert_eq!(rule(&longest, &strict), None);
        assert_eq!(rule(&format!("{label}.example.com"), &strict), None);
        for name in [
            "",
            ".",
            "..",
            "a..example.com",
            ".example.com",
            "example.com..",
            "*.example.com",
            "a!b.example.com",
            &format!("a{label}.example.com"),
            &format!("{longest}a"),
        ] {
            assert_eq!(rule(name, &strict), Some(NameRule::Malformed), "{name}");
        }
    }

    #[test]
    fn localhost_passes_only_where_loopback_is_allowed() {
        for name in ["localhost", "localhost.", "api.localhost"] {
            assert_eq!(rule(name, &Policy::default()), Some(NameRule::SpecialUse), "{name}");
            assert_eq!(decide_name(name, &Policy::development()), Ok(NameKind::Loopback), "{name}");
        }
        assert_eq!(rule("localhost.localdomain", &Policy::development()), Some(NameRule::SpecialUse));
    }

    #[test]
    fn own_hosts_are_refused_exactly() {
        let policy = Policy { own_hosts: vec!["Sluice.example.com.".to_owned()], ..Policy::default() };
        assert_eq!(rule("sluice.example.com", &policy), Some(NameRule::Own));
        assert_eq!(rule("sluice.example.com.", &policy), Some(NameRule::Own));
        assert_eq!(rule("eu.sluice.example.com", &policy), None);
    }
}
