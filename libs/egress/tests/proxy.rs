//! The environment's proxy is ignored. The environment of a process cannot be changed safely while it runs, so the
//! request is made by this test binary started anew.
#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use std::net::TcpListener;
use std::process::Command;

use sluice_egress::{BodyCaps, Egress, Policy, Request, Timeouts};

#[test]
fn a_proxy_in_the_environment_is_never_asked() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "a_request_under_a_proxy_environment", "--ignored"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        child.env(name, &address);
    }
    child.env_remove("no_proxy").env_remove("NO_PROXY");
    let ran = child.output().unwrap();
    let output = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && output.contains("1 passed"), "{output}");
    assert_eq!(proxy.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
#[ignore = "started by a_proxy_in_the_environment_is_never_asked with a proxy in its environment"]
async fn a_request_under_a_proxy_environment() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/direct", listener.local_addr().unwrap());
    let receiving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 16];
        stream.read_exact(&mut head).await.unwrap();
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        head
    });
    let egress = Egress::new(Policy::development(), Timeouts::default(), BodyCaps::default()).unwrap();
    let request = Request {
        method: http::Method::GET,
        url: url.parse().unwrap(),
        headers: http::HeaderMap::new(),
        body: "".into(),
        first_byte: None,
        total: None,
    };
    assert_eq!(egress.send(request).await.unwrap().status, 204);
    assert!(receiving.await.unwrap().starts_with(b"GET /direct "));
}
