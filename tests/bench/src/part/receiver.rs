//! The receiver: answers 200, counts, tells repeated deliveries from new ones, verifies the signatures of a sample.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use sluice_runtime::Clock;
use sluice_signing::{
    DEFAULT_TOLERANCE_SECONDS, HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Secret, SignedHeaders, verify,
};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::child;
use crate::figures::percentile;

/// Where hits go: `/hook/` and the account's number.
pub(crate) const HOOK: &str = "/hook/";
/// `POST`: a JSON object of signing secrets by path. Empties the ledger.
pub(crate) const SECRETS: &str = "/-/secrets";
/// `POST`: how many different deliveries to wait for, as text. Answers a [`Tally`] when they are there or a minute has
/// passed without a new one.
pub(crate) const UNTIL: &str = "/-/until";
/// `POST`: empties the ledger.
pub(crate) const RESET: &str = "/-/reset";
/// When the request was asked for, in microseconds since the epoch.
pub(crate) const SENT: &str = "bench-sent";

/// One in so many signatures is verified.
const SAMPLE: u64 = 64;
const SHARDS: usize = 16;
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// What arrived since the ledger was emptied.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) hits: u64,
    pub(crate) distinct: u64,
    pub(crate) verified: u64,
    pub(crate) forged: u64,
    /// Microseconds since the epoch.
    pub(crate) last_hit: u64,
    /// Microseconds from [`SENT`] to the hit.
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}

#[derive(Default)]
struct Shard {
    seen: HashSet<u64>,
    latencies: Vec<u64>,
}

struct Ledger {
    clock: Clock,
    hasher: RandomState,
    hits: AtomicU64,
    verified: AtomicU64,
    forged: AtomicU64,
    last_hit: AtomicU64,
    distinct: watch::Sender<u64>,
    shards: [Mutex<Shard>; SHARDS],
    secrets: Mutex<Arc<HashMap<String, Secret>>>,
}

/// Serves until standard input closes.
pub(crate) async fn run() -> anyhow::Result<()> {
    let ((), stdin) = child::told().await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address: SocketAddr = listener.local_addr()?;
    let ledger = Arc::new(Ledger {
        clock: Clock::system(),
        hasher: RandomState::new(),
        hits: AtomicU64::new(0),
        verified: AtomicU64::new(0),
        forged: AtomicU64::new(0),
        last_hit: AtomicU64::new(0),
        distinct: watch::Sender::new(0),
        shards: Default::default(),
        secrets: Mutex::default(),
    });
    child::answer(&address)?;
    tokio::select! {
        () = serve(listener, ledger) => Ok(()),
        () = child::closed(stdin) => Ok(()),
    }
}

async fn serve(listener: TcpListener, ledger: Arc<Ledger>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&ledger), request));
            // What ends a connection is the client's business; what did not arrive is missing in the tally.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    ledger: Arc<Ledger>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Ok(plain(StatusCode::BAD_REQUEST, Bytes::new()));
    };
    let path = head.uri.path();
    if path.starts_with(HOOK) {
        ledger.record(path, &head.headers, &body);
        return Ok(plain(StatusCode::OK, Bytes::new()));
    }
    let said = match path {
        SECRETS => ledger.learn(&body),
        UNTIL => ledger.until(&body).await,
        RESET => {
            ledger.reset();
            Some(Bytes::new())
        }
        _ => None,
    };
    Ok(said.map_or_else(|| plain(StatusCode::BAD_REQUEST, Bytes::new()), |said| plain(StatusCode::OK, said)))
}

fn plain(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    fn record(&self, path: &str, headers: &HeaderMap, body: &Bytes) {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let now = u64::try_from(self.clock.now().as_micros()).unwrap_or(0);
        let id = self.hasher.hash_one(text(HEADER_ID));
        let new = {
            let mut shard = locked(&self.shards[usize::try_from(id).unwrap_or(0) % SHARDS]);
            if let Ok(sent) = text(SENT).parse::<u64>() {
                shard.latencies.push(now.saturating_sub(sent));
            }
            shard.seen.insert(id)
        };
        self.last_hit.fetch_max(now, Ordering::Relaxed);
        if self.hits.fetch_add(1, Ordering::Relaxed).is_multiple_of(SAMPLE) {
            let signed = SignedHeaders {
                id: text(HEADER_ID),
                timestamp: text(HEADER_TIMESTAMP),
                signature: text(HEADER_SIGNATURE),
            };
            let secrets = Arc::clone(&locked(&self.secrets));
            let seconds = i64::try_from(now / 1_000_000).unwrap_or(0);
            let right = secrets.get(path).is_some_and(|secret| {
                verify(signed, body, &[secret], seconds, DEFAULT_TOLERANCE_SECONDS).is_ok()
            });
            if right { &self.verified } else { &self.forged }.fetch_add(1, Ordering::Relaxed);
        }
        if new {
            self.distinct.send_modify(|distinct| *distinct += 1);
        }
    }

    fn learn(&self, body: &[u8]) -> Option<Bytes> {
        let told: HashMap<String, String> = serde_json::from_slice(body).ok()?;
        let parsed: Option<HashMap<String, Secret>> =
            told.into_iter().map(|(path, secret)| Some((path, Secret::parse(&secret).ok()?))).collect();
        *locked(&self.secrets) = Arc::new(parsed?);
        self.reset();
        Some(Bytes::new())
    }

    fn reset(&self) {
        for shard in &self.shards {
            *locked(shard) = Shard::default();
        }
        for count in [&self.hits, &self.verified, &self.forged, &self.last_hit] {
            count.store(0, Ordering::Relaxed);
        }
        self.distinct.send_replace(0);
    }

    async fn until(&self, body: &[u8]) -> Option<Bytes> {
        let wanted: u64 = std::str::from_utf8(body).ok()?.trim().parse().ok()?;
        let mut distinct = self.distinct.subscribe();
        loop {
            let before = *distinct.borrow_and_update();
            if before >= wanted {
                break;
            }
            let more = tokio::time::timeout(PATIENCE, distinct.wait_for(|now| *now >= wanted)).await;
            if more.is_err() && *self.distinct.borrow() == before {
                break;
            }
        }
        let mut latencies: Vec<u64> = Vec::new();
        for shard in &self.shards {
            latencies.extend_from_slice(&locked(shard).latencies);
        }
        let tally = Tally {
            hits: self.hits.load(Ordering::Relaxed),
            distinct: *self.distinct.borrow(),
            verified: self.verified.load(Ordering::Relaxed),
            forged: self.forged.load(Ordering::Relaxed),
            last_hit: self.last_hit.load(Ordering::Relaxed),
            p50: percentile(&mut latencies, 0.5),
            p99: percentile(&mut latencies, 0.99),
        };
        serde_json::to_vec(&tally).ok().map(Bytes::from)
    }
}
