//! Log lines that say which trace they belong to.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::context::current_trace_context;

/// A format of lines, with `trace_id` and `span_id` of the call or attempt at the end of each.
#[derive(Debug)]
pub(crate) struct Traced<F> {
    inner: F,
    json: bool,
}

impl<F> Traced<F> {
    pub(crate) const fn text(inner: F) -> Self {
        Self { inner, json: false }
    }

    pub(crate) const fn json(inner: F) -> Self {
        Self { inner, json: true }
    }
}

impl<S, N, F> FormatEvent<S, N> for Traced<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(trace) = current_trace_context() else {
            return self.inner.format_event(context, writer, event);
        };
        let mut line = String::with_capacity(512);
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        let (trace_id, span_id) = (trace.trace_id_hex(), trace.span_id_hex());
        match line.strip_suffix("}\n").filter(|_| self.json) {
            Some(object) => {
                writeln!(writer, r#"{object},"trace_id":"{trace_id}","span_id":"{span_id}"}}"#)
            }
            None => writeln!(writer, "{} trace_id={trace_id} span_id={span_id}", line.trim_end()),
        }
    }
}
