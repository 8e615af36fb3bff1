//! Which addresses are our own because we listen on them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The addresses that a public listener there answers on, beside loopback.
///
/// An unspecified address (`0.0.0.0`, `[::]`) means all of the machine's; of these, the ones from which it reaches the outside are
/// found. Loopback is none: it is closed to webhooks unless `dev` opens it, and then it is for the receivers that live there.
pub(super) fn addresses(listen: SocketAddr) -> Vec<IpAddr> {
    answering(listen.ip(), outward)
}

fn answering(listen: IpAddr, outward: impl Fn(IpAddr) -> Option<IpAddr>) -> Vec<IpAddr> {
    let candidates = match listen {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => vec![outward(IpAddr::V4(DOCUMENTATION_V4))],
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
            vec![outward(IpAddr::V4(DOCUMENTATION_V4)), outward(IpAddr::V6(DOCUMENTATION_V6))]
        }
        address => vec![Some(address)],
    };
    candidates.into_iter().flatten().filter(|address| !address.is_loopback()).collect()
}

/// Addresses that are nobody's (RFC 5737, RFC 3849): routed like any outside one, and never sent to.
const DOCUMENTATION_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const DOCUMENTATION_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// The address from which this machine would reach `there`. Connecting a datagram socket asks the routing table and sends nothing.
fn outward(there: IpAddr) -> Option<IpAddr> {
    let any = match there {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((there, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(listen: &str) -> Vec<String> {
        let routes = |there: IpAddr| {
            Some(if there.is_ipv4() { "203.0.113.7" } else { "2001:db8::7" }.parse().unwrap())
        };
        answering(listen.parse().unwrap(), routes).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_listened_on_is_our_own_and_an_unspecified_address_stands_for_those_that_lead_outside() {
        assert_eq!(own("10.1.2.3"), ["10.1.2.3"]);
        assert_eq!(own("0.0.0.0"), ["203.0.113.7"]);
        assert_eq!(own("::"), ["203.0.113.7", "2001:db8::7"]);
        assert!(answering("0.0.0.0".parse().unwrap(), |_| None).is_empty());
    }

    #[test]
    fn loopback_belongs_to_the_receivers_of_development() {
        assert!(own("127.0.0.1").is_empty() && own("::1").is_empty());
        assert!(outward("127.0.0.1".parse().unwrap()).is_some_and(|address| address.is_loopback()));
    }
}
