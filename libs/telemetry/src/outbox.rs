//! Spans that ended, queued for the collector up to a bound; nobody ever waits to put one in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanKind, TraceId};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample as _, SpanData};
use tokio::sync::mpsc;
use tracing_subscriber::Layer;

use crate::context::TraceContext;

/// How many spans may wait for a collector that is slow or away; beyond that they are dropped.
pub(crate) const QUEUE: usize = 8_192;

/// How many spans ended, how many of them found no room, and how many a collector took.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    ended: AtomicU64,
    dropped: AtomicU64,
    sent: AtomicU64,
    refused: AtomicU64,
}

impl Tally {
    /// Spans that ended and were not taken by a collector: still queued, or lost.
    pub(crate) fn outstanding(&self) -> u64 {
        self.ended.load(Ordering::Relaxed).saturating_sub(self.sent.load(Ordering::Relaxed))
    }

    /// Spans that no collector will get: for want of room, or because it refused them or did not answer.
    pub(crate) fn lost(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed) + self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn sent(&self, spans: u64) {
        self.sent.fetch_add(spans, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, spans: u64) {
        self.refused.fetch_add(spans, Ordering::Relaxed);
    }
}

/// Where spans go when they end. It hangs in the process's subscriber, so that it is found wherever lines find theirs; it sees
/// none of the subscriber's own spans and lines.
#[derive(Debug, Clone)]
pub(crate) struct Outbox(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    queue: mpsc::Sender<SpanData>,
    tally: Arc<Tally>,
    sampler: Sampler,
    scope: InstrumentationScope,
}

impl Outbox {
    /// An outbox that samples this share of the traces that begin here, and where its spans come out.
    pub(crate) fn new(trace_ratio: f64) -> (Self, mpsc::Receiver<SpanData>) {
        let (queue, spans) = mpsc::channel(QUEUE);
        let sampler = Sampler::TraceIdRatioBased(trace_ratio);
        let scope = InstrumentationScope::builder("sluice").with_version(env!("CARGO_PKG_VERSION")).build();
        (Self(Arc::new(Parts { queue, tally: Arc::default(), sampler, scope })), spans)
    }

    /// The one of the process, if it sends spans anywhere.
    pub(crate) fn current() -> Option<Self> {
        tracing::dispatcher::get_default(|dispatch| dispatch.downcast_ref::<Self>().cloned())
    }

    pub(crate) fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.0.tally)
    }

    pub(crate) fn scope(&self) -> InstrumentationScope {
        self.0.scope.clone()
    }

    /// The context, sampled or not as the ratio says: all processes of a deployment decide alike for the same trace.
    pub(crate) fn sampled(&self, context: TraceContext) -> TraceContext {
        let trace_id = TraceId::from_bytes(context.trace_id());
        let result = self.0.sampler.should_sample(None, trace_id, "", &SpanKind::Internal, &[], &[]);
        context.with_sampled(result.decision == SamplingDecision::RecordAndSample)
    }

    /// Puts a span in, or drops and counts it.
    pub(crate) fn put(&self, span: SpanData) {
        self.0.tally.ended.fetch_add(1, Ordering::Relaxed);
        if self.0.queue.try_send(span).is_err() {
            self.0.tally.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<S: tracing::Subscriber> Layer<S> for Outbox {}
