//! The way of spans to a collector, on a thread of its own: whatever the collector does, nobody else notices.

use std::sync::Arc;
use std::sync::mpsc as hand_over;
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::TelemetryError;
use crate::outbox::Tally;

/// How long one batch may take to reach the collector.
pub(crate) const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// How many spans go at once.
const BATCH: usize = 512;
/// How long a span waits for others to go with.
const GATHER: Duration = Duration::from_millis(200);
/// How often at most it is said that spans are lost.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// The thread that carries spans.
#[derive(Debug)]
pub(crate) struct Carrier {
    stop: Arc<Notify>,
    done: hand_over::Receiver<()>,
    tally: Arc<Tally>,
}

impl Carrier {
    /// Starts the thread; the exporter is made there, since it belongs to its runtime.
    pub(crate) fn start<E: SpanExporter + 'static>(
        make: impl FnOnce() -> Result<E, TelemetryError> + Send + 'static,
        spans: mpsc::Receiver<SpanData>,
        tally: Arc<Tally>,
    ) -> Result<Self, TelemetryError> {
        let stop = Arc::new(Notify::new());
        let (tell_made, made) = hand_over::channel();
        let (tell_done, done) = hand_over::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stopping, counts) = (Arc::clone(&stop), Arc::clone(&tally));
        std::thread::Builder::new().name("telemetry".to_owned()).spawn(move || {
            // Dropped last: whoever waits for the end sees it closed, also after a panic.
            let _done: hand_over::Sender<()> = tell_done;
            let entered = runtime.enter();
            let exporter = match make() {
                Ok(exporter) => exporter,
                Err(error) => {
                    let _gone = tell_made.send(Err(error));
                    return;
                }
            };
            drop(entered);
            let _gone = tell_made.send(Ok(()));
            runtime.block_on(carry(&exporter, spans, &stopping, &counts));
        })?;
        let ended = || TelemetryError::Thread(std::io::ErrorKind::BrokenPipe.into());
        made.recv().map_err(|_| ended())??;
        Ok(Self { stop, done, tally })
    }

    /// Sends what is queued, and waits for that as long as told; says how many spans never arrived.
    pub(crate) fn end(&self, within: Duration) -> u64 {
        self.stop.notify_one();
        let _ended_or_too_late = self.done.recv_timeout(within);
        self.tally.outstanding()
    }
}

async fn carry<E: SpanExporter>(
    exporter: &E,
    mut spans: mpsc::Receiver<SpanData>,
    stop: &Notify,
    tally: &Tally,
) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut losses = Losses::default();
    let mut open = true;
    loop {
        let received = tokio::select! {
            received = spans.recv_many(&mut batch, BATCH) => received,
            () = stop.notified(), if open => {
                open = false;
                spans.close();
                continue;
            }
        };
        if received == 0 {
            return;
        }
        if open && batch.len() < BATCH {
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = stop.notified() => {
                    open = false;
                    spans.close();
                }
            }
            while batch.len() < BATCH
                && let Ok(span) = spans.try_recv()
            {
                batch.push(span);
            }
        }
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
        let reason = match tokio::time::timeout(EXPORT_TIMEOUT, exporter.export(full)).await {
            Ok(outcome) => reason(outcome),
            Err(_) => Some("the collector did not answer in time".to_owned()),
        };
        match &reason {
            None => tally.sent(count),
            Some(_) => tally.refused(count),
        }
        losses.look(tally.lost(), reason.as_deref());
    }
}

fn reason(outcome: OTelSdkResult) -> Option<String> {
    outcome.err().map(|error| error.to_string())
}

/// What was said of lost spans.
#[derive(Debug, Default)]
struct Losses {
    said: u64,
    at: Option<Instant>,
}

impl Losses {
    /// Says that spans were lost, and how many since it was said last, but not too often.
    fn look(&mut self, lost: u64, reason: Option<&str>) {
        let now = Instant::now();
        let due = self.at.is_none_or(|at| now.duration_since(at) >= SAY_EVERY);
        if lost > self.said && due {
            let reason = reason.unwrap_or("more ended than the queue holds");
            tracing::warn!(
                spans.lost = lost - self.said,
                spans.lost_in_all = lost,
                reason,
                "spans do not reach the collector"
            );
            (self.said, self.at) = (lost, Some(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;
    use crate::outbox::{Outbox, QUEUE};
    use crate::{Kind, Span};
    use tracing_subscriber::layer::SubscriberExt as _;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A collector that takes everything, is away, or hangs.
    #[derive(Debug, Clone)]
    enum Collector {
        Takes(Arc<Mutex<Vec<SpanData>>>),
        Away,
        Hangs(hand_over::Sender<()>),
    }

    impl SpanExporter for Collector {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            match self {
                Self::Takes(spans) => spans.lock().unwrap().extend(batch),
                Self::Away => return Err(OTelSdkError::InternalFailure("away".into())),
                Self::Hangs(asked) => {
                    let _ = asked.send(());
                    std::future::pending::<()>().await;
                }
            }
            Ok(())
        }
    }

    /// Ends that many spans, whose collector is this one.
    fn carried(collector: Collector, spans: usize) -> Carrier {
        let (outbox, queue) = Outbox::new(1.0);
        let carrier = Carrier::start(move || Ok(collector), queue, outbox.tally()).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(outbox), || {
            for _ in 0..spans {
                drop(Span::start("work", Kind::Internal));
            }
        });
        carrier
    }

    #[test]
    fn what_is_queued_at_the_end_is_sent() {
        let taken = Arc::default();
        let carrier = carried(Collector::Takes(Arc::clone(&taken)), 1_000);
        assert_eq!((carrier.end(PATIENCE), taken.lock().unwrap().len()), (0, 1_000));
    }

    #[test]
    fn spans_are_counted_as_lost_when_the_collector_is_away() {
        assert_eq!(carried(Collector::Away, 10).end(PATIENCE), 10);
    }

    #[test]
    fn a_collector_that_hangs_keeps_nobody_waiting_and_what_finds_no_room_is_counted() {
        let (tell, asked) = hand_over::channel();
        let more = QUEUE + 2 * BATCH;
        let carrier = carried(Collector::Hangs(tell), more);
        asked.recv_timeout(PATIENCE).unwrap();
        // One batch is with the collector, at most another was gathered, the queue is full.
        let lost = carrier.tally.lost();
        assert!((1..=2 * BATCH as u64).contains(&lost), "{lost}");
        assert_eq!(carrier.end(Duration::from_millis(1)), more as u64);
    }

    #[test]
    fn an_exporter_that_cannot_be_made_is_told() {
        let (_, queue) = Outbox::new(1.0);
        let unusable = || TelemetryError::Endpoint { endpoint: "e".into(), reason: "r".into() };
        let refused = Carrier::start(move || Err::<Collector, _>(unusable()), queue, Arc::default());
        assert!(matches!(refused, Err(TelemetryError::Endpoint { .. })));
    }
}
