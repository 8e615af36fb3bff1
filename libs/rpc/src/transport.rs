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
use thiserror::Error;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use crate::server::{Door, InProcess};

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
}

/// A way to a server, over the network or in the same process; cheap to clone.
///
/// Metadata that the caller sets, `traceparent` among it, arrives either way.
#[derive(Clone)]
pub struct Transport(Way);

#[derive(Clone)]
enum Way {
    Remote { channel: Channel, authorization: Option<HeaderValue> },
    InProcess { door: Door<Routes>, principal: Arc<Principal> },
}

impl Transport {
    /// A way over the network, which connects with the first call and again whenever the connection is lost. The token
    /// goes with every call that has no `authorization` of its own. Call it from within a Tokio runtime.
    ///
    /// # Errors
    /// When the address or the token cannot be used; a server that does not answer shows in the calls.
    pub fn connect(address: &str, token: Option<&Secret>) -> Result<Self, TransportError> {
        let refused = |reason: String| TransportError::Address { address: address.to_owned(), reason };
        let endpoint =
            Endpoint::from_shared(address.to_owned()).map_err(|error| refused(error.to_string()))?;
        if endpoint.uri().scheme_str() != Some("http") || endpoint.uri().host().is_none() {
            return Err(refused("it must begin with `http://` and have a host".to_owned()));
        }
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .connect_lazy();
        Ok(Self(Way::Remote { channel, authorization: token.map(authorization).transpose()? }))
    }

    pub(crate) fn in_process(door: Door<Routes>, principal: Arc<Principal>) -> Self {
        Self(Way::InProcess { door, principal })
    }
}

fn authorization(token: &Secret) -> Result<HeaderValue, TransportError> {
    let text = Secret::new(format!("Bearer {}", token.expose()));
    let mut value = HeaderValue::from_str(text.expose()).map_err(|_| TransportError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Body>;
    type Error = tonic::transport::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, tonic::transport::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match &mut self.0 {
            Way::Remote { channel, .. } => channel.poll_ready(context),
            Way::InProcess { door, .. } => door.poll_ready(context).map_err(|never| match never {}),
        }
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        match &mut self.0 {
            Way::Remote { channel, authorization } => {
                if let Some(value) = authorization {
                    request.headers_mut().entry(AUTHORIZATION).or_insert_with(|| value.clone());
                }
                Box::pin(channel.call(request))
            }
            Way::InProcess { door, principal } => {
                // As over the network, nothing but the message and its metadata arrives.
                *request.extensions_mut() = Extensions::new();
                request.extensions_mut().insert(InProcess(Arc::clone(principal)));
                let answer = door.call(request);
                Box::pin(async move { answer.await.map_err(|never| match never {}) })
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
        for bad in ["", "localhost:50051", "/path", "ftp://localhost", "https://localhost:50051", "http://"] {
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
        assert!(!format!("{transport:?} {:?}", authorization(&token).unwrap()).contains("canary"));
    }
}
