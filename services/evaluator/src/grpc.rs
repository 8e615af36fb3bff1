//! The public doors: automations and events. Generated types stop here.

use sluice_auth::Principal;
use sluice_rpc::{Fault, principal, trace_context};
use sluice_runtime::Entropy;
use sluice_telemetry::{TraceContext, current_trace_context};
use tonic::{Request, Response, Status};

mod automations;
mod convert_automation;
mod convert_condition;
mod convert_event;
mod convert_step;
mod events;
mod refuse;
mod request;
mod table;

pub(crate) use automations::AutomationDoor;
pub(crate) use events::EventDoor;
pub(crate) use table::access_table;

/// The caller and the message of a request.
fn opened<Q>(request: Request<Q>) -> Result<(Principal, Q), Status> {
    let caller = principal(&request)?.clone();
    Ok((caller, request.into_inner()))
}

/// The answer of a call, or its refusal as a status.
fn answer<A>(outcome: Result<A, Fault>) -> Result<Response<A>, Status> {
    Ok(outcome.map(Response::new)?)
}

/// The trace that what an event sets off belongs to: the current span, if it is in the caller's trace; else the caller's own
/// span; without one a new trace.
fn trace<Q>(request: &Request<Q>, entropy: &Entropy) -> TraceContext {
    let told = trace_context(request);
    let current = current_trace_context();
    let same = |current: &TraceContext| told.is_none_or(|told| told.trace_id() == current.trace_id());
    current.filter(same).or(told).unwrap_or_else(|| new_trace(entropy))
}

fn new_trace(entropy: &Entropy) -> TraceContext {
    loop {
        // Ids of zeros are not valid; the next draw differs.
        if let Some(context) = TraceContext::new(entropy.bytes(), entropy.bytes(), 0) {
            return context;
        }
    }
}
