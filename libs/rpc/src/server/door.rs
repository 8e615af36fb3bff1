//! The one way in: every call, from outside or from the same process, passes here on its way to a service.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use sluice_auth::Principal;
use sluice_domain::Violations;
use sluice_telemetry::{Span, current_trace_context};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Service, ServiceExt as _};

use super::admission::Rules;
use super::watch::WatchBody;
use crate::caller::Caller;
use crate::fault::Fault;
use crate::trace;

/// Marks a request that was made in this process, with who vouches for it. A request from a socket cannot have it:
/// extensions do not travel.
#[derive(Clone)]
pub(crate) struct InProcess(pub(crate) Arc<Principal>);

/// A service behind the rules of its server: admission, deadline, panics caught, one span for each call.
#[derive(Clone)]
pub(crate) struct Door<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S> Door<S> {
    pub(crate) fn new(inner: S, rules: Arc<Rules>) -> Self {
        Self { inner, rules }
    }
}

impl<S> Service<Request<Body>> for Door<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let fresh = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, fresh);
        let rules = Arc::clone(&self.rules);
        let mut span = rules
            .traces(request.uri().path())
            .then(|| trace::answering(request.uri().path(), request.headers()));
        let context = span.as_ref().map(Span::context);
        let answer = async move {
            let began = rules.now();
            let uri = request.uri().clone();
            let answer = answered(&rules, ready, request, &mut span).await;
            let response = answer.unwrap_or_else(Status::into_http);
            if let Some(span) = &mut span {
                trace::answered(span, &response);
            }
            let code = code_of(&response);
            let micros = rules.now().since(began).as_micros();
            tracing::debug!(
                rpc.method = rules.name_of(uri.path()),
                rpc.grpc.status_code = code,
                rpc.duration_us = micros,
                "call answered"
            );
            Ok(response)
        };
        match context {
            Some(context) => Box::pin(context.scope(answer)),
            None => Box::pin(answer),
        }
    }
}

async fn answered<S>(
    rules: &Rules,
    inner: S,
    mut request: Request<Body>,
    span: &mut Option<Span>,
) -> Result<Response<Body>, Status>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let admitted = match rules.admit(&mut request) {
        Ok(admitted) => admitted,
        Err(status) => {
            // What strangers do, and what there is no room for, takes no room among the spans either.
            if let Some(span) = span.take_if(|_| status.code() != Code::PermissionDenied) {
                span.discard();
            }
            return Err(status);
        }
    };
    let caller = request.extensions().get::<Caller>();
    if let (Some(span), Some(Caller(caller))) = (span, caller) {
        trace::of_account(span, caller.account());
    }
    let answer = AssertUnwindSafe(inner.oneshot(request)).catch_unwind();
    let outcome = match admitted.deadline {
        Some(deadline) => {
            tokio::time::timeout(deadline, answer).await.map_err(|_| Fault::deadline_exceeded())?
        }
        None => answer.await,
    };
    let response = match outcome {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_panic) => {
            tracing::error!("a handler panicked");
            return Err(Fault::internal().into());
        }
    };
    if let Some(fault) = explained(response.headers()) {
        return Err(fault.into());
    }
    if !admitted.watch {
        return Ok(response);
    }
    let stopping = rules.stopping().clone();
    let context = current_trace_context();
    Ok(response.map(|body| Body::new(WatchBody::new(body, stopping, admitted.age, admitted.place, context))))
}

/// What the transport refused by itself, in our words: a message that is too large or does not decode. Known by tonic's words,
/// since a handler may well answer with the same codes.
fn explained(headers: &HeaderMap) -> Option<Fault> {
    let status = Status::from_header_map(headers).filter(|status| status.details().is_empty())?;
    let rule = match status.code() {
        Code::OutOfRange if status.message().contains("decoded message length too large") => {
            "is larger than this RPC takes"
        }
        Code::Internal if status.message().starts_with("failed to decode Protobuf message") => {
            "is no message of this RPC's type"
        }
        _ => return None,
    };
    let mut violations = Violations::new();
    violations.add("request", rule);
    Some(Fault::invalid(violations))
}

/// The number of the answer's code: a refusal has it in its headers, everything else went well so far.
fn code_of(response: &Response<Body>) -> i64 {
    let text = response.headers().get("grpc-status").and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}
