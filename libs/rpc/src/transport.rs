//! What generated clients are built on: `WebhookServiceClient::new(transport)`.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderValue, Request, Response};
use sluice_auth::Principal;
use sluice_domain::Secret;
use sluice_runtime::Current;
use thiserror::Error;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status, TimeoutExpired};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::{BoxError, Service};

use crate::server::{Door, InProcess};
use crate::tls::{ClientTls, TlsError};
use crate::trace::{self, Peer};

mod dial;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longer than any server of ours takes, so that the server's own answer is the one that is seen.
const CALL_TIMEOUT: Duration = Duration::from_secs(40);

/// Why there is no way to a server.
#[derive(Debug, Error)]
pub enum TransportError {
    /// The address is no URL of a server.
    #[error("`{address}` is not the address of a gRPC server such as `http://localhost:50051`: {reason}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// The token cannot stand in a header.
    #[error("the token has characters that no token has")]
    Token,
    /// The system's authorities can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A token that goes with calls.
#[derive(Clone)]
pub struct BearerToken(HeaderValue);

/// What a transport shows of its owner, and whom it believes. What is replaced counts from the next call (the token) or the next
/// connection (TLS) on.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Goes with every call that has no `authorization` of its own.
    pub token: Option<Current<BearerToken>>,
    /// For `https://`; without it the authorities are believed that the system believes, and no certificate is shown.
    pub tls: Option<Current<ClientTls>>,
}

/// A way to a server, over the network or in the same process; cheap to clone.
///
/// Metadata that the caller sets arrives either way. Each call has a span, whose `traceparent` goes with it: below the one that
/// the caller sets, else below the current one.
#[derive(Clone)]
pub struct Transport(Way);

#[derive(Clone)]
enum Way {
    Remote { channel: Channel, token: Option<Current<BearerToken>>, peer: Peer },
    InProcess { door: Door<Routes>, principal: Arc<Principal> },
}

impl Transport {
    /// A way over the network, which connects with the first call and again whenever the connection is lost: in clear to
    /// `http://…`, over TLS to `https://…`, where the authorities are believed that the system believes. The token
    /// goes with every call that has no `authorization` of its own. Call it from within a Tokio runtime.
    ///
    /// # Errors
    /// When the address or the token cannot be used; a server that does not answer, or is not believed, shows in the calls.
    pub fn connect(address: &str, token: Option<&Secret>) -> Result<Self, TransportError> {
        let token = token.map(BearerToken::new).transpose()?.map(Current::new);
        Self::connect_with(address, Credentials { token, tls: None })
    }

    /// As [`Transport::connect`], with credentials that may be replaced while it is in use.
    ///
    /// # Errors
    /// As [`Transport::connect`]; also when there is TLS in the credentials, and the address is not `https://…`.
    pub fn connect_with(address: &str, credentials: Credentials) -> Result<Self, TransportError> {
        let Credentials { token, tls } = credentials;
        let refused = |reason: String| TransportError::Address { address: address.to_owned(), reason };
        let uri: Uri = address.parse().map_err(|error: http::uri::InvalidUri| refused(error.to_string()))?;
        let Some(host) = uri.host().filter(|host| !host.is_empty()) else {
            return Err(refused("it must have a host".to_owned()));
        };
        let peer = Peer::of(&uri);
        let channel = match uri.scheme_str() {
            Some("http") if tls.is_none() => endpoint(uri).connect_lazy(),
            Some("http") => return Err(refused("it must begin with `https://`".to_owned())),
            Some("https") => {
                let name =
                    dial::name(host).ok_or_else(|| refused("its host is no name of a server".to_owned()))?;
                let tls = tls.map_or_else(|| ClientTls::system().map(Current::new), Ok)?;
                // TLS is ours, so that a renewed certificate counts at the next connection; to tonic it is a plain one.
                let dialled = dial::address(host, uri.port_u16());
                let dialled =
                    dialled.parse().map_err(|error: http::uri::InvalidUri| refused(error.to_string()))?;
                endpoint(dialled).origin(uri).connect_with_connector_lazy(dial::connector(name, tls))
            }
            _ => return Err(refused("it must begin with `https://` or `http://`".to_owned())),
        };
        Ok(Self(Way::Remote { channel, token, peer }))
    }

    /// Whether the server at the other end says that it serves; that it does not answer is no.
    pub async fn serves(&self) -> bool {
        let answer = HealthClient::new(self.clone()).check(HealthCheckRequest::default()).await;
        answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
    }

    pub(crate) fn in_process(door: Door<Routes>, principal: Arc<Principal>) -> Self {
        Self(Way::InProcess { door, principal })
    }
}

fn endpoint(uri: Uri) -> Endpoint {
    Endpoint::from(uri)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
}

/// What a call comes to that did not get through. A connection that broke is `UNAVAILABLE`, as gRPC has it; tonic says `UNKNOWN`,
/// or `CANCELLED` when the call had not left yet.
fn broken(error: tonic::transport::Error) -> Status {
    let (mut overdue, mut root): (bool, &(dyn std::error::Error + 'static)) = (false, &error);
    while let Some(source) = root.source() {
        overdue |= source.is::<TimeoutExpired>();
        root = source;
    }
    let cause = root.to_string();
    let status = Status::from_error(error.into());
    match status.code() {
        Code::Unknown | Code::Cancelled if !overdue => {
            Status::unavailable(format!("the connection broke: {cause}"))
        }
        _ => status,
    }
}

impl BearerToken {
    /// A token as it is minted.
    ///
    /// # Errors
    /// When it cannot stand in a header.
    pub fn new(token: &Secret) -> Result<Self, TransportError> {
        let text = Secret::new(format!("Bearer {}", token.expose()));
        let mut value = HeaderValue::from_str(text.expose()).map_err(|_| TransportError::Token)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken")
    }
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match &mut self.0 {
            Way::Remote { channel, .. } => channel.poll_ready(context).map_err(|error| broken(error).into()),
            Way::InProcess { door, .. } => door.poll_ready(context).map_err(|never| match never {}),
        }
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let mut span = trace::asking(&mut request);
        match &mut self.0 {
            Way::Remote { channel, token, peer } => {
                peer.told(span.as_mut());
                if let Some(token) = token {
                    request.headers_mut().entry(AUTHORIZATION).or_insert_with(|| token.get().0.clone());
                }
                let answer = channel.call(request);
                Box::pin(async move {
                    let answer = answer.await.map_err(broken);
                    trace::heard(span, answer.as_ref());
                    answer.map_err(BoxError::from)
                })
            }
            Way::InProcess { door, principal } => {
                // As over the network, nothing but the message and its metadata arrives.
                *request.extensions_mut() = Extensions::new();
                request.extensions_mut().insert(InProcess(Arc::clone(principal)));
                let answer = door.call(request);
                Box::pin(async move {
                    let answer = answer.await.map_err(|never| match never {});
                    trace::heard(span, answer.as_ref());
                    answer.map_err(BoxError::from)
                })
            }
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Way::Remote { .. } => "Transport(remote)",
            Way::InProcess { .. } => "Transport(in process)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_and_tokens_that_cannot_be_used_are_refused() {
        for bad in ["", "localhost:50051", "/path", "ftp://localhost", "http://", "https://"] {
            let refused = Transport::connect(bad, None);
            assert!(matches!(refused, Err(TransportError::Address { .. })), "{bad}");
        }
        let token = Secret::new("canary\n7f3a");
        let refused = Transport::connect("http://localhost:50051", Some(&token)).unwrap_err();
        assert!(matches!(refused, TransportError::Token) && !refused.to_string().contains("canary"));
    }

    #[tokio::test]
    async fn debug_print_shows_no_token() {
        let token = Secret::new("canary-7f3a");
        let transport = Transport::connect("http://localhost:50051", Some(&token)).unwrap();
        assert!(!format!("{transport:?} {:?}", BearerToken::new(&token).unwrap()).contains("canary"));
    }
}
