//! Sets the process's tracing subscriber up.

use std::io;
use std::time::Duration;

use opentelemetry_otlp::{SpanExporter as OtlpExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter;
use thiserror::Error;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::export::{Carrier, EXPORT_TIMEOUT};
use crate::line::Traced;
use crate::outbox::Outbox;

/// How long a guard that is just dropped waits for the last spans to leave.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a process tells, and whom.
#[derive(Debug, Clone, PartialEq)]
pub struct TelemetryConfig {
    /// The service's name in traces, such as `sluice-registry`.
    pub service_name: String,
    /// Directives such as `info` or `warn,sluice_dispatcher=debug`; they decide on lines, not on spans.
    pub filter: String,
    /// Lines as JSON objects instead of text.
    pub json: bool,
    /// Where an OTLP collector listens for gRPC, such as `http://localhost:4317`; without it no spans are sent.
    pub otlp_endpoint: Option<String>,
    /// Of the traces that begin here, the share that is recorded, 0 to 1. A caller's own decision stands.
    pub trace_ratio: f64,
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
    /// The ratio is no share.
    #[error("trace_ratio must be 0 to 1, not {0}")]
    Ratio(f64),
    /// The thread that carries spans does not start.
    #[error("the thread that sends spans does not start: {0}")]
    Thread(#[from] io::Error),
    /// The process has a subscriber already.
    #[error("telemetry was set up before in this process")]
    Twice,
}

/// Keeps spans on their way; sends what is still queued, for at most two seconds, when dropped.
///
/// Its end blocks the thread: let it be the very last.
#[derive(Debug)]
#[must_use = "spans still queued are lost unless the guard lives until the process ends"]
pub struct Guard {
    carrier: Option<Carrier>,
}

impl Guard {
    /// Sends what is still queued, for at most that long, and says how many spans were lost in the life of the process.
    pub fn shutdown(mut self, within: Duration) -> u64 {
        self.end(within)
    }

    fn end(&mut self, within: Duration) -> u64 {
        let lost = self.carrier.take().map_or(0, |carrier| carrier.end(within));
        if lost > 0 {
            tracing::warn!(spans.lost_in_all = lost, "spans never reached the collector");
        }
        lost
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end(LAST_WORDS);
    }
}

/// Sets the process's subscriber up. Call it once.
///
/// # Errors
/// When the configuration cannot be used, or a subscriber is set already.
pub fn init(config: &TelemetryConfig) -> Result<Guard, TelemetryError> {
    let (subscriber, guard) = match &config.otlp_endpoint {
        None => (subscriber(config, io::stderr, None)?, Guard { carrier: None }),
        Some(endpoint) => {
            let endpoint = endpoint.clone();
            let (outbox, guard) = sending(config, move || otlp(&endpoint))?;
            (subscriber(config, io::stderr, Some(outbox))?, guard)
        }
    };
    subscriber.try_init().map_err(|_| TelemetryError::Twice)?;
    Ok(guard)
}

/// The same with a collector and a place for lines of the caller's own: for tests.
///
/// # Errors
/// As [`init`].
pub fn init_with<W>(
    config: &TelemetryConfig,
    collector: impl SpanExporter + 'static,
    lines: W,
) -> Result<Guard, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (outbox, guard) = sending(config, move || Ok(collector))?;
    subscriber(config, lines, Some(outbox))?.try_init().map_err(|_| TelemetryError::Twice)?;
    Ok(guard)
}

fn sending<E: SpanExporter + 'static>(
    config: &TelemetryConfig,
    make: impl FnOnce() -> Result<E, TelemetryError> + Send + 'static,
) -> Result<(Outbox, Guard), TelemetryError> {
    if !(0.0..=1.0).contains(&config.trace_ratio) {
        return Err(TelemetryError::Ratio(config.trace_ratio));
    }
    let (outbox, spans) = Outbox::new(config.trace_ratio);
    let resource = Resource::builder()
        .with_service_name(config.service_name.clone())
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let make = move || {
        let mut exporter = make()?;
        exporter.set_resource(&resource);
        Ok(exporter)
    };
    let carrier = Carrier::start(make, spans, outbox.tally())?;
    Ok((outbox, Guard { carrier: Some(carrier) }))
}

fn otlp(endpoint: &str) -> Result<OtlpExporter, TelemetryError> {
    let exporter = OtlpExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(EXPORT_TIMEOUT);
    exporter.build().map_err(|error| TelemetryError::Endpoint {
        endpoint: endpoint.to_owned(),
        reason: error.to_string(),
    })
}

fn subscriber<W>(
    config: &TelemetryConfig,
    writer: W,
    outbox: Option<Outbox>,
) -> Result<impl Subscriber + Send + Sync + 'static, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(&config.filter).map_err(
            |error| TelemetryError::Filter { filter: config.filter.clone(), reason: error.to_string() },
        )?;
    Ok(tracing_subscriber::registry().with(filter).with(outbox).with(lines(config.json, writer)))
}

fn lines<S, W>(json: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    if json {
        Box::new(lines.json().flatten_event(true).map_event_format(Traced::json))
    } else {
        Box::new(lines.with_ansi(false).map_event_format(Traced::text))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{Kind, Span, TraceContext, current_trace_context};

    fn config() -> TelemetryConfig {
        TelemetryConfig {
            service_name: "test".into(),
            filter: "info,quiet=off".into(),
            json: true,
            otlp_endpoint: None,
            trace_ratio: 1.0,
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

    fn written(config: &TelemetryConfig, trace: Option<TraceContext>) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(config, move || writer.clone(), None).unwrap();
        let say = || {
            tracing::info!(noun.count = 3, "counted");
            tracing::debug!("too fine");
            tracing::error!(target: "quiet", "not asked for");
        };
        tracing::subscriber::with_default(subscriber, || match trace {
            Some(trace) => trace.within(say),
            None => say(),
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn only_what_the_filter_lets_through_is_written_one_line_each() {
        for json in [true, false] {
            let text = written(&TelemetryConfig { json, ..config() }, None);
            assert_eq!(text.lines().count(), 1, "{text}");
            assert_eq!(text.starts_with('{') && text.contains(r#""noun.count":3"#), json, "{text}");
            assert!(!text.contains("trace_id"), "{text}");
        }
    }

    #[test]
    fn a_line_within_a_trace_ends_with_its_ids() {
        let trace = TraceContext::root(false);
        let (trace_id, span_id) = (trace.trace_id_hex(), trace.span_id_hex());
        let json = written(&config(), Some(trace));
        let ending = format!(r#","trace_id":"{trace_id}","span_id":"{span_id}"}}"#);
        assert!(json.starts_with('{') && json.ends_with(&format!("{ending}\n")), "{json}");
        assert!(json.contains(r#""noun.count":3"#), "{json}");
        let text = written(&TelemetryConfig { json: false, ..config() }, Some(trace));
        assert!(
            text.ends_with(&format!("counted noun.count=3 trace_id={trace_id} span_id={span_id}\n")),
            "{text}"
        );
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused() {
        let filter = TelemetryConfig { filter: "a=b=c".into(), ..config() };
        assert!(matches!(init(&filter), Err(TelemetryError::Filter { .. })));
        for trace_ratio in [-0.1, 1.1, f64::NAN] {
            let endpoint = Some("http://127.0.0.1:1".to_owned());
            let odd = TelemetryConfig { trace_ratio, otlp_endpoint: endpoint, ..config() };
            assert!(matches!(init(&odd), Err(TelemetryError::Ratio(_))));
        }
        let unusable = TelemetryConfig { otlp_endpoint: Some("no url".into()), ..config() };
        assert!(matches!(init(&unusable), Err(TelemetryError::Endpoint { .. })));
    }

    #[test]
    fn spans_go_to_the_collector_whatever_the_log_filter_says_and_an_absent_one_only_counts() {
        let config = TelemetryConfig { filter: "off".into(), ..config() };
        let (outbox, guard) = sending(&config, || otlp("http://127.0.0.1:1")).unwrap();
        let subscriber = subscriber(&config, io::sink, Some(outbox)).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..3 {
                drop(Span::start("work", Kind::Internal));
            }
        });
        assert_eq!(guard.shutdown(Duration::from_secs(60)), 3);
    }

    #[test]
    fn without_a_collector_the_context_above_is_handed_on_and_a_new_trace_is_not_sampled() {
        let above = TraceContext::root(true);
        assert_eq!(above.within(|| Span::start("work", Kind::Internal).context()), above);
        assert!(!Span::start("work", Kind::Internal).context().is_sampled());
        assert_eq!(current_trace_context(), None);
    }
}
