//! evaluator: does this event set something off? Reads events and keeps none; owns automations.
//!
//! Who is here:
//! - [`automation`]: trigger, condition, steps; written by global admins, stored by `store`;
//! - [`event_check`]: the door for events; [`envelope`]: the body that event webhooks get;
//! - [`snapshot`]: what an account has when an event arrives, in two halves: `worker::follow` keeps the registry's half by
//!   its feed, `worker::automations` loads ours and notices other replicas' saves;
//! - [`evaluate`]: event and snapshot → planned executions, pure; `clients::dispatcher` has them put on disk;
//! - [`explanation`]: why one automation would fire on an event, or not, and what it would send; from the same parts, pure;
//! - `worker::stops`: brings stop markers of deactivated automations to the dispatcher, from an outbox that survives a crash;
//! - [`Evaluator`]: all of it put together, out of [`Config`] and [`Deps`]; [`service::process`]: the same as a process of its own.

pub mod access;
pub mod automation;
mod clients;
pub mod envelope;
pub mod error;
pub mod evaluate;
pub mod event_check;
pub mod explanation;
mod grpc;
pub mod service;
pub mod snapshot;
mod store;
pub mod webhook;
mod worker;

pub use service::{Config, Deps, Evaluator, StartError};
