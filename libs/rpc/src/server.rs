//! Some services behind one door, on a listener or in the same process.
//!
//! The public and the internal listener of a process are two servers: other services, another access table.

mod admission;
mod builder;
mod deadline;
mod descriptors;
mod door;
mod handshakes;
mod health;
mod limits;
mod places;
mod watch;

use std::fmt;
use std::io;
use std::sync::Arc;

use futures_util::Stream;
use sluice_auth::{AccessError, Principal};
use sluice_domain::UserId;
use sluice_runtime::Current;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::transport::server::{Connected, TcpIncoming};
use tonic_health::server::HealthReporter;
use tonic_web::GrpcWebLayer;
use tower::layer::layer_fn;
use tower_http::cors::CorsLayer;

use crate::tls::ServerTls;
use crate::transport::Transport;
use admission::Rules;
use handshakes::handshakes;
use health::Pulse;

pub use builder::ServerBuilder;
pub use descriptors::methods_of;
pub(crate) use door::{Door, InProcess};
pub use limits::{Limits, MAX_BATCH_BYTES, MAX_INTERNAL_BYTES, MAX_MESSAGE_BYTES};

/// Why a server could not be put together, or stopped serving.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The access table does not fit the services.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The descriptor set does not decode, or has a file, service or method without a name.
    #[error("the descriptor set is not usable: {0}")]
    Descriptors(String),
    /// A service that the descriptor set does not have.
    #[error("the descriptor set does not have the service {0}")]
    Undescribed(String),
    /// An origin that no browser sends.
    #[error("`{0}` is not an origin such as `https://app.example.com`")]
    Origin(String),
    /// The transport failed.
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Services with their door, ready to serve on a listener, in the same process, or both.
#[derive(Clone)]
pub struct Server {
    name: &'static str,
    routes: Routes,
    rules: Arc<Rules>,
    limits: Limits,
    cors: CorsLayer,
    /// The health service alone.
    probes: Routes,
    health: HealthReporter,
    pulse: Arc<Pulse>,
    services: Vec<&'static str>,
    tls: Option<Current<ServerTls>>,
}

impl Server {
    /// A server to which services are added; the name stands in logs.
    pub fn builder(name: &'static str) -> ServerBuilder {
        ServerBuilder::new(name)
    }

    /// A way to these services without a socket, for one of our own services, which is named.
    ///
    /// It has scopes `internal` and `accounts.any`; no token is needed, since nobody outside the process can have it.
    pub fn in_process(&self, user: UserId) -> Transport {
        let door = Door::new(self.routes.clone(), Arc::clone(&self.rules));
        Transport::in_process(door, Arc::new(Principal::service(user)))
    }

    /// Where a service says whether it is healthy; all are from the start, and none once the server stops.
    pub fn health(&self) -> HealthReporter {
        self.health.clone()
    }

    /// Makes the server speak TLS on its listener, and nothing else. What is replaced counts from the next connection on.
    #[must_use]
    pub fn tls(mut self, tls: impl Into<Current<ServerTls>>) -> Self {
        self.tls = Some(tls.into());
        self
    }

    /// The same server's health and nothing else, in clear: for probes that speak no TLS.
    #[must_use]
    pub fn for_probes(&self) -> Self {
        Self { routes: self.probes.clone(), services: Vec::new(), tls: None, ..self.clone() }
    }

    /// Serves on the listener until `shutdown` is done and the calls under way have ended.
    ///
    /// At `shutdown` no further connection is taken, health says so, and watches end with `UNAVAILABLE`; what then
    /// still runs has `limits.drain` to end.
    ///
    /// # Errors
    /// When the transport fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ServerError> {
        let incoming = TcpIncoming::from(listener)
            .with_nodelay(Some(true))
            .with_keepalive(Some(self.limits.keepalive_interval));
        match self.tls.clone() {
            None => self.serve_incoming(incoming, shutdown).await,
            Some(tls) => {
                let incoming = handshakes(self.name, incoming, tls, &self.limits);
                Box::pin(self.serve_incoming(incoming, shutdown)).await
            }
        }
    }

    /// Serves on these connections.
    async fn serve_incoming<C>(
        self,
        incoming: impl Stream<Item = io::Result<C>> + Send,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ServerError>
    where
        C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let Self { name, routes, rules, limits, cors, pulse, .. } = self;
        let stopping = rules.stopping().clone();
        let stop = stopping.clone();
        let signal = async move {
            shutdown.await;
            pulse.stop().await;
            stop.cancel();
        };
        let serving = tonic::transport::Server::builder()
            .accept_http1(true)
            .http2_max_header_list_size(limits.max_header_bytes)
            .max_concurrent_streams(limits.streams_per_connection)
            .initial_stream_window_size(limits::STREAM_WINDOW)
            .initial_connection_window_size(limits::CONNECTION_WINDOW)
            .http2_keepalive_interval(Some(limits.keepalive_interval))
            .http2_keepalive_timeout(Some(limits.keepalive_timeout))
            .max_connection_age(limits.max_connection_age)
            .layer(cors)
            .layer(GrpcWebLayer::new())
            .layer(layer_fn(move |routes| Door::new(routes, Arc::clone(&rules))))
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming, signal);
        let overdue = async {
            stopping.cancelled().await;
            tokio::time::sleep(limits.drain).await;
        };
        tokio::select! {
            outcome = serving => Ok(outcome?),
            () = overdue => {
                tracing::warn!(server = name, "calls still under way at the end of the drain are cut off");
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.name).field("services", &self.services).finish()
    }
}

#[cfg(test)]
mod tests;
