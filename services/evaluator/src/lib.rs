//! evaluator: does this event set something off? Reads events and keeps none; owns automations.
//!
//! Who is here:
//! - [`automation`]: trigger, condition, steps; written by global admins, stored by `store`;
//! - [`event_check`]: the door for events; [`envelope`]: the body that event webhooks get;
//! - [`snapshot`]: what an account has when an event arrives, in two halves, from the registry and from our own store;
//! - [`evaluate`]: event and snapshot → planned executions, pure.

pub mod automation;
pub mod envelope;
pub mod evaluate;
pub mod event_check;
pub mod snapshot;
#[allow(dead_code, reason = "the doors that use it are the next step")]
mod store;
pub mod webhook;
