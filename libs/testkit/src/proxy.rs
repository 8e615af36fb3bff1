//! A TCP proxy on loopback that can be cut: what is behind it seems to be away, for those that come through it.

use std::fmt;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The proxy; it listens until dropped.
pub struct FaultProxy {
    address: SocketAddr,
    open: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts listening on a free port of 127.0.0.1, for a server at `behind` (`host:port`).
    pub async fn start(behind: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of loopback should be free");
        let address = listener.local_addr().expect("a listener should have an address");
        let open = watch::Sender::new(true);
        let accepting = tokio::spawn(accept(listener, behind.to_owned(), open.subscribe()));
        Self { address, open, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection, and each new one at once, until [`FaultProxy::mend`].
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets new connections through again.
    pub fn mend(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultProxy").field(&self.address).finish()
    }
}

async fn accept(listener: TcpListener, behind: String, open: watch::Receiver<bool>) {
    // Ends the connections together with this task.
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        connections.spawn(carry(near, behind.clone(), open.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Carries bytes both ways until an end hangs up or the proxy is cut.
async fn carry(mut near: TcpStream, behind: String, mut open: watch::Receiver<bool>) {
    let carried = async {
        let mut far = TcpStream::connect(&behind).await?;
        tokio::io::copy_bidirectional(&mut near, &mut far).await
    };
    tokio::select! {
        biased;
        _cut = open.wait_for(|open| !open) => {}
        _ended = carried => {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::Receiver;

    async fn asks(address: SocketAddr) -> String {
        let mut answer = String::new();
        let Ok(mut stream) = TcpStream::connect(address).await else { return answer };
        let asked = stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        if asked.is_ok() {
            let _cut = stream.read_to_string(&mut answer).await;
        }
        answer
    }

    #[tokio::test]
    async fn what_is_behind_is_away_while_it_is_cut() {
        let receiver = Receiver::start().await;
        let proxy = FaultProxy::start(&receiver.address().to_string()).await;
        assert!(asks(proxy.address()).await.starts_with("HTTP/1.1 200"));
        let mut standing = TcpStream::connect(proxy.address()).await.unwrap();
        proxy.cut();
        assert_eq!(asks(proxy.address()).await, "");
        assert!(matches!(standing.read(&mut [0]).await, Ok(0) | Err(_)), "connections that stood are cut");
        proxy.mend();
        assert!(asks(proxy.address()).await.starts_with("HTTP/1.1 200"));
    }
}
