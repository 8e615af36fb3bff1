//! Spans on their way to a collector, with a tally of those that never got there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};

/// How many spans ended and how many a collector took.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    ended: AtomicU64,
    sent: AtomicU64,
}

impl Tally {
    /// Spans that ended and were not taken by a collector: still queued, or lost.
    pub(crate) fn outstanding(&self) -> u64 {
        self.ended.load(Ordering::Relaxed).saturating_sub(self.sent.load(Ordering::Relaxed))
    }
}

/// A batch processor that keeps the tally; its queue is bounded and never waited for.
#[derive(Debug)]
pub(crate) struct CountedProcessor {
    inner: BatchSpanProcessor,
    tally: Arc<Tally>,
}

impl CountedProcessor {
    pub(crate) fn new<E: SpanExporter + 'static>(exporter: E, tally: &Arc<Tally>) -> Self {
        let exporter = CountedExporter { inner: exporter, tally: Arc::clone(tally) };
        Self { inner: BatchSpanProcessor::builder(exporter).build(), tally: Arc::clone(tally) }
    }
}

impl SpanProcessor for CountedProcessor {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.tally.ended.fetch_add(1, Ordering::Relaxed);
        }
        self.inner.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[derive(Debug)]
struct CountedExporter<E> {
    inner: E,
    tally: Arc<Tally>,
}

impl<E: SpanExporter> SpanExporter for CountedExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let outcome = self.inner.export(batch).await;
        if outcome.is_ok() {
            self.tally.sent.fetch_add(spans, Ordering::Relaxed);
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::error::OTelSdkError;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    /// A collector that takes everything or is away.
    #[derive(Debug)]
    struct Collector {
        away: bool,
    }

    impl SpanExporter for Collector {
        async fn export(&self, _batch: Vec<SpanData>) -> OTelSdkResult {
            if self.away { Err(OTelSdkError::InternalFailure("away".into())) } else { Ok(()) }
        }
    }

    fn outstanding_after_ten_spans(collector: Collector) -> u64 {
        let tally = Arc::default();
        let processor = CountedProcessor::new(collector, &tally);
        let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
        let tracer = provider.tracer("test");
        for _ in 0..10 {
            drop(tracer.start("span"));
        }
        let _ = provider.shutdown();
        tally.outstanding()
    }

    #[test]
    fn spans_that_a_collector_took_are_not_counted_as_lost() {
        assert_eq!(outstanding_after_ten_spans(Collector { away: false }), 0);
    }

    #[test]
    fn spans_are_counted_as_lost_when_the_collector_is_away() {
        assert_eq!(outstanding_after_ten_spans(Collector { away: true }), 10);
    }
}
