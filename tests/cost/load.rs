//! Events sent one by one by several clients, and how long that took.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proto::evaluator::v1::IngestOutcome;
use sluice_runtime::Clock;
use sluice_testkit::Receiver;
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{Deployment, House, PARENT};
use tokio::task::JoinSet;

const CLIENTS: usize = 4;

/// A house under load: each event sets off one request to a receiver of its own.
#[derive(Debug)]
pub(crate) struct Site {
    house: House,
    receiver: Receiver,
    sent: usize,
}

/// How a round went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    /// From the first call to the last answer.
    pub(crate) took: Duration,
    /// Half of the calls were answered sooner.
    pub(crate) median: Duration,
}

impl Site {
    /// Opens a house that sends its spans there.
    pub(crate) async fn open(deployment: Deployment, collector: &str) -> Self {
        let setup = House::setup(deployment).outside().on_plan("boundless");
        let house = setup.with(format!("telemetry.otlp_endpoint={collector}")).open().await;
        let receiver = Receiver::start().await;
        let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
        house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
        Self { house, receiver, sent: 0 }
    }

    /// Sends so many events; returns when all are delivered, so that nothing is left for the next round to carry.
    pub(crate) async fn round(&mut self, events: usize) -> Round {
        let next = Arc::new(AtomicUsize::new(self.sent));
        self.sent += events;
        let end = self.sent;
        let clock = Clock::system();
        let began = clock.now();
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (producer, next, clock) = (self.house.producer(), Arc::clone(&next), clock.clone());
            clients.spawn(async move {
                let mut answered = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end {
                        return answered;
                    }
                    let began = clock.now();
                    let answer = producer.ingest(PARENT, won(&format!("e-{number}"))).await.unwrap();
                    answered.push(clock.now().since(began).to_duration());
                    assert_eq!(answer.outcome(), IngestOutcome::Accepted);
                }
            });
        }
        let mut answered = clients.join_all().await.concat();
        let took = clock.now().since(began).to_duration();
        self.receiver.wait_for(self.sent).await;
        answered.sort_unstable();
        Round { took, median: answered[answered.len() / 2] }
    }
}
