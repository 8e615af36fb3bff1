//! A server around a service that does what tests need: it greets, panics, hangs, waits, streams.

mod admission;
mod building;
mod network;
mod running;
mod spans;
mod tls;

use std::convert::Infallible;
use std::future;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto};
use sluice_auth::{Access, AccessTable, Grant, Key, Principal, Scope, Signer, Verifier};
use sluice_domain::{Secret, Span, Timestamp};
use sluice_telemetry::current_trace_context;
use tokio::sync::{Notify, mpsc};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::{Service, ServiceExt as _};

use super::{Door, Limits, Server, ServerBuilder};
use crate::caller::Caller;
use crate::fault::{Refusal, fault_of};

const NAME: &str = "test.v1.Victim";
const METHODS: [(&str, bool); 6] =
    [("Greet", false), ("Panic", false), ("Past", false), ("Hang", false), ("Wait", false), ("Watch", true)];
const GRANTS: &[Grant] = &[Grant::Scope(Scope::EventsWrite), Grant::Scope(Scope::Internal)];
const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
const SHARED: &str = "0123456789abcdef0123456789abcdef";

/// The service under test and the strings that move it.
#[derive(Clone)]
struct Victim {
    /// `Wait` answers when told so.
    open: Arc<Notify>,
    /// `Wait` and `Hang` say that they have begun, `Hang` also that it was dropped.
    told: mpsc::UnboundedSender<&'static str>,
}

impl NamedService for Victim {
    const NAME: &'static str = NAME;
}

/// Says `dropped` when a call is given up.
struct Tell(mpsc::UnboundedSender<&'static str>);

impl Drop for Tell {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

/// A body that never ends and never says anything.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Pending
    }
}

impl Service<Request<Body>> for Victim {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let victim = self.clone();
        Box::pin(async move {
            let mut response = Response::new(Body::empty());
            match request.uri().path().rsplit('/').next().unwrap() {
                "Greet" => {
                    let headers = response.headers_mut();
                    let Caller(caller) = request.extensions().get().unwrap();
                    headers.insert("user", caller.user().as_str().parse().unwrap());
                    if let Some(trace) = current_trace_context() {
                        headers.insert("trace", trace.to_string().parse().unwrap());
                    }
                }
                "Panic" => panic!("as asked"),
                "Past" => response = Status::out_of_range("past the end").into_http(),
                "Hang" => {
                    let _tell = Tell(victim.told.clone());
                    victim.told.send("begun").unwrap();
                    future::pending::<()>().await;
                }
                "Wait" => {
                    victim.told.send("begun").unwrap();
                    victim.open.notified().await;
                }
                _ => response = Response::new(Body::new(Endless)),
            }
            Ok(response)
        })
    }
}

/// A server of one victim, with what its tests hold in their hands.
struct Stage {
    server: Server,
    open: Arc<Notify>,
    told: mpsc::UnboundedReceiver<&'static str>,
}

fn descriptors() -> Vec<u8> {
    let method = |(name, watch): (&str, bool)| MethodDescriptorProto {
        name: Some(name.to_owned()),
        server_streaming: Some(watch),
        ..Default::default()
    };
    let service = ServiceDescriptorProto {
        name: Some("Victim".to_owned()),
        method: METHODS.map(method).to_vec(),
        options: None,
    };
    let file = FileDescriptorProto {
        name: Some("victim.proto".to_owned()),
        package: Some("test.v1".to_owned()),
        service: vec![service],
        ..Default::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec()
}

fn table() -> AccessTable {
    AccessTable::new(METHODS.map(|(name, _)| (path(name), Access::AnyOf(GRANTS)))).unwrap()
}

fn path(method: &str) -> String {
    format!("/{NAME}/{method}")
}

fn verifier() -> Verifier {
    let key = Key::hs256("dev", &Secret::new(SHARED)).unwrap();
    Verifier::new("https://issuer.test", vec![key]).unwrap()
}

fn token(scopes: &[Scope]) -> String {
    token_of("acme", scopes)
}

fn token_of(account: &str, scopes: &[Scope]) -> String {
    let signer = Signer::from_hs256("https://issuer.test", "dev", &Secret::new(SHARED)).unwrap();
    let principal =
        Principal::new(Some(account.parse().unwrap()), "user-7".parse().unwrap(), [], scopes.iter().copied());
    signer.mint(&principal, NOW, Span::from_secs(600)).unwrap()
}

impl Stage {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn limited(limits: Limits) -> Self {
        Self::with(|builder| builder.limits(limits))
    }

    fn at(now: Timestamp) -> Self {
        Self::build(now, |builder| builder)
    }

    fn with(set: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        Self::build(NOW, set)
    }

    fn build(now: Timestamp, set: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let open = Arc::new(Notify::new());
        let victim = Victim { open: Arc::clone(&open), told: tell };
        let builder = Server::builder("test").service(victim).access(table()).descriptors(&descriptors());
        let server = set(builder).build(verifier(), move || now).unwrap();
        Self { server, open, told }
    }

    fn door(&self) -> Door<Routes> {
        Door::new(self.server.routes.clone(), Arc::clone(&self.server.rules))
    }

    /// What a request from outside gets.
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        self.door().oneshot(request).await.unwrap()
    }
}

fn request(path: &str, headers: &[(&'static str, &str)]) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

/// A call of the victim by another account's producer.
fn call_of(account: &str, method: &str) -> Request<Body> {
    let value = format!("Bearer {}", token_of(account, &[Scope::EventsWrite]));
    request(&path(method), &[("authorization", &value)])
}

/// A call of the victim by a producer.
fn call(method: &str, headers: &[(&'static str, &str)]) -> Request<Body> {
    let mut request = request(&path(method), headers);
    let value = format!("Bearer {}", token(&[Scope::EventsWrite]));
    request.headers_mut().insert("authorization", value.parse().unwrap());
    request
}

fn status(headers: &HeaderMap) -> Option<Status> {
    Status::from_header_map(headers)
}

/// The refusal in an answer that has nothing but headers.
fn refusal(response: &Response<Body>) -> Refusal {
    assert_eq!(response.status(), http::StatusCode::OK);
    assert!(http_body::Body::is_end_stream(response.body()));
    fault_of(&status(response.headers()).unwrap()).unwrap()
}

fn code(response: &Response<Body>) -> Code {
    status(response.headers()).map_or(Code::Ok, |status| status.code())
}

/// Sends bytes as they are and reads any answer as nothing.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        buffer.advance(buffer.remaining());
        Ok(Some(()))
    }
}
