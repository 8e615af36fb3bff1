//! The client: one request out, one answer or one kind of failure back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect;
use tokio::time::timeout;
use url::Url;

use crate::answer::Intake;
use crate::failure::classify;
use crate::resolver::PinnedResolver;
use crate::{
    Answer, BodyCaps, Lookup, MAX_SENT_URL_BYTES, Phase, Policy, SendError, SystemLookup, decide_address,
    decide_parsed,
};

/// How long the parts of an exchange may take, each counted from the start of [`Egress::send`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// The look-up, the connection and the TLS handshake together.
    pub connect: Duration,
    /// Until the answer's head is there.
    pub first_byte: Duration,
    /// Until the answer's body is there.
    pub total: Duration,
}

impl Default for Timeouts {
    /// 5, 20 and 30 seconds.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(20),
            total: Duration::from_secs(30),
        }
    }
}

/// One request to a receiver.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: http::Method,
    /// The whole target; judged again when sent.
    pub url: Url,
    /// The header fields. Those of the connection (`host`, `content-length`, `transfer-encoding`, …) and
    /// `accept-encoding` are the client's and left out; `user-agent` is `Sluice/<version>` unless given.
    pub headers: HeaderMap,
    /// The body; a clone of a stored request's bytes costs nothing.
    pub body: Bytes,
    /// Instead of [`Timeouts::first_byte`], for this request.
    pub first_byte: Option<Duration>,
    /// Instead of [`Timeouts::total`], for this request.
    pub total: Option<Duration>,
}

/// The way out to receivers. Clones share one pool of connections.
#[derive(Clone)]
pub struct Egress {
    client: reqwest::Client,
    policy: Arc<Policy>,
    timeouts: Timeouts,
    caps: BodyCaps,
}

/// Idle connections are closed before the five seconds after which common servers close theirs, so that a request
/// seldom meets a connection that is just going away.
const POOL_IDLE: Duration = Duration::from_secs(4);
/// Idle connections kept for each host and port: as many as are under way in a burst, since a connection that is dialled anew for
/// each request costs more than the request; they go when they were idle for [`POOL_IDLE`].
const POOL_IDLE_PER_HOST: usize = 1_024;

/// Header fields that belong to the connection or to this client.
const OURS: [HeaderName; 11] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

impl Egress {
    /// Builds the client with the system's resolver and trust store.
    ///
    /// # Errors
    /// [`EgressError::Client`] when TLS cannot be set up.
    pub fn new(policy: Policy, timeouts: Timeouts, caps: BodyCaps) -> Result<Self, EgressError> {
        Self::with_lookup(policy, timeouts, caps, Arc::new(SystemLookup::default()))
    }

    /// The same with another place to look names up, whose answers are judged all the same.
    ///
    /// # Errors
    /// [`EgressError::Client`] when TLS cannot be set up.
    pub fn with_lookup(
        policy: Policy,
        timeouts: Timeouts,
        caps: BodyCaps,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, EgressError> {
        let policy = Arc::new(policy);
        let client = reqwest::Client::builder()
            .tls_backend_rustls()
            .dns_resolver(Arc::new(PinnedResolver::new(Arc::clone(&policy), lookup)))
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .user_agent(concat!("Sluice/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeouts.connect)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_IDLE_PER_HOST)
            .build()
            .map_err(|_| EgressError::Client)?;
        Ok(Self { client, policy, timeouts, caps })
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Sends a request once and reads its answer. The target is judged before anything leaves, its addresses when
    /// they are known, and the peer when it has answered. A redirect is an answer like any other.
    ///
    /// An answer counts when its body has ended or reached [`BodyCaps::read`]: a head whose body does not end
    /// before the total timeout is [`SendError::Timeout`], whatever its status, one whose connection breaks is
    /// [`SendError::Reset`].
    ///
    /// # Errors
    /// [`SendError`], [`SendError::Unsendable`] for a URL over [`MAX_SENT_URL_BYTES`]; with [`SendError::Forbidden`] for the peer and the errors of the answer the request has
    /// reached the receiver.
    pub async fn send(&self, request: Request) -> Result<Answer, SendError> {
        decide_parsed(&request.url, &self.policy)?;
        if request.url.as_str().len() > MAX_SENT_URL_BYTES {
            return Err(SendError::Unsendable);
        }
        let total = request.total.unwrap_or(self.timeouts.total);
        timeout(total, Box::pin(self.exchange(request)))
            .await
            .unwrap_or(Err(SendError::Timeout(Phase::Total)))
    }

    async fn exchange(&self, request: Request) -> Result<Answer, SendError> {
        let first_byte = request.first_byte.unwrap_or(self.timeouts.first_byte);
        let sending = self.client.execute(outgoing(request));
        let mut response = timeout(first_byte, sending)
            .await
            .map_err(|_| SendError::Timeout(Phase::FirstByte))?
            .map_err(|error| classify(&error))?;

        let remote = response.remote_addr().ok_or(SendError::Connect)?;
        decide_address(remote.ip(), &self.policy)?;

        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let mut intake = Intake::new(self.caps);
        let ended = loop {
            match response.chunk().await.map_err(|error| classify(&error))? {
                None => break true,
                // What is buffered already never waits: without this, a body of tiny pieces keeps everybody else from the thread.
                Some(piece) if intake.take(&piece) => tokio::task::consume_budget().await,
                Some(_) => break false,
            }
        };
        let (body, body_truncated) = intake.finish(ended);
        Ok(Answer { status, headers, body, body_truncated, remote })
    }
}

fn outgoing(request: Request) -> reqwest::Request {
    let mut headers = request.headers;
    for name in OURS {
        headers.remove(name);
    }
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let mut outgoing = reqwest::Request::new(request.method, request.url);
    *outgoing.headers_mut() = headers;
    *outgoing.body_mut() = Some(request.body.into());
    outgoing
}

/// Why there is no way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// The client could not be built.
    #[error("the HTTP client cannot be set up: no usable TLS trust store (ca-certificates) or resolver")]
    Client,
}
