//! Which ports may be dialled: none that belongs to another protocol.

use crate::{Policy, Refusal};

/// The bad ports of the Fetch standard (section "Port blocking"), in order.
const BAD_PORTS: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103,
    104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514,
    515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723,
    2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// Judges a port by the Fetch standard, then by the policy.
pub(crate) fn decide_port(port: u16, policy: &Policy) -> Result<(), Refusal> {
    if BAD_PORTS.contains(&port) {
        return Err(Refusal::BadPort(port));
    }
    if !policy.ports.is_empty() && !policy.ports.contains(&port) {
        return Err(Refusal::PortNotAllowed(port));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{BAD_PORTS, decide_port};
    use crate::{Policy, Refusal};

    #[test]
    fn bad_ports_are_listed_in_order_and_refused_under_any_policy() {
        assert!(BAD_PORTS.is_sorted());
        let policy = Policy { ports: BAD_PORTS.to_vec(), ..Policy::development() };
        for port in BAD_PORTS {
            assert_eq!(decide_port(port, &policy), Err(Refusal::BadPort(port)));
        }
    }

    #[test]
    fn every_other_port_is_open_unless_the_policy_lists_ports() {
        let open = (0..=u16::MAX).filter(|port| decide_port(*port, &Policy::default()).is_ok()).count();
        assert_eq!(open, 65_536 - BAD_PORTS.len());
        let listed = Policy { ports: vec![443, 8443], ..Policy::default() };
        assert_eq!(decide_port(8443, &listed), Ok(()));
        assert_eq!(decide_port(444, &listed), Err(Refusal::PortNotAllowed(444)));
    }
}
