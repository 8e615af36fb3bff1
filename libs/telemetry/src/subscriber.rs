//! Sets the process's tracing subscriber up.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use thiserror::Error;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::export::{CountedProcessor, Tally};

/// How long one batch may take to reach the collector, and the last ones at the end.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Whose spans never go to the collector: they stem from the very connection that would carry them.
const CARRIERS: [&str; 5] = ["h2", "hyper", "tonic", "tower", "opentelemetry"];

/// What a process tells, and whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// The service's name in traces, such as `sluice-registry`.
    pub service_name: String,
    /// Directives such as `info` or `warn,sluice_dispatcher=debug`.
    pub filter: String,
    /// Lines as JSON objects instead of text.
    pub json: bool,
    /// Where an OTLP collector listens for gRPC, such as `http://localhost:4317`; without it no spans are sent.
    pub otlp_endpoint: Option<String>,
}

/// Why telemetry could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("the log filter `{filter}` is not understood: {reason}")]
    Filter {
        /// As it was given.
        filter: String,
        /// What the parser says.
        reason: String,
    },
    /// The endpoint cannot be used.
    #[error("the OTLP endpoint `{endpoint}` cannot be used: {reason}")]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// What the exporter says.
        reason: String,
    },
    /// An exporter needs a Tokio runtime around it.
    #[error("spans can be sent to a collector only from within a Tokio runtime")]
    NoRuntime,
    /// The process has a subscriber already.
    #[error("telemetry was set up before in this process")]
    Twice,
}

/// Keeps the exporter going; sends what is still queued, for at most five seconds, when dropped.
///
/// Dropping blocks the thread: do it at the very end, with the runtime of several threads still there.
#[derive(Debug)]
#[must_use = "spans still queued are lost unless the guard lives until the process ends"]
pub struct Guard {
    exporter: Option<Exporter>,
}

#[derive(Debug)]
struct Exporter {
    provider: SdkTracerProvider,
    tally: Arc<Tally>,
}

impl Guard {
    /// Spans that ended and that no collector has taken: still queued, or lost.
    pub fn spans_outstanding(&self) -> u64 {
        self.exporter.as_ref().map_or(0, |exporter| exporter.tally.outstanding())
    }

    /// Sends what is still queued, and says how many spans were lost in the life of the process.
    pub fn shutdown(mut self) -> u64 {
        self.end()
    }

    fn end(&mut self) -> u64 {
        let Some(exporter) = self.exporter.take() else { return 0 };
        let outcome = exporter.provider.shutdown_with_timeout(EXPORT_TIMEOUT);
        let lost = exporter.tally.outstanding();
        if lost > 0 {
            let reason = outcome.err().map(|error| error.to_string());
            tracing::warn!(spans.lost = lost, reason, "spans were lost on the way to the collector");
        }
        lost
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sets the process's subscriber up. Call it once, from within the Tokio runtime if there is an OTLP endpoint.
///
/// # Errors
/// When the configuration cannot be used, or a subscriber is set already.
pub fn init(config: &TelemetryConfig) -> Result<Guard, TelemetryError> {
    let (subscriber, guard) = subscriber(config, io::stderr)?;
    subscriber.try_init().map_err(|_| TelemetryError::Twice)?;
    Ok(guard)
}

fn subscriber<W>(
    config: &TelemetryConfig,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync + 'static, Guard), TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(&config.filter).map_err(
            |error| TelemetryError::Filter { filter: config.filter.clone(), reason: error.to_string() },
        )?;
    let exporter = config
        .otlp_endpoint
        .as_deref()
        .map(|endpoint| exporter(&config.service_name, endpoint))
        .transpose()?;
    let spans = exporter.as_ref().map(|exporter| {
        tracing_opentelemetry::layer()
            .with_tracer(exporter.provider.tracer("sluice"))
            .with_filter(filter_fn(|about| !is_carrier(about.target())))
    });
    let subscriber = tracing_subscriber::registry().with(filter).with(spans).with(lines(config.json, writer));
    Ok((subscriber, Guard { exporter }))
}

fn is_carrier(target: &str) -> bool {
    let first = target.split("::").next().unwrap_or(target);
    CARRIERS.iter().any(|carrier| first.split('_').next() == Some(*carrier))
}

fn lines<S, W>(json: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    if json { Box::new(lines.json().flatten_event(true)) } else { Box::new(lines.with_ansi(false)) }
}

fn exporter(service_name: &str, endpoint: &str) -> Result<Exporter, TelemetryError> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(TelemetryError::NoRuntime);
    }
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|error| TelemetryError::Endpoint {
            endpoint: endpoint.to_owned(),
            reason: error.to_string(),
        })?;
    let tally = Arc::default();
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name(service_name.to_owned()).build())
        .with_span_processor(CountedProcessor::new(exporter, &tally))
        .build();
    Ok(Exporter { provider, tally })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::current_trace_context;

    fn config() -> TelemetryConfig {
        TelemetryConfig {
            service_name: "test".into(),
            filter: "info,quiet=off".into(),
            json: true,
            otlp_endpoint: None,
        }
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(config: &TelemetryConfig) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let (subscriber, _guard) = subscriber(config, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(noun.count = 3, "counted");
            tracing::debug!("too fine");
            tracing::error!(target: "quiet", "not asked for");
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn only_what_the_filter_lets_through_is_written_one_line_each() {
        for json in [true, false] {
            let text = written(&TelemetryConfig { json, ..config() });
            assert_eq!(text.lines().count(), 1, "{text}");
            assert_eq!(text.starts_with('{') && text.contains(r#""noun.count":3"#), json, "{text}");
        }
    }

    #[test]
    fn an_unknown_filter_and_a_missing_runtime_are_refused() {
        let filter = TelemetryConfig { filter: "a=b=c".into(), ..config() };
        assert!(matches!(init(&filter), Err(TelemetryError::Filter { .. })));
        let otlp = TelemetryConfig { otlp_endpoint: Some("http://127.0.0.1:1".into()), ..config() };
        assert!(matches!(init(&otlp), Err(TelemetryError::NoRuntime)));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_unusable_endpoint_is_refused_and_an_absent_collector_only_counted() {
        let unusable = TelemetryConfig { otlp_endpoint: Some("no url".into()), ..config() };
        assert!(matches!(init(&unusable), Err(TelemetryError::Endpoint { .. })));
        let absent = TelemetryConfig { otlp_endpoint: Some("http://127.0.0.1:1".into()), ..config() };
        let (subscriber, guard) = subscriber(&absent, io::sink).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..3 {
                tracing::info_span!("work").in_scope(|| assert!(current_trace_context().is_some()));
            }
            tracing::info_span!(target: "h2::client", "carried").in_scope(|| ());
        });
        assert_eq!(guard.spans_outstanding(), 3);
        let lost = tokio::task::spawn_blocking(|| guard.shutdown()).await.unwrap();
        assert_eq!(lost, 3);
    }
}
