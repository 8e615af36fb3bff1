//! The client against receivers on loopback, well-behaved and hostile.
#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

mod bodies;
mod names;

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};
use sluice_egress::{
    BodyCaps, Egress, MAX_SENT_URL_BYTES, MAX_URL_BYTES, Phase, Policy, Refusal, Request, SendError, Timeouts,
};

use sluice_testkit::{Act, RawReceiver as Receiver};

fn egress(caps: BodyCaps) -> Egress {
    Egress::new(Policy::development(), Timeouts::default(), caps).unwrap()
}

fn get(url: &str) -> Request {
    Request {
        method: http::Method::GET,
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        body: "".into(),
        first_byte: None,
        total: None,
    }
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn outcome(act: Act) -> SendError {
    let receiver = Receiver::start(act).await;
    let mut request = get(&receiver.url("/"));
    request.first_byte = Some(Duration::from_millis(500));
    egress(BodyCaps::default()).send(request).await.unwrap_err()
}

#[tokio::test]
async fn a_request_arrives_as_given_with_the_connections_own_headers() {
    let receiver = Receiver::start(Act::Reply(
        b"HTTP/1.1 201 Created\r\nX-Note: a\r\nx-note: b\r\nx-raw: \xff\r\ncontent-length: 2\r\n\r\nok"
            .to_vec(),
    ))
    .await;
    let mut request = get(&receiver.url("/hook?a=b%20c"));
    request.method = http::Method::POST;
    request.body = r#"{"a":1}"#.into();
    request.headers.insert("webhook-id", HeaderValue::from_static("dl_1"));
    for (name, value) in
        [("host", "evil"), ("content-length", "99"), ("transfer-encoding", "chunked"), ("te", "x")]
    {
        request.headers.insert(name, HeaderValue::from_static(value));
    }
    request.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));

    let answer = egress(BodyCaps::default()).send(request).await.unwrap();
    assert_eq!((answer.status, answer.body.as_ref()), (201, b"ok".as_slice()));
    assert_eq!(answer.remote, receiver.address());
    assert!(answer.headers.get_all("x-note").iter().eq(["a", "b"]));
    assert_eq!(answer.headers["x-raw"].as_bytes(), [0xff]);

    let sent = receiver.requests().remove(0);
    assert!(sent.starts_with("POST /hook?a=b%20c HTTP/1.1\r\n"), "{sent}");
    assert!(sent.ends_with("\r\n\r\n{\"a\":1}"), "{sent}");
    for line in [
        "webhook-id: dl_1",
        &format!("host: {}", receiver.address()),
        "content-length: 7",
        "accept-encoding: identity",
        concat!("user-agent: Sluice/", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(sent.contains(&format!("\r\n{line}\r\n")), "{line} in {sent}");
    }
    for name in ["evil", "transfer-encoding", "\r\nte:", "referer", "gzip"] {
        assert!(!sent.contains(name), "{name} in {sent}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let elsewhere = Receiver::start(Act::Reply(ok("secret"))).await;
    for status in [301, 302, 303, 307, 308] {
        let reply =
            format!("HTTP/1.1 {status} Go\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url("/"));
        let receiver = Receiver::start(Act::Reply(reply.into_bytes())).await;
        let answer = egress(BodyCaps::default()).send(get(&receiver.url("/"))).await.unwrap();
        assert_eq!(answer.status, status);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_forbidden_literal_never_reaches_the_network() {
    let receiver = Receiver::start(Act::Reply(ok("hi"))).await;
    let strict = Policy { allow_http: true, ..Policy::default() };
    let egress = Egress::new(strict, Timeouts::default(), BodyCaps::default()).unwrap();
    for url in [
        receiver.url("/"),
        format!("http://2130706433:{}/", receiver.address().port()),
        format!("http://[::ffff:127.0.0.1]:{}/", receiver.address().port()),
    ] {
        let refused = egress.send(get(&url)).await;
        assert!(matches!(refused, Err(SendError::Forbidden(Refusal::Address { .. }))), "{url}: {refused:?}");
    }
    let https_only = Policy { allow_http: false, ..Policy::development() };
    let egress = Egress::new(https_only, Timeouts::default(), BodyCaps::default()).unwrap();
    assert_eq!(
        egress.send(get(&receiver.url("/"))).await,
        Err(SendError::Forbidden(Refusal::HttpNotAllowed))
    );
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn an_answer_that_does_not_begin_is_a_first_byte_timeout() {
    let timed_out = SendError::Timeout(Phase::FirstByte);
    assert_eq!(outcome(Act::ReplyAndHang(Vec::new())).await, timed_out);
    assert_eq!(outcome(Act::ReplyAndHang(b"HTTP/1.1 200 OK\r\nx-slow: ".to_vec())).await, timed_out);
    let informational = b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec();
    assert_eq!(outcome(Act::Endless(Vec::new(), informational, Duration::ZERO)).await, timed_out);
}

#[tokio::test]
async fn broken_answers_have_their_kinds() {
    assert_eq!(outcome(Act::ReplyAndClose(Vec::new())).await, SendError::Reset);
    assert_eq!(outcome(Act::ReplyAndClose(b"HTTP/1.1 200 OK\r\nx-ha".to_vec())).await, SendError::Reset);
    assert_eq!(
        outcome(Act::ReplyAndClose(b"220 mail.example.com ESMTP\r\n".to_vec())).await,
        SendError::Protocol
    );
    assert_eq!(
        outcome(Act::Endless(b"HTTP/1.1 200 OK\r\nx-huge: ".to_vec(), vec![b'x'; 4096], Duration::ZERO))
            .await,
        SendError::HeadTooLarge
    );
    assert_eq!(
        outcome(Act::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x-many: 1\r\n".to_vec(), Duration::ZERO))
            .await,
        SendError::HeadTooLarge
    );
}

#[tokio::test]
async fn a_url_may_grow_beyond_what_is_registered_but_not_without_end() {
    let receiver = Receiver::start(Act::Reply(ok("hi"))).await;
    let base = receiver.url("/?");
    let sized = |length: usize| format!("{base}{}", "a".repeat(length - base.len()));
    let egress = egress(BodyCaps::default());
    for length in [MAX_URL_BYTES + 1, MAX_SENT_URL_BYTES] {
        assert_eq!(egress.send(get(&sized(length))).await.unwrap().status, 200, "{length}");
    }
    assert_eq!(egress.send(get(&sized(MAX_SENT_URL_BYTES + 1))).await, Err(SendError::Unsendable));
}

#[tokio::test]
async fn an_answer_before_the_requests_end_counts() {
    let receiver =
        Receiver::start(Act::ReplyEarly(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n".to_vec()))
            .await;
    let mut request = get(&receiver.url("/"));
    request.method = http::Method::POST;
    request.body = vec![b'x'; 16 * 1024 * 1024].into();
    assert_eq!(egress(BodyCaps::default()).send(request).await.unwrap().status, 413);
}

#[tokio::test]
async fn a_port_nobody_listens_on_is_a_connect_failure() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let failed = egress(BodyCaps::default()).send(get(&format!("http://{free}/"))).await;
    assert_eq!(failed, Err(SendError::Connect));
}

#[tokio::test]
async fn https_towards_what_speaks_no_tls_fails_in_the_handshake() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        let (mut plain, _) = listener.accept().await.unwrap();
        plain.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        let (closed, _) = listener.accept().await.unwrap();
        drop(closed);
        let _silent = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
    });
    let timeouts = Timeouts { connect: Duration::from_millis(300), ..Timeouts::default() };
    let egress = Egress::new(Policy::development(), timeouts, BodyCaps::default()).unwrap();
    let url = format!("https://{address}/");
    assert_eq!(egress.send(get(&url)).await, Err(SendError::Tls));
    assert_eq!(egress.send(get(&url)).await, Err(SendError::Tls));
    assert_eq!(egress.send(get(&url)).await, Err(SendError::Timeout(Phase::Connect)));
}

#[tokio::test]
async fn an_error_tells_a_tenant_no_address() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let egress = egress(BodyCaps::default());
    for url in
        [format!("http://{free}/"), "http://10.11.12.13/".to_owned(), "http://printer.local/".to_owned()]
    {
        let text = egress.send(get(&url)).await.unwrap_err().to_string();
        assert!(!text.contains(|c: char| c.is_ascii_digit()) && !text.contains("local"), "{text}");
    }
}
