//! The receiver of the run, as the client sees it.

use std::collections::HashMap;
use std::net::SocketAddr;

use anyhow::Context as _;

use crate::part::child::Part;
use crate::part::receiver::{HOOK, RESET, SECRETS, Tally, UNTIL};

/// A running receiver.
#[derive(Debug)]
pub(crate) struct Receiving {
    part: Part,
    address: SocketAddr,
    control: reqwest::Client,
}

impl Receiving {
    /// Starts it.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let mut part = Part::start("receiver", &()).await?;
        let address = part.answer().await?;
        let control = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { part, address, control })
    }

    /// The operating system's id of it.
    pub(crate) const fn process(&self) -> u32 {
        self.part.id()
    }

    /// Where the hits of an account go.
    pub(crate) fn url(&self, account: usize) -> String {
        format!("http://{}{}", self.address, path(account))
    }

    /// Tells it what signs the requests of each account, by number, and empties its ledger.
    pub(crate) async fn learn(&self, secrets: &[String]) -> anyhow::Result<()> {
        let told: HashMap<String, String> =
            secrets.iter().enumerate().map(|(at, secret)| (path(at), secret.clone())).collect();
        self.post(SECRETS, serde_json::to_string(&told)?).await.map(drop)
    }

    /// Empties its ledger.
    pub(crate) async fn reset(&self) -> anyhow::Result<()> {
        self.post(RESET, String::new()).await.map(drop)
    }

    /// What arrived, once so many different deliveries have, or none came for a minute.
    pub(crate) async fn until(&self, distinct: usize) -> anyhow::Result<Tally> {
        let said = self.post(UNTIL, distinct.to_string()).await?;
        Ok(serde_json::from_str(&said)?)
    }

    /// Ends it.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.part.end().await
    }

    async fn post(&self, path: &str, body: String) -> anyhow::Result<String> {
        let url = format!("http://{}{path}", self.address);
        let answer = self.control.post(url).body(body).send().await?.error_for_status();
        answer?.text().await.context("the receiver's answer")
    }
}

fn path(account: usize) -> String {
    format!("{HOOK}{account}")
}
