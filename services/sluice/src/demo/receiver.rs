//! The demo's receiver, a process of its own: verifies every signature, keeps the ledger, breaks on request.

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Json, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::routing::{get, post, put};
use sha2::{Digest, Sha256};
use sluice_runtime::Clock;
use sluice_signing::{
    DEFAULT_TOLERANCE_SECONDS, HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Secret, SignedHeaders, verify,
};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::ledger::{Broken, Hit, Ledger};

/// Where secrets are told to the receiver: `POST`, the secret as text.
pub const SECRETS: &str = "/control/secrets";
/// Where it is broken (`PUT`, a [`Broken`]) and mended (`DELETE`).
pub const BROKEN: &str = "/control/broken";
/// Where the ledger is read: `GET`, a list of [`Hit`]s.
pub const LEDGER: &str = "/control/ledger";

#[derive(Clone)]
struct Receiver {
    clock: Clock,
    state: Arc<Mutex<Kept>>,
}

struct Kept {
    ledger: Ledger,
    secrets: Vec<Secret>,
}

/// Serves on a free port of the loopback interface, prints its address as one line, and ends when standard input closes.
///
/// # Errors
/// When it can't listen or print.
pub async fn run(forget_one: bool) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", listener.local_addr()?)?;
    stdout.flush()?;
    drop(stdout);
    let kept = Kept { ledger: Ledger::new(forget_one), secrets: Vec::new() };
    let receiver = Receiver { clock: Clock::system(), state: Arc::new(Mutex::new(kept)) };
    tokio::select! {
        served = axum::serve(listener, router(receiver)) => Ok(served?),
        () = stdin_closed() => Ok(()),
    }
}

fn router(receiver: Receiver) -> Router {
    Router::new()
        .route(SECRETS, post(add_secret))
        .route(BROKEN, put(break_paths).delete(mend))
        .route(LEDGER, get(read_ledger))
        .fallback(hook)
        .with_state(receiver)
}

async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    let mut buffer = [0; 64];
    while let Ok(1..) = stdin.read(&mut buffer).await {}
}

impl Receiver {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn hook(
    State(receiver): State<Receiver>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (now, _) = receiver.clock.now().to_unix();
    let signed = SignedHeaders {
        id: header(HEADER_ID),
        timestamp: header(HEADER_TIMESTAMP),
        signature: header(HEADER_SIGNATURE),
    };
    let path = uri.path_and_query().map_or(uri.path(), |path| path.as_str());

    let mut kept = receiver.kept();
    let verified = verify(signed, &body, &kept.secrets, now, DEFAULT_TOLERANCE_SECONDS).is_ok();
    let status = kept.ledger.status_for(path, verified);
    kept.ledger.record(Hit {
        method: method.to_string(),
        path: path.to_owned(),
        webhook_id: signed.id.to_owned(),
        execution: header("sluice-execution").to_owned(),
        attempt: header("sluice-attempt").parse().unwrap_or(0),
        status,
        verified,
        body_sha256: Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect(),
    });
    let said = match status {
        200 => "thank you\n",
        401 => "the signature does not verify\n",
        _ => "out of order\n",
    };
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), said)
}

async fn add_secret(State(receiver): State<Receiver>, text: String) -> Result<(), (StatusCode, String)> {
    let secret = Secret::parse(text.trim()).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    receiver.kept().secrets.push(secret);
    Ok(())
}

async fn break_paths(State(receiver): State<Receiver>, Json(broken): Json<Broken>) {
    receiver.kept().ledger.set_broken(Some(broken));
}

async fn mend(State(receiver): State<Receiver>) {
    receiver.kept().ledger.set_broken(None);
}

async fn read_ledger(State(receiver): State<Receiver>) -> Json<Vec<Hit>> {
    Json(receiver.kept().ledger.hits().to_vec())
}
