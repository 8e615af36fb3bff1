//! A listener over TLS: connections that have shaken hands. Who is slow keeps nobody else waiting, who fails is gone.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use sluice_runtime::Current;
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::TcpIncoming;

use super::limits::Limits;
use crate::tls::ServerTls;

/// Handshakes of one listener.
struct Handshakes {
    server: &'static str,
    incoming: TcpIncoming,
    tls: Current<ServerTls>,
    /// How long one may take.
    within: Duration,
    /// How many may be under way.
    most: usize,
    under_way: JoinSet<Option<TlsStream<TcpStream>>>,
    oldest_first: VecDeque<AbortHandle>,
}

/// The connections of a listener whose other side has shown what `tls` asks for, as it stands when they come in.
pub(super) fn handshakes(
    server: &'static str,
    incoming: TcpIncoming,
    tls: Current<ServerTls>,
    limits: &Limits,
) -> impl Stream<Item = io::Result<TlsStream<TcpStream>>> + Send + use<> {
    let handshakes = Handshakes {
        server,
        incoming,
        tls,
        within: limits.handshake,
        most: limits.max_handshakes,
        under_way: JoinSet::new(),
        oldest_first: VecDeque::new(),
    };
    stream::unfold(handshakes, |mut handshakes| async move {
        let next = handshakes.next().await?;
        Some((next, handshakes))
    })
}

impl Handshakes {
    async fn next(&mut self) -> Option<io::Result<TlsStream<TcpStream>>> {
        loop {
            tokio::select! {
                biased;
                Some(ended) = self.under_way.join_next() => {
                    if let Ok(Some(connection)) = ended {
                        return Some(Ok(connection));
                    }
                }
                accepted = self.incoming.next() => match accepted? {
                    Ok(stream) => self.begin(stream),
                    Err(error) => return Some(Err(error)),
                },
            }
        }
    }

    /// Shakes hands beside all the others. When there are too many the oldest is given up: whoever means it is done within
    /// milliseconds, and whoever holds places only must not keep them.
    fn begin(&mut self, stream: TcpStream) {
        if self.oldest_first.len() >= self.most {
            self.oldest_first.retain(|handshake| !handshake.is_finished());
        }
        if self.oldest_first.len() >= self.most
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            tracing::debug!(
                server = self.server,
                "too many TLS handshakes are under way; the oldest is given up"
            );
            oldest.abort();
        }
        let handshake = shaken(self.server, self.tls.get(), stream, self.within);
        self.oldest_first.push_back(self.under_way.spawn(handshake));
    }
}

/// One handshake; `None` when nothing came of it.
async fn shaken(
    server: &'static str,
    tls: Arc<ServerTls>,
    stream: TcpStream,
    within: Duration,
) -> Option<TlsStream<TcpStream>> {
    let peer = stream.peer_addr().ok()?;
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
    let failed = match tokio::time::timeout(within, acceptor.accept(stream)).await {
        Ok(Ok(connection)) => return Some(connection),
        Ok(Err(error)) => error,
        Err(_) => io::Error::from(io::ErrorKind::TimedOut),
    };
    // At the door to everybody strangers try all day long; at that for our own it is news. Probes open a connection and leave.
    let left = matches!(failed.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset);
    if tls.mutual && !left {
        tracing::warn!(server, peer.address = %peer, error = %failed, "a TLS handshake failed");
    } else {
        tracing::debug!(server, peer.address = %peer, error = %failed, "a TLS handshake failed");
    }
    None
}
