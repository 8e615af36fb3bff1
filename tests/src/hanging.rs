//! A server that takes connections and never says a word.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// The server; it listens until dropped.
#[derive(Debug)]
pub struct Hanging {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Hanging {
    /// Starts listening on a free port of loopback.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of loopback should be free");
        let address = listener.local_addr().expect("a listener should have an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&connections)));
        Self { address, connections, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it took.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, connections: Arc<AtomicUsize>) {
    let mut held = JoinSet::new();
    while let Ok((mut connection, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::Relaxed);
        held.spawn(async move {
            let mut ignored = [0; 4_096];
            while connection.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
        });
    }
}
