//! A receiver on loopback that answers byte for byte what a test tells it to, well or ill.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as Turns, mpsc};
use tokio::task::{JoinHandle, JoinSet};

/// What is written once a request has come in whole, where nothing else is said.
#[derive(Debug, Clone)]
pub enum Act {
    /// These bytes, then the next request on the same connection.
    Reply(Vec<u8>),
    /// These bytes, then the connection is closed.
    ReplyAndClose(Vec<u8>),
    /// These bytes, then the connection is reset.
    ReplyAndReset(Vec<u8>),
    /// These bytes, then nothing any more, with the connection kept open.
    ReplyAndHang(Vec<u8>),
    /// The first bytes, then the second again and again until the client goes, with a rest before each.
    Endless(Vec<u8>, Vec<u8>, Duration),
    /// These bytes as soon as the request's head is there, its body unread; then nothing any more.
    ReplyEarly(Vec<u8>),
    /// Nothing: the connection is reset as soon as it is there.
    Reset,
    /// Nothing: the connection is taken, and neither read nor answered.
    Silent,
}

/// The receiver and what it saw; it listens until dropped.
#[derive(Debug)]
pub struct RawReceiver {
    address: SocketAddr,
    seen: Arc<Seen>,
    gone: Turns<mpsc::UnboundedReceiver<()>>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
    written: AtomicU64,
}

impl RawReceiver {
    /// Starts listening on a free port of 127.0.0.1.
    pub async fn start(act: Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of loopback should be free");
        let address = listener.local_addr().expect("a listener should have an address");
        let seen = Arc::<Seen>::default();
        let (going, gone) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(accept(listener, act, Arc::clone(&seen), going));
        Self { address, seen, gone: Turns::new(gone), accepting }
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests that came in whole, as text.
    pub fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().expect("nobody should have panicked").clone()
    }

    /// How many connections it took.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// How many bytes it has written, those included that nobody has read.
    pub fn written(&self) -> u64 {
        self.seen.written.load(Ordering::Relaxed)
    }

    /// Waits until one connection has ended.
    pub async fn connection_ended(&self) {
        self.gone.lock().await.recv().await.expect("the receiver should be alive");
    }
}

impl Drop for RawReceiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, act: Act, seen: Arc<Seen>, going: mpsc::UnboundedSender<()>) {
    // Ends the connections together with this task.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        seen.connections.fetch_add(1, Ordering::Relaxed);
        let (act, seen, going) = (act.clone(), Arc::clone(&seen), going.clone());
        connections.spawn(async move {
            serve(stream, act, &seen).await;
            // Nobody has to wait for it.
            let _unheard = going.send(());
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Serves one connection until the act or the client ends it.
async fn serve(mut stream: TcpStream, act: Act, seen: &Seen) {
    match act {
        Act::Reset => return reset(&stream),
        Act::Silent => return std::future::pending().await,
        _ => {}
    }
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer, matches!(act, Act::ReplyEarly(_))).await
    {
        seen.requests.lock().expect("nobody should have panicked").push(request);
        let (first, again) = match &act {
            Act::Reply(bytes)
            | Act::ReplyAndClose(bytes)
            | Act::ReplyAndReset(bytes)
            | Act::ReplyAndHang(bytes)
            | Act::ReplyEarly(bytes) => (bytes, None),
            Act::Endless(first, again, rest) => (first, Some((again, *rest))),
            Act::Reset | Act::Silent => return,
        };
        if write(&mut stream, first, seen).await.is_err() {
            return;
        }
        while let Some((again, rest)) = again {
            if !rest.is_zero() {
                tokio::time::sleep(rest).await;
            }
            if write(&mut stream, again, seen).await.is_err() {
                return;
            }
        }
        match act {
            Act::Reply(_) => {}
            Act::ReplyAndHang(_) | Act::ReplyEarly(_) => std::future::pending().await,
            Act::ReplyAndReset(_) => return reset(&stream),
            Act::ReplyAndClose(_) | Act::Endless(..) | Act::Reset | Act::Silent => return,
        }
    }
}

async fn write(stream: &mut TcpStream, bytes: &[u8], seen: &Seen) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    seen.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    Ok(())
}

/// Lets the connection end with a reset instead of in order.
fn reset(stream: &TcpStream) {
    stream.set_zero_linger().expect("loopback should let a connection be reset");
}

/// Reads one request, head and body by `content-length`, or the head alone.
async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>, head_only: bool) -> Option<String> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse::<usize>().expect("a length should be a number"));
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
