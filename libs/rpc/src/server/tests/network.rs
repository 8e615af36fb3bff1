//! The same over a socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use futures_util::StreamExt as _;
use sluice_auth::Scope;
use sluice_domain::{Reason, Secret, Span};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tower::{Service as _, ServiceExt as _};

use super::{Stage, code, path, refusal, request, token};
use crate::fault::fault_of;
use crate::server::{Server, ServerError};
use crate::transport::Transport;

/// A server on a port of its own.
struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServerError>>,
}

async fn served(stage: &Stage) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = stage.server.clone();
    let serving = tokio::spawn(server.serve(listener, async move {
        let _ = stopped.await;
    }));
    Served { address, stop, serving }
}

impl Served {
    fn transport(&self, token: Option<&str>) -> Transport {
        Transport::connect(&format!("http://{}", self.address), token.map(Secret::new).as_ref()).unwrap()
    }
}

#[tokio::test]
async fn the_token_of_a_transport_goes_with_every_call() {
    let stage = Stage::new();
    let served = served(&stage).await;
    let mut transport = served.transport(Some(&token(&[Scope::EventsWrite])));
    let answer = transport.ready().await.unwrap().call(request(&path("Greet"), &[])).await.unwrap();
    assert_eq!(answer.headers()["user"], "user-7");

    let mut bare = served.transport(None);
    let answer = bare.ready().await.unwrap().call(request(&path("Greet"), &[])).await.unwrap();
    assert_eq!(code(&answer), Code::Unauthenticated);
    let value = format!("Bearer {}", token(&[Scope::UsageRead]));
    let own = request(&path("Greet"), &[("authorization", &value)]);
    let answer = transport.ready().await.unwrap().call(own).await.unwrap();
    assert_eq!(refusal(&answer).code, Code::PermissionDenied);
}

#[tokio::test]
async fn health_needs_no_token_and_tells_of_each_service() {
    let stage = Stage::new();
    let served = served(&stage).await;
    let mut client = HealthClient::new(served.transport(None));
    for service in ["", super::NAME] {
        let ask = HealthCheckRequest { service: service.to_owned() };
        assert_eq!(client.check(ask).await.unwrap().into_inner().status, 1);
    }
    let mut within = HealthClient::new(stage.server.in_process("evaluator".parse().unwrap()));
    let answer = within.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(answer.into_inner().status, 1);
}

#[tokio::test]
async fn reflection_tells_of_the_services_served_and_no_others() {
    let stage = Stage::new();
    let served = served(&stage).await;
    let mut client = ServerReflectionClient::new(served.transport(None));
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = client.server_reflection_info(tokio_stream::once(ask)).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let mut names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(names, ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "test.v1.Victim"]);
}

#[tokio::test]
async fn headers_beyond_16_kib_are_refused() {
    let stage = Stage::new();
    let served = served(&stage).await;
    let mut transport = served.transport(Some(&token(&[Scope::EventsWrite])));
    for (length, expected) in [(14 * 1024, true), (17 * 1024, false)] {
        let padded = request(&path("Greet"), &[("padding", &"x".repeat(length))]);
        let answer = transport.ready().await.unwrap().call(padded).await;
        let reached = answer.is_ok_and(|answer| answer.headers().contains_key("user"));
        assert_eq!(reached, expected, "{length}");
    }
}

#[tokio::test]
async fn a_browser_of_an_allowed_origin_gets_grpc_web_answers_it_may_read() {
    let stage = Stage::with(|builder| builder.origins(vec!["https://app.test".to_owned()]));
    let served = served(&stage).await;
    let ask = |origin: &'static str| async move {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let head = format!(
            "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nhost: sluice\r\norigin: {origin}\r\n\
             content-type: application/grpc-web+proto\r\ncontent-length: 5\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&[0; 5]).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    let allowed = ask("https://app.test").await;
    assert!(allowed.starts_with("HTTP/1.1 200") && allowed.contains("grpc-status:0"), "{allowed}");
    assert!(allowed.contains("access-control-allow-origin: https://app.test"), "{allowed}");
    assert!(allowed.contains("access-control-expose-headers: grpc-status"), "{allowed}");
    assert!(!ask("https://evil.test").await.contains("access-control-allow-origin"));
}

#[tokio::test]
async fn a_server_that_stops_says_so_to_watchers_ends_them_and_takes_no_further_connection() {
    let stage = Stage::new();
    let served = served(&stage).await;
    let mut client = HealthClient::new(served.transport(None));
    let service = super::NAME.to_owned();
    let mut watch = client.watch(HealthCheckRequest { service }).await.unwrap().into_inner();
    assert_eq!(watch.next().await.unwrap().unwrap().status, 1);

    served.stop.send(()).unwrap();
    let ended = loop {
        match watch.next().await.unwrap() {
            Ok(told) => assert_eq!(told.status, 2),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), Code::Unavailable);
    served.serving.await.unwrap().unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn a_server_that_is_not_there_shows_in_the_call_as_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let transport = Transport::connect(&format!("http://{address}"), None).unwrap();
    let refused = HealthClient::new(transport).check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
}

#[tokio::test]
async fn what_the_transport_refuses_by_itself_has_a_reason_too() {
    let stage = Stage::new();
    let served = served(&stage).await;
    let service = "x".repeat(8 * 1024);
    let refused = HealthClient::new(served.transport(None)).check(HealthCheckRequest { service }).await;
    let refused = fault_of(&refused.unwrap_err()).unwrap();
    assert_eq!(
        (refused.code, refused.known_reason()),
        (Code::InvalidArgument, Some(Reason::InvalidArgument))
    );
    assert_eq!(refused.violations.iter().next().unwrap().description, "is larger than this RPC takes");

    let mut grpc = tonic::client::Grpc::new(served.transport(None));
    grpc.ready().await.unwrap();
    // A length-delimited field that is cut off: as text where the health service expects its own message.
    let garbage = tonic::Request::new(vec![0x0a_u8, 0x05, b'x']);
    let check = http::uri::PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let refused = grpc.unary(garbage, check, super::Raw).await.unwrap_err();
    let refused = fault_of(&refused).unwrap();
    assert_eq!(
        (refused.code, refused.known_reason()),
        (Code::InvalidArgument, Some(Reason::InvalidArgument))
    );
    assert_eq!(refused.violations.iter().next().unwrap().description, "is no message of this RPC's type");
}

#[tokio::test]
async fn a_server_is_healthy_while_what_it_stands_on_is_and_looks_once_a_second() {
    let (well, looks) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let at = Arc::new(AtomicI64::new(0));
    let (seen, counted) = (Arc::clone(&well), Arc::clone(&looks));
    let look = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::ready(seen.load(Ordering::SeqCst))
    };
    let time = Arc::clone(&at);
    let now = move || super::NOW.plus(Span::from_millis(time.load(Ordering::SeqCst)));
    let builder = Server::builder("test").healthy_while(look);
    let server = builder.build(super::verifier(), now).unwrap();
    let status = || async {
        let mut client = HealthClient::new(server.in_process("kubelet".parse().unwrap()));
        client.check(HealthCheckRequest::default()).await.unwrap().into_inner().status
    };
    assert_eq!(status().await, 1);
    well.store(false, Ordering::SeqCst);
    at.store(999, Ordering::SeqCst);
    assert_eq!((status().await, looks.load(Ordering::SeqCst)), (1, 1));
    at.store(1_000, Ordering::SeqCst);
    assert_eq!((status().await, looks.load(Ordering::SeqCst)), (2, 2));
    well.store(true, Ordering::SeqCst);
    at.store(2_000, Ordering::SeqCst);
    assert_eq!(status().await, 1);
    server.pulse.stop().await;
    at.store(3_000, Ordering::SeqCst);
    assert_eq!(status().await, 2);
}

#[tokio::test(start_paused = true)]
async fn silence_of_what_a_server_stands_on_is_ill_health() {
    let builder = Server::builder("test").healthy_while(std::future::pending);
    let server = builder.build(super::verifier(), || super::NOW).unwrap();
    let mut client = HealthClient::new(server.in_process("kubelet".parse().unwrap()));
    assert_eq!(client.check(HealthCheckRequest::default()).await.unwrap().into_inner().status, 2);
}

#[tokio::test]
async fn what_a_server_stands_on_is_told_under_its_own_name_and_may_be_away() {
    let builder = Server::builder("test").healthy_while(|| std::future::ready(true));
    let builder = builder.tells_of("registry", || std::future::ready(false));
    let server = builder.build(super::verifier(), || super::NOW).unwrap();
    let mut client = HealthClient::new(server.in_process("kubelet".parse().unwrap()));
    for (name, expected) in [("registry", 2), ("", 1)] {
        let asked = HealthCheckRequest { service: name.to_owned() };
        assert_eq!(client.check(asked).await.unwrap().into_inner().status, expected, "{name}");
    }
    let unknown = client.check(HealthCheckRequest { service: "billing".to_owned() }).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
    assert!(server.in_process("kubelet".parse().unwrap()).serves().await);
}
