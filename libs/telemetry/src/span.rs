//! A piece of work in a trace, from its start until it is dropped.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::context::{TraceContext, current_trace_context};
use crate::outbox::Outbox;

/// What a span is to the one above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It answers a call from elsewhere.
    Server,
    /// It waits for an answer from elsewhere.
    Client,
    /// It leaves work behind that is done later.
    Producer,
    /// It stays where it is.
    Internal,
}

/// A piece of work in a trace. It ends when it is dropped, and is then on its way to the collector, if there is one and its trace
/// is sampled.
///
/// Where no spans are sent it costs next to nothing, and hands the context above it on as it is, so that the spans below hang
/// from the nearest one that somebody recorded.
#[derive(Debug)]
#[must_use = "a span lasts as long as it is kept"]
pub struct Span {
    context: TraceContext,
    record: Option<Box<Record>>,
}

/// What a recorded span says.
#[derive(Debug)]
pub struct Record {
    outbox: Outbox,
    parent: Option<Above>,
    name: Cow<'static, str>,
    kind: Kind,
    start: SystemTime,
    attributes: Vec<KeyValue>,
    links: Vec<TraceContext>,
    status: Status,
}

/// The span above.
#[derive(Debug, Clone, Copy)]
struct Above {
    context: TraceContext,
    remote: bool,
}

impl Span {
    /// A span below the current one; outside of any it begins a trace.
    pub fn start(name: &'static str, kind: Kind) -> Self {
        Self::begin(current_trace_context().map(|context| Above { context, remote: false }), name, kind)
    }

    /// A span below one from elsewhere, as a `traceparent` told; without one it begins a trace.
    pub fn below(parent: Option<TraceContext>, name: &'static str, kind: Kind) -> Self {
        Self::begin(parent.map(|context| Above { context, remote: true }), name, kind)
    }

    /// A span with this context, also where no spans are sent, below one of the same trace from elsewhere.
    pub fn with_context(context: TraceContext, parent: TraceContext, name: &'static str, kind: Kind) -> Self {
        let outbox = Outbox::current().filter(|_| context.is_sampled());
        let parent = Some(Above { context: parent, remote: true });
        Self { context, record: outbox.map(|outbox| Record::boxed(outbox, parent, name, kind)) }
    }

    fn begin(parent: Option<Above>, name: &'static str, kind: Kind) -> Self {
        let Some(outbox) = Outbox::current() else {
            let context = parent.map_or_else(|| TraceContext::root(false), |above| above.context);
            return Self { context, record: None };
        };
        let context = match parent {
            Some(above) => above.context.random_child(),
            None => outbox.sampled(TraceContext::root(false)),
        };
        let record = context.is_sampled().then(|| Record::boxed(outbox, parent, name, kind));
        Self { context, record }
    }

    /// Its place in its trace: the parent of what happens below.
    pub const fn context(&self) -> TraceContext {
        self.context
    }

    /// Says more of it; not called unless the span is recorded.
    pub fn record(&mut self, say: impl FnOnce(&mut Record)) {
        if let Some(record) = &mut self.record {
            say(record);
        }
    }

    /// Ends it as if it had never been.
    pub fn discard(mut self) {
        self.record = None;
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            record.end(self.context);
        }
    }
}

impl Record {
    fn boxed(outbox: Outbox, parent: Option<Above>, name: &'static str, kind: Kind) -> Box<Self> {
        Box::new(Self {
            outbox,
            parent,
            name: Cow::Borrowed(name),
            kind,
            start: opentelemetry::time::now(),
            attributes: Vec::with_capacity(16),
            links: Vec::new(),
            status: Status::Unset,
        })
    }

    /// Names it after what is known only at run time, from a small set.
    pub fn name(&mut self, name: String) {
        self.name = Cow::Owned(name);
    }

    /// Says that the work had begun before its span was made.
    pub fn began(&mut self, at: SystemTime) {
        self.start = at;
    }

    /// Sets an attribute; a later value of the same key wins.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        let value = value.into();
        match self.attributes.iter_mut().find(|attribute| attribute.key.as_str() == key) {
            Some(attribute) => attribute.value = value,
            None => self.attributes.push(KeyValue::new(key, value)),
        }
    }

    /// Sets a number of things.
    pub fn count(&mut self, key: &'static str, count: usize) {
        self.set(key, i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Points to a span that this one follows from.
    pub fn link(&mut self, to: TraceContext) {
        self.links.push(to);
    }

    /// Says that the work failed, by a short name of the kind of failure.
    pub fn fail(&mut self, kind: impl Into<Cow<'static, str>>) {
        let kind = kind.into();
        self.set("error.type", kind.clone());
        self.status = Status::error(kind);
    }

    fn end(self, context: TraceContext) {
        let mut links = SpanLinks::default();
        links.links = self.links.into_iter().map(|to| Link::with_context(span_context(to, true))).collect();
        let data = SpanData {
            span_context: span_context(context, false),
            parent_span_id: self
                .parent
                .map_or(SpanId::INVALID, |above| SpanId::from_bytes(above.context.span_id())),
            parent_span_is_remote: self.parent.is_some_and(|above| above.remote),
            span_kind: match self.kind {
                Kind::Server => SpanKind::Server,
                Kind::Client => SpanKind::Client,
                Kind::Producer => SpanKind::Producer,
                Kind::Internal => SpanKind::Internal,
            },
            name: self.name,
            start_time: self.start,
            end_time: opentelemetry::time::now().max(self.start),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: self.status,
            instrumentation_scope: self.outbox.scope(),
        };
        self.outbox.put(data);
    }
}

fn span_context(context: TraceContext, remote: bool) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(context.trace_id()),
        SpanId::from_bytes(context.span_id()),
        TraceFlags::new(context.flags()),
        remote,
        TraceState::NONE,
    )
}
