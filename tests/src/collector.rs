//! A collector of traces on loopback: takes spans over OTLP and remembers them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

pub use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

/// The collector; it listens as long as the test's runtime lives.
#[derive(Debug, Clone)]
pub struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Told>>>,
}

/// A span as it was told: ids in hexadecimal, the parent empty where there is none, attributes as text.
#[derive(Debug, Clone)]
pub struct Told {
    /// The `service.name` of the process.
    pub service: String,
    /// Its name.
    pub name: String,
    /// What it is to the one above it.
    pub kind: SpanKind,
    /// The trace.
    pub trace_id: String,
    /// The span.
    pub span_id: String,
    /// The span above it.
    pub parent: String,
    /// What it points to: traces and spans.
    pub links: Vec<(String, String)>,
    /// What it says.
    pub attributes: BTreeMap<String, String>,
    /// Whether it says that the work failed.
    pub failed: bool,
}

impl Collector {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port should be free");
        let address = listener.local_addr().expect("an address");
        let collector = Self { address, spans: Arc::default() };
        let server =
            tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        collector
    }

    /// The setting that sends spans here, for every shape.
    pub fn setting(&self) -> String {
        format!("telemetry.otlp_endpoint=http://{}", self.address)
    }

    /// All that was told so far.
    pub fn told(&self) -> Vec<Told> {
        self.spans.lock().expect("nobody panics with it").clone()
    }

    /// What was told of a trace.
    pub fn of_trace(&self, trace_id: &str) -> Vec<Told> {
        self.told().into_iter().filter(|span| span.trace_id == trace_id).collect()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.spans.lock().expect("nobody panics with it");
        for of_process in request.into_inner().resource_spans {
            let about =
                attributes(of_process.resource.map(|resource| resource.attributes).unwrap_or_default());
            let service = about.get("service.name").cloned().unwrap_or_default();
            let of_scopes = of_process.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
            spans.extend(of_scopes.map(|span| told(&service, span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn told(service: &str, span: Span) -> Told {
    Told {
        service: service.to_owned(),
        kind: span.kind(),
        name: span.name,
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        attributes: attributes(span.attributes),
        failed: span.status.is_some_and(|status| status.code() == StatusCode::Error),
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let read =
        |pair: KeyValue| (pair.key, pair.value.and_then(|value| value.value).map(text).unwrap_or_default());
    pairs.into_iter().map(read).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
