//! The demo's hold on its receiver: starts the process, speaks to its control endpoints.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::Method;
use sluice_egress::{BodyCaps, Egress, Policy, Request, Timeouts};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use url::Url;

use super::ledger::{Broken, Hit};
use super::receiver::{BROKEN, LEDGER, SECRETS};

/// Most of a ledger that is read: some 100,000 hits.
const LEDGER_BYTES: usize = 32 * 1024 * 1024;

/// A receiver under way. Its process ends with this value.
pub struct ReceiverProcess {
    base: Url,
    egress: Egress,
    /// Holds the process's standard input open, and kills it when dropped.
    child: Child,
}

impl ReceiverProcess {
    /// Starts `program demo-receiver` and waits for its address.
    ///
    /// # Errors
    /// When the process does not start or says no address.
    pub async fn start(program: &Path, forget_one: bool) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.arg("demo-receiver").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        if forget_one {
            command.arg("--forget-one");
        }
        let mut child = command.spawn().with_context(|| format!("can't start {}", program.display()))?;
        let stdout = child.stdout.take().context("the receiver has no standard output")?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        let address = line.context("the receiver ended before it said its address")?;
        let base = Url::parse(&format!("http://{address}/")).context("the receiver's address")?;
        let caps = BodyCaps { keep: LEDGER_BYTES, read: LEDGER_BYTES };
        let egress = Egress::new(Policy::development(), Timeouts::default(), caps)?;
        Ok(Self { base, egress, child })
    }

    /// Where it listens: `http://127.0.0.1:port/`.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The id of its process, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Tells it a secret that signatures may be made with.
    ///
    /// # Errors
    /// When it does not answer, or not well; so for the other calls.
    pub async fn add_secret(&self, secret: &str) -> anyhow::Result<()> {
        self.control(Method::POST, SECRETS, secret.to_owned().into()).await.map(drop)
    }

    /// Lets paths that begin with `prefix` answer `status`.
    pub async fn break_paths(&self, prefix: &str, status: u16) -> anyhow::Result<()> {
        let broken = serde_json::to_vec(&Broken { prefix: prefix.to_owned(), status })?;
        self.control(Method::PUT, BROKEN, broken.into()).await.map(drop)
    }

    /// Lets all paths answer well again.
    pub async fn mend(&self) -> anyhow::Result<()> {
        self.control(Method::DELETE, BROKEN, Bytes::new()).await.map(drop)
    }

    /// What it has seen so far.
    pub async fn ledger(&self) -> anyhow::Result<Vec<Hit>> {
        let body = self.control(Method::GET, LEDGER, Bytes::new()).await?;
        serde_json::from_slice(&body).context("the receiver's ledger")
    }

    async fn control(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Bytes> {
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        let request =
            Request { method, url: self.base.join(path)?, headers, body, first_byte: None, total: None };
        let answer = match self.egress.send(request).await {
            Ok(answer) => answer,
            Err(error) => bail!("the demo's receiver does not answer: {error}"),
        };
        ensure!(answer.status == 200, "the demo's receiver answered {} to {path}", answer.status);
        ensure!(!answer.body_truncated, "the receiver's answer to {path} is too long");
        Ok(answer.body)
    }
}
