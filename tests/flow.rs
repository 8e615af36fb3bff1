//! The whole path through the running suite, as what `sluice up` runs in one process and as three processes, each on SQLite and
//! on PostgreSQL: called through the public API over TCP with real tokens, sending to real HTTP receivers. Each test name is
//! what is claimed.
//!
//! The three processes' binaries are those beside this suite in the target directory; `tests/run` builds them, and whoever runs
//! this suite alone after a change of the services has to: `cargo build --workspace --bins`. Missing ones are built here.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail"
)]

mod flow {
    mod bulk;
    mod delivery;
    mod egress;
    mod explanations;
    mod failing;
    mod limits;
    mod matching;
    mod notices;
    mod ordering;
    mod pauses;
    mod quotas;
    mod refusals;
    mod repeats;
    mod restart;
    mod retries;
    mod secrets;
    mod stops;
    mod tenancy;
    mod watch;
}
