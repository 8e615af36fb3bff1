//! The whole path through the running suite, on SQLite and on PostgreSQL: three services in one process, called through the
//! public API over TCP with real tokens, sending to real HTTP receivers. Each test name is what is claimed.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail"
)]

mod flow {
    mod delivery;
    mod egress;
    mod matching;
    mod pauses;
    mod refusals;
    mod repeats;
    mod restart;
    mod retries;
    mod secrets;
    mod stops;
    mod tenancy;
}
