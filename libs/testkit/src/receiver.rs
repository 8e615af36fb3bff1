//! An HTTP server on loopback that answers as told and remembers who called.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sluice_domain::Timestamp;
use sluice_runtime::Clock;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// How long [`Receiver::wait_for`] gives a slow machine before it fails the test.
const PATIENCE: Duration = Duration::from_secs(30);

/// The server; it listens until dropped. Answers 200 with an empty body where nothing else was told.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// One request as it arrived, its body whole.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Its place in the order in which requests were complete, from 0.
    pub order: usize,
    /// When it was complete, by the system's clock.
    pub at: Timestamp,
    /// The method.
    pub method: Method,
    /// Path and query as they stood in the request line.
    pub target: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// What a request is answered with.
#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(String, String)>,
    body: Bytes,
    held: bool,
    closes: bool,
}

type Script = Box<dyn FnMut(&Hit) -> Answer + Send>;

struct Shared {
    hits: watch::Sender<Vec<Hit>>,
    /// Counts the calls of `release`.
    released: watch::Sender<u64>,
    /// How many answers are held.
    holding: watch::Sender<usize>,
    scripts: Mutex<Scripts>,
}

#[derive(Default)]
struct Scripts {
    by_path: HashMap<String, VecDeque<Answer>>,
    otherwise: Option<Script>,
}

/// An answer that is held, counted as long as it is.
struct Held<'a>(&'a watch::Sender<usize>);

impl<'a> Held<'a> {
    fn new(holding: &'a watch::Sender<usize>) -> Self {
        holding.send_modify(|held| *held += 1);
        Self(holding)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|held| *held -= 1);
    }
}

/// Makes hyper close the connection without an answer.
#[derive(Debug)]
struct Closing;

impl Hit {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// The header's value as text; empty when it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("the header should be text"))
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body should be UTF-8")
    }
}

impl Answer {
    /// An empty answer with this status, such as 503.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("the status should be 100 to 999");
        Self { status, headers: Vec::new(), body: Bytes::new(), held: false, closes: false }
    }

    /// No answer at all: the connection is closed once the request is read.
    pub fn close() -> Self {
        Self { closes: true, ..Self::status(200) }
    }

    /// 200, after [`Receiver::release`] is called; until then the connection hangs.
    pub fn hang() -> Self {
        Self::status(200).held()
    }

    /// The same answer, given only after [`Receiver::release`] is called.
    #[must_use]
    pub fn held(self) -> Self {
        Self { held: true, ..self }
    }

    /// The same answer with a header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same answer with this body.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(Full::new(self.body)).expect("the answer's headers should be valid")
    }
}

impl Receiver {
    /// Starts listening on a free port of 127.0.0.1.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of loopback should be free");
        let address = listener.local_addr().expect("a listener should have an address");
        let shared = Arc::new(Shared {
            hits: watch::Sender::default(),
            released: watch::Sender::default(),
            holding: watch::Sender::default(),
            scripts: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, accepting }
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers requests to `path` (without query) with these, in order; the last one again and again.
    pub fn script(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.scripts().by_path.insert(path.to_owned(), answers.into_iter().collect());
    }

    /// Answers requests to paths without a script of their own with what `answer` says.
    pub fn answer_with(&self, answer: impl FnMut(&Hit) -> Answer + Send + 'static) {
        self.scripts().otherwise = Some(Box::new(answer));
    }

    /// Lets go all answers that are held at this moment; those of later requests are held again.
    pub fn release(&self) {
        self.shared.released.send_modify(|times| *times += 1);
    }

    /// All requests so far, in order.
    pub fn hits(&self) -> Vec<Hit> {
        self.shared.hits.borrow().clone()
    }

    /// The requests to `path` (without query) so far, in order.
    pub fn hits_at(&self, path: &str) -> Vec<Hit> {
        self.shared.hits.borrow().iter().filter(|hit| hit.path() == path).cloned().collect()
    }

    /// Returns all requests once there are `count` or more.
    ///
    /// # Panics
    /// After half a minute, with the requests there were.
    pub async fn wait_for(&self, count: usize) -> Vec<Hit> {
        let mut seen = self.shared.hits.subscribe();
        let waited = tokio::time::timeout(PATIENCE, seen.wait_for(|hits| hits.len() >= count)).await;
        match waited {
            Ok(hits) => hits.expect("the receiver should be alive").clone(),
            Err(_) => {
                let hits = self.hits();
                let lines: Vec<_> = hits.iter().map(|hit| format!("{} {}", hit.method, hit.target)).collect();
                panic!("waited for {count} requests, {} came: {lines:?}", hits.len())
            }
        }
    }

    /// Returns once `count` answers or more are held at the same time.
    ///
    /// # Panics
    /// After half a minute.
    pub async fn wait_until_held(&self, count: usize) {
        let mut holding = self.shared.holding.subscribe();
        let waited = tokio::time::timeout(PATIENCE, holding.wait_for(|held| *held >= count)).await;
        assert!(
            waited.is_ok(),
            "waited for {count} held answers, there are {}",
            *self.shared.holding.borrow()
        );
    }

    fn scripts(&self) -> std::sync::MutexGuard<'_, Scripts> {
        self.shared.scripts.lock().expect("no script should have panicked")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Ends the connections together with this task.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| serve(request, Arc::clone(&shared)));
            // Clients may hang up as they like, and `Closing` is an error on purpose.
            let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Closing> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closing)?.to_bytes();
    let mut released = shared.released.subscribe();
    let before = *released.borrow_and_update();
    let mut hit = Hit {
        order: 0,
        at: Clock::system().now(),
        method: head.method,
        target: head.uri.path_and_query().map_or_else(|| head.uri.to_string(), ToString::to_string),
        headers: head.headers,
        body,
    };
    // Decided before the hit shows, so that whoever saw it may change the script for the next one.
    let answer = {
        let mut scripts = shared.scripts.lock().expect("no script should have panicked");
        hit.order = shared.hits.borrow().len();
        let answer = scripts.answer(&hit);
        shared.hits.send_modify(|hits| hits.push(hit));
        answer
    };
    if answer.held {
        let _held = Held::new(&shared.holding);
        let _gone = released.wait_for(|times| *times > before).await;
    }
    if answer.closes { Err(Closing) } else { Ok(answer.into_response()) }
}

impl Scripts {
    fn answer(&mut self, hit: &Hit) -> Answer {
        match self.by_path.get_mut(hit.path()) {
            Some(answers) if answers.len() > 1 => answers.pop_front(),
            Some(answers) => answers.front().cloned(),
            None => self.otherwise.as_mut().map(|script| script(hit)),
        }
        .unwrap_or_else(|| Answer::status(200))
    }
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("told to close the connection")
    }
}

impl std::error::Error for Closing {}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    /// Sends one request and returns all that comes back.
    async fn send(address: SocketAddr, method: &str, target: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn answers_come_in_the_scripts_order_and_the_last_one_stays() {
        let receiver = Receiver::start().await;
        receiver.script(
            "/hook",
            [Answer::status(503).header("retry-after", "7"), Answer::status(200).body("ok")],
        );
        let first = send(receiver.address(), "POST", "/hook?a=1", "", "{}").await;
        assert!(first.starts_with("HTTP/1.1 503 ") && first.contains("\r\nretry-after: 7\r\n"), "{first}");
        for _ in 0..2 {
            let later = send(receiver.address(), "POST", "/hook", "", "{}").await;
            assert!(later.starts_with("HTTP/1.1 200 OK") && later.ends_with("\r\n\r\nok"), "{later}");
        }
    }

    #[tokio::test]
    async fn a_hit_holds_the_whole_request() {
        let receiver = Receiver::start().await;
        receiver.answer_with(|hit| Answer::status(if hit.header("x-key") == "k" { 204 } else { 401 }));
        let answer = send(receiver.address(), "PUT", "/a%2Fb?q=1", "x-key: k\r\n", "body").await;
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        let [hit] = &receiver.wait_for(1).await[..] else { panic!("one hit") };
        assert_eq!((hit.order, hit.method.as_str(), hit.target.as_str()), (0, "PUT", "/a%2Fb?q=1"));
        assert_eq!((hit.path(), hit.text()), ("/a%2Fb", "body"));
        assert_eq!(receiver.hits_at("/a%2Fb").len(), 1);
    }

    #[tokio::test]
    async fn a_held_answer_comes_when_released() {
        let receiver = Receiver::start().await;
        receiver.script("/slow", [Answer::hang(), Answer::status(202)]);
        let address = receiver.address();
        let held = tokio::spawn(async move { send(address, "GET", "/slow", "", "").await });
        receiver.wait_for(1).await;
        assert!(send(address, "GET", "/slow", "", "").await.starts_with("HTTP/1.1 202 "));
        assert!(!held.is_finished());
        receiver.release();
        assert!(held.await.unwrap().starts_with("HTTP/1.1 200 "));
    }

    #[tokio::test]
    async fn a_closed_connection_is_no_answer_for_the_client_and_a_hit_here() {
        let receiver = Receiver::start().await;
        receiver.script("/gone", [Answer::close()]);
        assert_eq!(send(receiver.address(), "GET", "/gone", "", "").await, "");
        assert_eq!(receiver.hits_at("/gone").len(), 1);
    }
}
