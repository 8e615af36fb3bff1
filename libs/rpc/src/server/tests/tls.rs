//! The same over TLS: who is let in, and that nobody waits for those who are not.

use std::net::SocketAddr;
use std::time::Duration;

use sluice_auth::Scope;
use sluice_domain::Secret;
use sluice_runtime::Current;
use sluice_testkit::{Authority, Certified};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::{Service as _, ServiceExt as _};

use super::{Stage, code, path, request, token};
use crate::server::Limits;
use crate::tls::{Authorities, ClientTls, Identity, ServerTls};
use crate::transport::{BearerToken, Credentials, Transport};

/// A server on a port of its own, until this is dropped.
struct Served {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

async fn served(stage: &Stage, tls: impl Into<Current<ServerTls>>) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = stage.server.clone().tls(tls);
    tokio::spawn(server.serve(listener, async move {
        let _ = stopped.await;
    }));
    Served { address, _stop: stop }
}

fn identity(certified: &Certified) -> Identity {
    Identity::from_pem(&certified.chain, &Secret::new(certified.key.as_str())).unwrap()
}

fn believing(authority: &Authority) -> Authorities {
    Authorities::from_pem(&authority.pem()).unwrap()
}

/// For loopback, by this authority, to those whom it vouches for.
fn mutual(authority: &Authority) -> ServerTls {
    ServerTls::mutual(identity(&authority.certify(&["127.0.0.1"])), &believing(authority)).unwrap()
}

fn own(authority: &Authority) -> ClientTls {
    ClientTls::mutual(&believing(authority), identity(&authority.certify(&["client"]))).unwrap()
}

impl Served {
    fn transport(&self, tls: impl Into<Current<ClientTls>>) -> Transport {
        let credentials = Credentials { token: None, tls: Some(tls.into()) };
        Transport::connect_with(&format!("https://{}", self.address), credentials).unwrap()
    }
}

async fn health(transport: Transport) -> Result<i32, Status> {
    let answer = HealthClient::new(transport).check(HealthCheckRequest::default()).await;
    answer.map(|answer| answer.into_inner().status)
}

async fn refused(transport: Transport) -> String {
    let refused = health(transport).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    format!("{refused:?}")
}

#[tokio::test]
async fn a_certificate_of_the_authority_lets_in_and_the_token_says_who_it_is() {
    let (stage, authority) = (Stage::new(), Authority::new());
    let served = served(&stage, mutual(&authority)).await;
    let token = |text: &str| Some(Current::new(BearerToken::new(&Secret::new(text)).unwrap()));
    let with = |token| {
        let credentials = Credentials { token, tls: Some(own(&authority).into()) };
        Transport::connect_with(&format!("https://{}", served.address), credentials).unwrap()
    };
    for (token, expected) in [
        (token(&super::token(&[Scope::EventsWrite])), Code::Ok),
        (token(&super::token(&[Scope::UsageRead])), Code::PermissionDenied),
        (token("x"), Code::Unauthenticated),
        (None, Code::Unauthenticated),
    ] {
        let mut transport = with(token);
        let answer = transport.ready().await.unwrap().call(request(&path("Greet"), &[])).await.unwrap();
        assert_eq!(code(&answer), expected);
    }
}

#[tokio::test]
async fn nobody_else_is_let_in_and_no_other_server_is_believed() {
    let (stage, authority, other) = (Stage::new(), Authority::new(), Authority::new());
    let served = served(&stage, mutual(&authority)).await;
    let showing = |certified: &Certified| {
        served.transport(ClientTls::mutual(&believing(&authority), identity(certified)).unwrap())
    };
    let nothing = served.transport(ClientTls::trusting(&believing(&authority)).unwrap());
    let said = refused(nothing).await;
    assert!(said.contains("CertificateRequired"), "{said}");
    refused(showing(&other.certify(&["client"]))).await;
    let said = refused(showing(&authority.certify_for_the_past(&["client"]))).await;
    assert!(said.contains("CertificateExpired"), "{said}");
    refused(Transport::connect(&format!("http://{}", served.address), None).unwrap()).await;

    let name = Transport::connect_with(
        &format!("https://localhost:{}", served.address.port()),
        Credentials { token: None, tls: Some(own(&authority).into()) },
    );
    let said = refused(name.unwrap()).await;
    assert!(said.contains("no TLS with localhost") && said.contains("not valid for name"), "{said}");
    let said = refused(served.transport(own(&other))).await;
    assert!(said.contains("invalid peer certificate"), "{said}");
    // A stranger's authority is not among the system's.
    refused(Transport::connect(&format!("https://{}", served.address), None).unwrap()).await;
    assert_eq!(health(served.transport(own(&authority))).await.unwrap(), 1);
}

#[tokio::test]
async fn the_door_for_everybody_asks_for_no_certificate_and_an_expired_one_is_not_believed() {
    let (stage, authority) = (Stage::new(), Authority::new());
    let tls = Current::new(ServerTls::new(identity(&authority.certify(&["127.0.0.1"]))).unwrap());
    let served = served(&stage, tls.clone()).await;
    let trusting = || served.transport(ClientTls::trusting(&believing(&authority)).unwrap());
    assert_eq!(health(trusting()).await.unwrap(), 1);
    tls.replace(ServerTls::new(identity(&authority.certify_for_the_past(&["127.0.0.1"]))).unwrap());
    let said = refused(trusting()).await;
    assert!(said.contains("expired"), "{said}");
}

#[tokio::test]
async fn what_is_replaced_counts_at_the_next_handshake_and_open_connections_go_on() {
    let (stage, old, new) = (Stage::new(), Authority::new(), Authority::new());
    let tls = Current::new(mutual(&old));
    let served = served(&stage, tls.clone()).await;
    let open = served.transport(own(&old));
    assert_eq!(health(open.clone()).await.unwrap(), 1);

    tls.replace(mutual(&new));
    assert_eq!(health(open).await.unwrap(), 1);
    let ours = Current::new(own(&old));
    let late = served.transport(ours.clone());
    refused(late.clone()).await;
    ours.replace(own(&new));
    assert_eq!(health(late).await.unwrap(), 1);
}

#[tokio::test]
async fn a_token_that_is_replaced_goes_with_the_next_call() {
    let (stage, authority) = (Stage::new(), Authority::new());
    let served = served(&stage, mutual(&authority)).await;
    let bearer = |text: &str| BearerToken::new(&Secret::new(text)).unwrap();
    let ours = Current::new(bearer("x"));
    let credentials = Credentials { token: Some(ours.clone()), tls: Some(own(&authority).into()) };
    let mut transport = Transport::connect_with(&format!("https://{}", served.address), credentials).unwrap();
    let answer = transport.ready().await.unwrap().call(request(&path("Greet"), &[])).await.unwrap();
    assert_eq!(code(&answer), Code::Unauthenticated);
    ours.replace(bearer(&token(&[Scope::EventsWrite])));
    let answer = transport.ready().await.unwrap().call(request(&path("Greet"), &[])).await.unwrap();
    assert_eq!(answer.headers()["user"], "user-7");
}

#[tokio::test]
async fn who_is_slow_to_shake_hands_keeps_nobody_waiting_and_is_cut_off() {
    let authority = Authority::new();
    let slow = Limits { handshake: Duration::from_millis(300), ..Limits::default() };
    let stage = Stage::limited(slow);
    let served = served(&stage, mutual(&authority)).await;
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    assert_eq!(health(served.transport(own(&authority))).await.unwrap(), 1);
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap(), 0);
}

#[tokio::test]
async fn when_too_many_shake_hands_the_oldest_is_given_up() {
    let authority = Authority::new();
    let few = Limits { handshake: Duration::from_secs(3_600), max_handshakes: 2, ..Limits::default() };
    let stage = Stage::limited(few);
    let served = served(&stage, mutual(&authority)).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(served.address).await.unwrap());
    }
    assert_eq!(silent[0].read(&mut [0; 16]).await.unwrap(), 0);
    assert_eq!(health(served.transport(own(&authority))).await.unwrap(), 1);
    let mut said = [0; 16];
    let last = tokio::time::timeout(Duration::from_millis(50), silent[2].read(&mut said)).await;
    assert!(last.is_err(), "the youngest still has its place: {last:?}");
}
