//! From the call that sends an event to the request that arrives.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluice_domain::Timestamp;
use sluice_runtime::Clock;
use sluice_testkit::{Answer, Receiver};
use tokio::task::JoinSet;

use super::tenant::Tenant;

/// A receiver that answers at once and writes down when each event arrived.
#[derive(Debug)]
pub(crate) struct Arrivals {
    receiver: Receiver,
    at: Arc<Mutex<HashMap<String, Timestamp>>>,
}

/// How it went for some events.
#[derive(Debug, Clone)]
pub(crate) struct Starts {
    /// From each call to its request, the shortest first.
    delays: Vec<Duration>,
    /// From the first call to the last request.
    pub(crate) took: Duration,
}

impl Arrivals {
    pub(crate) async fn start() -> Self {
        let receiver = Receiver::start().await;
        let at = Arc::<Mutex<HashMap<String, Timestamp>>>::default();
        let (clock, written) = (Clock::system(), Arc::clone(&at));
        receiver.answer_with(move |hit| {
            written
                .lock()
                .unwrap()
                .entry(hit.text().trim_matches('"').to_owned())
                .or_insert_with(|| clock.now());
            Answer::status(200)
        });
        Self { receiver, at }
    }

    pub(crate) fn url(&self) -> String {
        self.receiver.url("/in")
    }

    /// Each tenant sends so many events of this title, one after another, at this pace or as fast as they are answered.
    pub(crate) async fn measure(
        &self,
        tenants: &[Tenant],
        (round, title): (&str, &str),
        events: usize,
        pace: Option<Duration>,
    ) -> Starts {
        let clock = Clock::system();
        let (began, before) = (clock.now(), self.receiver.hits().len());
        let mut senders = JoinSet::new();
        for (number, tenant) in tenants.iter().enumerate() {
            let (tenant, round, title, clock) =
                (tenant.clone(), round.to_owned(), title.to_owned(), clock.clone());
            senders.spawn(async move {
                let mut sent = Vec::with_capacity(events);
                for event in 0..events {
                    let (id, at) = (format!("{round}-{number}-{event}"), clock.now());
                    tenant.send(&id, &title).await;
                    sent.push((id, at));
                    if let Some(pace) = pace {
                        let passed = clock.now().since(at).to_duration();
                        tokio::time::sleep(pace.saturating_sub(passed)).await;
                    }
                }
                sent
            });
        }
        let sent = senders.join_all().await.concat();
        self.receiver.wait_for(before + sent.len()).await;
        let took = clock.now().since(began).to_duration();
        let at = self.at.lock().unwrap();
        let mut delays: Vec<Duration> =
            sent.iter().map(|(id, sent)| at[id].since(*sent).to_duration()).collect();
        delays.sort_unstable();
        Starts { delays, took }
    }
}

impl Starts {
    /// So many in a thousand were as fast as this or faster.
    pub(crate) fn per_mille(&self, part: usize) -> Duration {
        self.delays[(self.delays.len() * part / 1_000).min(self.delays.len() - 1)]
    }
}

impl fmt::Display for Starts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |part| self.per_mille(part).as_secs_f64() * 1_000.0;
        write!(
            f,
            "p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms, {} in {:.2} s",
            ms(500),
            ms(990),
            ms(1_000),
            self.delays.len(),
            self.took.as_secs_f64()
        )
    }
}
