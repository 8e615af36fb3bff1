//! A receiver on loopback that answers byte for byte what a test tells it to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What is written once a request has come in whole.
#[derive(Clone)]
pub(crate) enum Act {
    /// These bytes, then the next request on the same connection.
    Reply(Vec<u8>),
    /// These bytes, then the connection is closed.
    ReplyAndClose(Vec<u8>),
    /// These bytes, then nothing any more, with the connection kept open.
    ReplyAndHang(Vec<u8>),
    /// The first bytes, then the second again and again until the client goes.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes as soon as the request's head is there, its body unread; then nothing any more.
    ReplyEarly(Vec<u8>),
}

/// The receiver and what it saw.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
    gone: mpsc::UnboundedReceiver<()>,
}

impl Receiver {
    pub(crate) async fn start(act: Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let connections = Arc::<Mutex<usize>>::default();
        let (going, gone) = mpsc::unbounded_channel();
        let (seen, count) = (Arc::clone(&requests), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *count.lock().unwrap() += 1;
                let (act, seen, going) = (act.clone(), Arc::clone(&seen), going.clone());
                tokio::spawn(async move {
                    serve(stream, act, seen).await;
                    going.send(()).ok();
                });
            }
        });
        Self { address, requests, connections, gone }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    /// Waits until one connection has ended.
    pub(crate) async fn connection_ended(&mut self) {
        self.gone.recv().await.unwrap();
    }
}

async fn serve(mut stream: TcpStream, act: Act, seen: Arc<Mutex<Vec<String>>>) {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer, matches!(act, Act::ReplyEarly(_))).await
    {
        seen.lock().unwrap().push(request);
        let (first, again) = match &act {
            Act::Reply(bytes)
            | Act::ReplyAndClose(bytes)
            | Act::ReplyAndHang(bytes)
            | Act::ReplyEarly(bytes) => (bytes, None),
            Act::Endless(first, again) => (first, Some(again)),
        };
        if stream.write_all(first).await.is_err() {
            return;
        }
        while let Some(again) = again {
            if stream.write_all(again).await.is_err() {
                return;
            }
        }
        match act {
            Act::Reply(_) => {}
            Act::ReplyAndHang(_) | Act::ReplyEarly(_) => std::future::pending().await,
            Act::ReplyAndClose(_) | Act::Endless(..) => return,
        }
    }
}

/// Reads one request, head and body by `content-length`, or the head alone.
async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>, head_only: bool) -> Option<String> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse::<usize>().unwrap());
            let whole = if head_only { end + 4 } else { end + 4 + length };
            if buffer.len() >= whole {
                let request: Vec<u8> = buffer.drain(..whole).collect();
                return Some(String::from_utf8_lossy(&request).into_owned());
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}
