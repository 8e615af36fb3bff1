//! The carrier of stop markers: each is brought to the dispatcher at once, and again until it is there.
//!
//! A stop is committed to the outbox with the change that needs it, so a crash or an unreachable dispatcher between the two
//! delays it and never loses it. Several replicas may carry the same stop; the dispatcher takes the highest generation.

use std::sync::Arc;
use std::time::Duration;

use sluice_runtime::{Entropy, Shutdown};
use tokio::sync::Notify;

use super::backoff::Backoff;
use crate::automation::Stop;
use crate::clients::dispatcher::Dispatcher;
use crate::error::EvaluatorError;
use crate::store::Store;

/// How long the call that made a stop waits for the dispatcher.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long one repeated try may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many stops are read at a time.
const PAGE: i64 = 100;

/// Hands stops over; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Stops {
    store: Store,
    dispatcher: Dispatcher,
    waiting: Arc<Notify>,
    /// How often the outbox is looked through for what another replica left behind.
    interval: Duration,
}

impl Stops {
    /// Carries what is in the store's outbox to the dispatcher.
    pub(crate) fn new(store: Store, dispatcher: Dispatcher, interval: Duration) -> Self {
        Self { store, dispatcher, waiting: Arc::new(Notify::new()), interval }
    }

    /// Brings a committed stop to the dispatcher. Returns when it is there, or after a second; then [`Stops::run`] goes on.
    pub(crate) async fn hand_over(&self, stop: &Stop) {
        match tokio::time::timeout(AT_ONCE, self.carry(stop)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => {
                tracing::warn!(%error, automation.id = %stop.automation, "a stop waits in the outbox")
            }
            Err(_) => {
                tracing::warn!(automation.id = %stop.automation, "the dispatcher is slow; a stop waits in the outbox")
            }
        }
        self.waiting.notify_one();
    }

    /// Carries what waits, until the shutdown.
    pub(crate) async fn run(self, entropy: Entropy, shutdown: Shutdown) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        while let Some(swept) = shutdown.or(self.sweep()).await {
            let pause = match swept {
                Ok(0) => {
                    backoff.reset();
                    None
                }
                Ok(left) => {
                    tracing::warn!(stops.waiting = left, "stops wait for the dispatcher");
                    Some(backoff.next(&entropy))
                }
                Err(error) => {
                    tracing::warn!(%error, "the outbox of stops can't be read");
                    Some(backoff.next(&entropy))
                }
            };
            let rest = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => {
                        let woken = tokio::time::timeout(self.interval, self.waiting.notified());
                        // Either way it is time to look again.
                        let _ = woken.await;
                    }
                }
            };
            if shutdown.or(rest).await.is_none() {
                return;
            }
        }
    }

    /// Tries each stop that waits once; how many are left, at least.
    async fn sweep(&self) -> Result<usize, EvaluatorError> {
        let mut left = 0;
        let mut last: Option<Stop> = None;
        loop {
            let page = self.store.stops(last.as_ref(), PAGE).await?;
            let Some(end) = page.last().cloned() else { return Ok(left) };
            for (place, stop) in page.iter().enumerate() {
                match tokio::time::timeout(PATIENCE, self.carry(stop)).await {
                    Ok(Ok(())) => {}
                    // One that is refused holds up no other; a dispatcher that does not answer is not asked again now.
                    Ok(Err(EvaluatorError::Unavailable(_))) | Err(_) => return Ok(left + page.len() - place),
                    Ok(Err(error)) => {
                        tracing::error!(%error, automation.id = %stop.automation, "a stop is refused");
                        left += 1;
                    }
                }
            }
            last = Some(end);
        }
    }

    async fn carry(&self, stop: &Stop) -> Result<(), EvaluatorError> {
        self.dispatcher.put_gate(stop).await?;
        Ok(self.store.stop_arrived(stop).await?)
    }
}
