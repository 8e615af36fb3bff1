//! For tests only: what stands in for the world around a service. Everything here panics instead of returning errors.
//!
//! Who is here:
//! - [`on_each_backend`], [`databases`], [`TestDatabase`]: a fresh database for each test, on SQLite and on PostgreSQL;
//! - [`PostgresServer`]: a server that a test has for itself, to let it fall;
//! - [`durable_server_url`]: a PostgreSQL server that syncs every commit, to measure on;
//! - [`TestTime`]: one hand that moves the time of the test and of its database together;
//! - [`Receiver`], [`Answer`], [`Hit`]: an HTTP server on loopback that answers as told and remembers who called;
//! - [`RawReceiver`], [`Act`]: one that answers byte for byte, also what no server should;
//! - [`FaultProxy`]: a TCP proxy on loopback that can be cut;
//! - [`Authority`], [`Certified`]: certificates, good ones and others;
//! - [`full_size`]: whether suites are to run in their large sizes.
//!
//! Use it with the real tokio time (not `start_paused`): databases and sockets do not wait for a clock that jumps.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail"
)]

mod authority;
mod cluster;
mod database;
mod proxy;
mod raw;
mod receiver;
mod time;

pub use authority::{Authority, Certified};
pub use cluster::{PostgresServer, durable_server_url};
pub use database::{TestDatabase, databases, on_each_backend, postgres, sqlite};
pub use proxy::FaultProxy;
pub use raw::{Act, RawReceiver};
pub use receiver::{Answer, Hit, Receiver};
pub use time::TestTime;

/// Whether suites are to run in their large sizes: `tests/run --full` says so in `SLUICE_TEST_SIZE`.
pub fn full_size() -> bool {
    std::env::var("SLUICE_TEST_SIZE").is_ok_and(|size| size == "full")
}
