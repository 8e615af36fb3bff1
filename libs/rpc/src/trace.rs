//! The spans of calls, on both sides: names and attributes after OpenTelemetry's conventions for RPC, and nothing of a call but
//! its method, its account and how it ended.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use sluice_domain::AccountId;
use sluice_telemetry::{Kind, Record, Span, TraceContext, current_trace_context};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::fault::fault_of;

/// The header with the caller's place in its trace.
const TRACEPARENT: &str = "traceparent";

/// What is asked all the time, and tells nothing.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// What a span is called until its method is known.
const CALL: &str = "call";

/// The span of a call that came in, below the one that its `traceparent` names; what is not valid counts as absent.
pub(crate) fn answering(path: &str, headers: &HeaderMap) -> Span {
    begun(Span::below(told(headers), CALL, Kind::Server), path)
}

/// The span of a call that goes out, which tells the other side of itself; questions about health have none. A valid `traceparent`
/// of the caller's own stands for the current context.
pub(crate) fn asking(request: &mut Request<Body>) -> Option<Span> {
    if request.uri().path().starts_with(HEALTH) {
        return None;
    }
    let parent = told(request.headers()).or_else(current_trace_context);
    let start = || Span::start(CALL, Kind::Client);
    let span = begun(parent.map_or_else(start, |parent| parent.within(start)), request.uri().path());
    if let Ok(value) = HeaderValue::try_from(span.context().to_string()) {
        request.headers_mut().insert(TRACEPARENT, value);
    }
    Some(span)
}

/// Who answers calls over the network, as their spans name them.
#[derive(Clone)]
pub(crate) struct Peer {
    host: Arc<str>,
    port: Option<u16>,
}

impl Peer {
    /// The server at this address.
    pub(crate) fn of(address: &Uri) -> Self {
        Self { host: address.host().unwrap_or_default().into(), port: address.port_u16() }
    }

    /// Says who is asked.
    pub(crate) fn told(&self, span: Option<&mut Span>) {
        let Some(span) = span else { return };
        span.record(|record| {
            record.set("server.address", Arc::clone(&self.host));
            if let Some(port) = self.port {
                record.set("server.port", i64::from(port));
            }
        });
    }
}

/// Says whose call it is.
pub(crate) fn of_account(span: &mut Span, account: Option<&AccountId>) {
    if let Some(account) = account {
        span.record(|record| record.set("sluice.account.id", account.to_string()));
    }
}

/// Says how a call ended that came in. A refusal that is the caller's own doing is no failure of ours.
pub(crate) fn answered(span: &mut Span, response: &Response<Body>) {
    span.record(|record| {
        let code = ended(record, response.headers());
        let ours = matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        );
        if ours {
            record.fail(name_of(code));
        }
    });
}

/// Says how a call ended that went out, or why there was nobody to answer it.
pub(crate) fn heard(span: Option<Span>, answer: Result<&Response<Body>, &Status>) {
    let Some(mut span) = span else { return };
    span.record(|record| {
        let code = match answer {
            Ok(response) => ended(record, response.headers()),
            Err(status) => status.code(),
        };
        record.set(STATUS_CODE, name_of(code));
        if code != Code::Ok {
            record.fail(name_of(code));
        }
    });
}

const STATUS_CODE: &str = "rpc.response.status_code";

fn begun(mut span: Span, path: &str) -> Span {
    span.record(|record| {
        let method = path.trim_start_matches('/');
        record.name(method.to_owned());
        record.set("rpc.system.name", "grpc");
        record.set("rpc.method", method.to_owned());
        // What stands if nobody waits for the end.
        record.set(STATUS_CODE, name_of(Code::Cancelled));
    });
    span
}

/// A refusal has its code in the headers; everything else went well so far.
fn ended(record: &mut Record, headers: &HeaderMap) -> Code {
    let status = Status::from_header_map(headers).filter(|status| status.code() != Code::Ok);
    let code = status.as_ref().map_or(Code::Ok, Status::code);
    record.set(STATUS_CODE, name_of(code));
    if let Some(refusal) = status.as_ref().and_then(fault_of) {
        record.set("sluice.error.reason", refusal.reason);
    }
    code
}

fn told(headers: &HeaderMap) -> Option<TraceContext> {
    headers.get(TRACEPARENT)?.to_str().ok()?.parse().ok()
}

/// The code as gRPC writes it.
const fn name_of(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
