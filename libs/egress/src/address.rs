//! Which IP addresses may be dialled: global unicast, and what the policy names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{Policy, Refusal};

/// Judges one address: only global unicast may be dialled, and what the policy allows by name.
///
/// Own addresses are refused first, then named networks allowed, then the special blocks refused. An IPv4
/// address inside the NAT64 prefix `64:ff9b::/96` is judged in its place. Other IPv6 forms that carry an IPv4
/// address (mapped, compatible, translated, 6to4, Teredo, ISATAP) are refused whatever they carry.
///
/// # Errors
/// [`Refusal::OwnAddress`] or [`Refusal::Address`].
pub fn decide_address(address: IpAddr, policy: &Policy) -> Result<(), Refusal> {
    if policy.own_addresses.contains(&address) {
        return Err(Refusal::OwnAddress(address));
    }
    if policy.allows_by_name(address) {
        return Ok(());
    }
    match address {
        IpAddr::V4(v4) => decide_v4(v4),
        IpAddr::V6(v6) => match inside_nat64(v6) {
            Some(v4) if policy.own_addresses.contains(&v4.into()) => Err(Refusal::OwnAddress(v4.into())),
            Some(v4) => decide_v4(v4),
            None => decide_v6(v6),
        },
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8, block: &'static str) -> (Ipv4Net, &'static str) {
    (Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits), block)
}

const fn v6(segments: [u16; 8], bits: u8, block: &'static str) -> (Ipv6Net, &'static str) {
    let [a, b, c, d, e, f, g, h] = segments;
    (Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), bits), block)
}

/// The IANA IPv4 special-purpose registry (RFC 6890), multicast, and platform addresses of clouds that lie in
/// public space but answer only their own machines. The narrower block comes first.
static SPECIAL_V4: [(Ipv4Net, &str); 21] = [
    v4(0, 0, 0, 0, 8, "this network (RFC 791)"),
    v4(10, 0, 0, 0, 8, "private (RFC 1918)"),
    v4(100, 64, 0, 0, 10, "shared, carrier-grade NAT (RFC 6598)"),
    v4(127, 0, 0, 0, 8, "loopback (RFC 1122)"),
    v4(168, 63, 129, 16, 32, "cloud platform (Azure)"),
    v4(169, 254, 0, 0, 16, "link-local, cloud metadata (RFC 3927)"),
    v4(172, 16, 0, 0, 12, "private (RFC 1918)"),
    v4(192, 0, 0, 0, 24, "IETF protocol assignments (RFC 6890)"),
    v4(192, 0, 2, 0, 24, "documentation (RFC 5737)"),
    v4(192, 31, 196, 0, 24, "AS112 (RFC 7535)"),
    v4(192, 52, 193, 0, 24, "automatic multicast tunnelling (RFC 7450)"),
    v4(192, 80, 8, 124, 32, "cloud metadata (Equinix)"),
    v4(192, 88, 99, 0, 24, "6to4 relay (RFC 7526)"),
    v4(192, 168, 0, 0, 16, "private (RFC 1918)"),
    v4(192, 175, 48, 0, 24, "AS112 (RFC 7534)"),
    v4(198, 18, 0, 0, 15, "benchmarking (RFC 2544)"),
    v4(198, 51, 100, 0, 24, "documentation (RFC 5737)"),
    v4(203, 0, 113, 0, 24, "documentation (RFC 5737)"),
    v4(224, 0, 0, 0, 4, "multicast (RFC 5771)"),
    v4(255, 255, 255, 255, 32, "limited broadcast (RFC 919)"),
    v4(240, 0, 0, 0, 4, "reserved (RFC 1112)"),
];

/// The IANA IPv6 special-purpose registry, and the blocks outside global unicast that have a name. The narrower
/// block comes first.
static SPECIAL_V6: [(Ipv6Net, &str); 25] = [
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified (RFC 4291)"),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback (RFC 4291)"),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 96, "IPv4-compatible (RFC 4291)"),
    v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, "IPv4-mapped (RFC 4291)"),
    v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, "IPv4-translated (RFC 2765)"),
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "local IPv4/IPv6 translation (RFC 8215)"),
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "discard only (RFC 6666)"),
    v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64, "dummy prefix (RFC 9780)"),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "Teredo (RFC 4380)"),
    v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, "benchmarking (RFC 5180)"),
    v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28, "ORCHID (RFC 4843)"),
    v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, "ORCHIDv2 (RFC 7343)"),
    v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28, "drone remote identification (RFC 9374)"),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "IETF protocol assignments (RFC 2928)"),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "documentation (RFC 3849)"),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "6to4 (RFC 3056)"),
    v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, "AS112 (RFC 7534)"),
    v6([0x3ffe, 0, 0, 0, 0, 0, 0, 0], 16, "6bone, returned (RFC 3701)"),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "documentation (RFC 9637)"),
    v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, "segment routing identifiers (RFC 9602)"),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "unique local (RFC 4193)"),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local (RFC 4291)"),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "site-local (RFC 3879)"),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast (RFC 4291)"),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 8, "reserved (RFC 4291)"),
];

/// All that IANA has made global unicast in IPv6.
const GLOBAL_UNICAST: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// The well-known NAT64 prefix (RFC 6052).
const NAT64: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

fn decide_v4(address: Ipv4Addr) -> Result<(), Refusal> {
    match SPECIAL_V4.iter().find(|(network, _)| network.contains(&address)) {
        None => Ok(()),
        Some((network, block)) => {
            Err(Refusal::Address { address: address.into(), block, network: IpNet::V4(*network) })
        }
    }
}

fn decide_v6(address: Ipv6Addr) -> Result<(), Refusal> {
    let refused = |block, network| {
        Err(Refusal::Address { address: address.into(), block, network: IpNet::V6(network) })
    };
    if let Some((network, block)) = SPECIAL_V6.iter().find(|(network, _)| network.contains(&address)) {
        return refused(block, *network);
    }
    if !GLOBAL_UNICAST.contains(&address) {
        return refused("outside global unicast (RFC 4291)", address.into());
    }
    if is_isatap(address) {
        return refused("ISATAP (RFC 5214)", address.into());
    }
    Ok(())
}

fn inside_nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = address.octets();
    NAT64.contains(&address).then(|| Ipv4Addr::new(a, b, c, d))
}

/// Whether the interface identifier is `[00|02]00:5efe` and an IPv4 address, whatever its two flag bits.
fn is_isatap(address: Ipv6Addr) -> bool {
    let [_, _, _, _, flags, fixed, _, _] = address.segments();
    flags & 0xfcff == 0 && fixed == 0x5efe
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use ipnet::IpNet;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{SPECIAL_V4, SPECIAL_V6, decide_address, decide_v4};
    use crate::{Policy, Refusal};

    fn allowed(text: &str, policy: &Policy) -> bool {
        decide_address(text.parse().unwrap(), policy).is_ok()
    }

    #[test]
    fn no_block_is_hidden_behind_a_wider_one() {
        for (index, (network, block)) in SPECIAL_V4.iter().enumerate() {
            assert!(SPECIAL_V4.iter().take(index).all(|(earlier, _)| !earlier.contains(network)), "{block}");
        }
        for (index, (network, block)) in SPECIAL_V6.iter().enumerate() {
            assert!(SPECIAL_V6.iter().take(index).all(|(earlier, _)| !earlier.contains(network)), "{block}");
        }
    }

    #[test]
    fn both_ends_of_every_block_are_refused_and_named_so() {
        let strict = Policy::default();
        let v4 = SPECIAL_V4.iter().map(|(network, _)| IpNet::V4(*network));
        let v6 = SPECIAL_V6.iter().map(|(network, _)| IpNet::V6(*network));
        for network in v4.chain(v6) {
            for address in [network.network(), network.broadcast()] {
                let refused = decide_address(address, &strict);
                assert!(matches!(refused, Err(Refusal::Address { .. })), "{address} of {network}");
            }
        }
    }

    #[test]
    fn a_named_network_is_let_through_as_written_only() {
        let policy = Policy {
            allow: ["127.0.0.0/8", "fd00::/8"].map(|text| Policy::parse_network(text).unwrap()).to_vec(),
            ..Policy::default()
        };
        for address in ["127.0.0.1", "127.255.255.255", "fd12::1", "8.8.8.8"] {
            assert!(allowed(address, &policy), "{address}");
        }
        for address in ["::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "::1", "10.0.0.1", "fc00::1"] {
            assert!(!allowed(address, &policy), "{address}");
        }
    }

    #[test]
    fn own_addresses_are_refused_inside_allowed_networks_and_nat64() {
        let policy = Policy {
            own_addresses: ["127.0.0.9", "93.184.215.14"].map(|text| text.parse().unwrap()).to_vec(),
            ..Policy::development()
        };
        assert!(allowed("127.0.0.8", &policy));
        for address in ["127.0.0.9", "93.184.215.14", "64:ff9b::5db8:d70e"] {
            let refused = decide_address(address.parse().unwrap(), &policy);
            assert!(matches!(refused, Err(Refusal::OwnAddress(_))), "{address}");
        }
    }

    proptest! {
        #[test]
        fn nat64_is_judged_by_the_address_inside(bits in any::<u32>()) {
            let inside = Ipv4Addr::from_bits(bits);
            let [a, b, c, d] = inside.octets();
            let outside = Ipv6Addr::from([0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]);
            prop_assert_eq!(decide_address(outside.into(), &Policy::default()), decide_v4(inside));
        }

        #[test]
        fn carriers_of_ipv4_are_refused_whatever_they_carry(bits in any::<u32>(), prefix in any::<u64>()) {
            let [a, b, c, d] = bits.to_be_bytes();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let [_, p, q, r] = [48, 32, 16, 0].map(|shift| u16::try_from(prefix >> shift & 0xffff).unwrap());
            for address in [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, p, q, r, 0, 1),
                Ipv6Addr::new(0x2001, 0, p, q, r, 0, high, low),
                Ipv6Addr::new(0x2a00, p, q, r, 0, 0x5efe, high, low),
                Ipv6Addr::new(0x2a00, p, q, r, 0x200, 0x5efe, high, low),
            ] {
                prop_assert!(decide_address(IpAddr::V6(address), &Policy::default()).is_err(), "{}", address);
            }
        }

        #[test]
        fn outside_global_unicast_nothing_is_let_through_but_nat64(bits in any::<u128>()) {
            let address = Ipv6Addr::from_bits(bits);
            let first = address.segments()[0];
            if !(0x2000..0x4000).contains(&first) && first != 0x64 {
                prop_assert!(decide_address(address.into(), &Policy::default()).is_err());
            }
        }
    }
}
