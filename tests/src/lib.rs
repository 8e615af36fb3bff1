//! What the suites across the services share: a house to test in, people with tokens, requests, patience.
//!
//! Who is here:
//! - [`House`]: the three services at work on databases of their own, in any shape; [`House::open`] and
//!   [`House::open_on`] for most, [`Setup`] for those with settings of their own, and to have processes that can be killed;
//! - [`Deployment`], [`Shape`], [`Backend`]: what a case is run on; [`Service`]: one of the three;
//! - [`Person`]: somebody with a token, who calls the public API over TCP and nothing else; [`Badge`] for calls that nobody
//!   may make;
//! - [`Process`]: one that the test started, killed with it;
//! - [`collector`]: takes spans over OTLP and remembers them;
//! - [`memory`]: how much of it a process has;
//! - [`Refusal`]: a call that was refused, as a client reads it;
//! - [`Rotel`]: an OpenTelemetry collector that nobody here wrote, and [`CollectedSpan`], what it took; [`Hanging`]: a server that
//!   never answers; [`python`]: the programs of tests/python;
//! - [`requests`]: makers of webhooks, automations and events;
//! - [`producer`]: producers that repeat what they have no answer for, and their ledger; [`crowd`]: many of them with moods; [`ledgers`]:
//!   it, the receivers' hits and the history held against one another; [`starts`]: the quota, counted anew;
//! - [`Watching`], [`Mirror`]: a watch of executions, and all that it has told so far;
//! - [`until`]: looks again and again, and says what it waited for when that never comes;
//! - [`figures`]: what a suite measured, told also when it passes;
//! - [`micros`]: the times of answers, to compare; [`is_final`]: whether a state is the end;
//! - [`on_each_deployment`]: four tests a case, an `async fn(Deployment)`: both shapes on both backends;
//! - [`on_each_shape`]: two, an `async fn(Deployment)`, for a case in which the backend plays no part;
//! - [`on_each_backend`]: two, an `async fn(Backend)`, for a case that is about one shape.
//!
//! Everything here panics instead of returning errors.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail"
)]

mod binaries;
pub mod collector;
pub mod crowd;
mod deployment;
mod hanging;
mod house;
pub mod ledgers;
pub mod memory;
mod people;
mod ports;
mod premises;
mod process;
pub mod producer;
pub mod python;
mod refusal;
pub mod requests;
mod rotel;
mod service;
mod settings;
mod setup;
pub mod starts;
mod wait;
mod watching;

pub use deployment::{Deployment, Shape};
pub use hanging::Hanging;
pub use house::{House, is_final, micros};
pub use people::{ACCOUNT, Badge, Line, OTHER_ACCOUNT, PARENT, People, Person, SYSTEM_ACCOUNT};
pub use ports::free_address;
pub use premises::signer;
pub use process::Process;
pub use refusal::{Answer, Refusal, assert_unavailable, opened};
pub use rotel::{Collected, CollectedSpan, Rotel};
pub use service::Service;
pub use setup::Setup;
pub use sluice_storage::Backend;
pub use wait::{figures, until, within};
pub use watching::{Mirror, Watching};
