//! One run through the suite: events in, deliveries out, and what that used.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use proto::dispatcher::v1::execution_service_client::ExecutionServiceClient;
use proto::dispatcher::v1::{ExecutionState, ListExecutionsRequest};
use sluice_auth::{Principal, Scope};
use sluice_runtime::Clock;

use super::accounts;
use super::house::House;
use super::load::Producer;
use super::receiving::Receiving;
use crate::cli::Mode;
use crate::part::receiver::Tally;
use crate::usage;

/// Events of a warm-up.
const WARM_UP: usize = 1_024;
/// After the last hit, until its end is committed.
const SETTLED: Duration = Duration::from_millis(200);
/// Executions of a page of the history.
const PAGE: i32 = 1_000;

/// What one run came to.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) accepted_per_s: f64,
    pub(crate) delivered_per_s: f64,
    /// Processor seconds in all, by process.
    pub(crate) cpu: BTreeMap<&'static str, f64>,
    pub(crate) events: usize,
    pub(crate) duplicates: u64,
    pub(crate) lost: u64,
    pub(crate) refused: u64,
    pub(crate) db_bytes: u64,
    pub(crate) tally: Tally,
}

/// Runs on one suite, one after another.
#[derive(Debug)]
pub(crate) struct Deliveries<'a> {
    house: &'a House,
    receiving: &'a Receiving,
    calls: Option<usize>,
    clock: Clock,
    runs: usize,
    delivered: u64,
}

impl<'a> Deliveries<'a> {
    pub(crate) fn new(house: &'a House, receiving: &'a Receiving, calls: Option<usize>) -> Self {
        Self { house, receiving, calls, clock: Clock::system(), runs: 0, delivered: 0 }
    }

    /// The suite that it runs on.
    pub(crate) const fn house(&self) -> &House {
        self.house
    }

    /// Sends some events before anything is measured.
    pub(crate) async fn warm_up(&mut self, mode: Mode) -> anyhow::Result<()> {
        self.run(mode, WARM_UP).await.map(drop)
    }

    /// Sends the events as fast as they are taken, and waits for the last delivery.
    pub(crate) async fn run(&mut self, mode: Mode, events: usize) -> anyhow::Result<Run> {
        let producer = Producer::new(self.house)?;
        let under_way = self.calls.unwrap_or(mode.calls());
        self.observe(events, &producer, async |producer, run| {
            producer.send(run, mode, events, under_way).await
        })
        .await
    }

    /// Sends the events at a steady rate, one by one, and waits for the last delivery.
    pub(crate) async fn run_at(&mut self, per_second: f64, events: usize) -> anyhow::Result<Run> {
        let producer = Producer::new(self.house)?;
        self.observe(events, &producer, async |producer, run| producer.send_at(run, per_second, events).await)
            .await
    }

    async fn observe(
        &mut self,
        events: usize,
        producer: &Producer,
        send: impl AsyncFnOnce(&Producer, &str) -> anyhow::Result<()>,
    ) -> anyhow::Result<Run> {
        self.runs += 1;
        self.receiving.reset().await?;
        let (before, bytes) = (self.cpu()?, self.house.stores().bytes().await?);
        let start = self.micros();
        send(producer, &format!("r{}", self.runs)).await?;
        let accepted = self.micros();
        let tally = self.receiving.until(events).await?;
        tokio::time::sleep(SETTLED).await;
        let after = self.cpu()?;
        self.delivered += tally.distinct;
        ensure!(tally.forged == 0, "{} signatures did not verify", tally.forged);
        let rate = |end: u64| events as f64 / (end.saturating_sub(start).max(1) as f64 / 1e6);
        Ok(Run {
            accepted_per_s: rate(accepted),
            delivered_per_s: rate(tally.last_hit),
            cpu: after.into_iter().map(|(part, seconds)| (part, seconds - before[part])).collect(),
            events,
            duplicates: tally.hits - tally.distinct,
            lost: (events as u64).saturating_sub(tally.distinct),
            refused: producer.refused(),
            db_bytes: self.house.stores().bytes().await?.saturating_sub(bytes),
            tally,
        })
    }

    /// Checks that the history has an execution that succeeded for each delivery, and no other.
    pub(crate) async fn history_is_complete(&self) -> anyhow::Result<()> {
        let who = Principal::new(None, "ops".parse()?, [], [Scope::ExecutionsRead, Scope::AccountsAny]);
        let mut executions = ExecutionServiceClient::new(self.house.door().transport(&who)?);
        let mut shown = 0;
        for account in 0..self.house.accounts() {
            let mut request = ListExecutionsRequest {
                parent: format!("accounts/{}", accounts::name(account)),
                page_size: PAGE,
                state: ExecutionState::Succeeded.into(),
                ..ListExecutionsRequest::default()
            };
            loop {
                let page = executions.list_executions(request.clone()).await?.into_inner();
                shown += page.executions.len() as u64;
                request.page_token = page.next_page_token;
                if request.page_token.is_empty() {
                    break;
                }
            }
        }
        ensure!(shown == self.delivered, "{} deliveries, {shown} executions that succeeded", self.delivered);
        Ok(())
    }

    fn cpu(&self) -> anyhow::Result<BTreeMap<&'static str, f64>> {
        Ok(BTreeMap::from([
            ("client", usage::cpu_seconds(std::process::id())?),
            ("suite", usage::cpu_seconds(self.house.process())?),
            ("receiver", usage::cpu_seconds(self.receiving.process())?),
            ("database", self.house.stores().cpu_seconds()?),
        ]))
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.clock.now().as_micros()).unwrap_or(0)
    }
}
