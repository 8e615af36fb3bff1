//! The gRPC door: handlers of five moves (parse, authorize, act, convert, return).
//!
//! Who is here:
//! - [`Webhooks`], [`Accounts`], [`Feed`]: the three services;
//! - [`table`]: role × RPC, for the public and for the internal listener;
//! - `reading`: from the wire to nouns, with every broken rule at once;
//! - `convert`: from nouns to the wire;
//! - `fault`: the one way from the registry's error to a refusal.

mod accounts;
mod convert;
mod fault;
mod feed;
mod reading;
pub mod table;
mod webhooks;

pub use accounts::Accounts;
pub use feed::Feed;
pub use webhooks::Webhooks;

pub(crate) use reading::Targets;
