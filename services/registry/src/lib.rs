//! registry: who may send what, and where to?
//!
//! The nouns, which know nothing of the world:
//! - [`webhook`]: a registered target, made from a draft, moved on by changes;
//! - [`endpoint`]: where its requests go, judged once and kept in one spelling;
//! - [`authentication`]: how its requests prove themselves to the receiver;
//! - [`seal`]: secrets at rest, bound to the place they belong to;
//! - [`access`]: who may see and change which webhook;
//! - [`limits`]: how many webhooks an account may have;
//! - [`entitlements`]: an account, and the rule that a newer version replaces and an older one never wins;
//! - [`plans`]: the catalogue that comes with Sluice;
//! - [`feed`]: what a watcher is told;
//! - [`error`]: why a call is refused, with the stable reason of each.
//!
//! The doors, each touching one outside thing:
//! - [`store`]: the tables, and every transaction on them;
//! - [`grpc`]: the handlers, and who may call what.
//!
//! The plug board is [`service`], set up by [`config`]; [`service::process`] runs it with two listeners of its own.

pub mod access;
pub mod authentication;
pub mod config;
pub mod endpoint;
pub mod entitlements;
pub mod error;
pub mod feed;
pub mod grpc;
pub mod limits;
pub mod plans;
pub mod seal;
pub mod service;
pub mod store;
pub mod webhook;
