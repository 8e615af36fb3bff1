//! Free ports of loopback that stay free between two lives of a process.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use sluice_runtime::Entropy;

/// Below what systems give to clients' sockets, so that none of those takes the port while its process is down.
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

/// An address that nobody listens on and that this process has not given out before.
pub fn free_address() -> SocketAddr {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| {
        // Suites that run at the same time begin in different places.
        let start = Entropy::system().u64() % u64::from(COUNT);
        AtomicU16::new(u16::try_from(start).expect("it is below the count"))
    });
    for _ in 0..COUNT {
        let port = FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port of loopback is free");
}
