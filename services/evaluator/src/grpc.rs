//! The public doors: automations and events. Generated types stop here.

use sluice_auth::Principal;
use sluice_rpc::{Fault, principal};
use tonic::{Request, Response, Status};

mod automations;
mod convert_automation;
mod convert_condition;
mod convert_event;
mod convert_explanation;
mod convert_step;
mod events;
mod judged;
mod question;
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

/// The same of a request that only a global admin may make; nothing else of it is looked at before.
fn opened_by_admin<Q>(request: Request<Q>) -> Result<(Principal, Q), Status> {
    let (caller, sent) = opened(request)?;
    request::admin(&caller).map_err(Fault::from)?;
    Ok((caller, sent))
}

/// The answer of a call, or its refusal as a status.
fn answer<A>(outcome: Result<A, Fault>) -> Result<Response<A>, Status> {
    Ok(outcome.map(Response::new)?)
}
