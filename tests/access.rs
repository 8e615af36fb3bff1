//! Who may do what, and what a stranger learns: every RPC of the contracts, read from the descriptors, on every listener, called
//! over TCP on SQLite and on PostgreSQL. An RPC without a row in the tables here, or a field of a request that nobody has looked
//! at, fails the suite.

#![allow(clippy::print_stdout, reason = "the figures")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail"
)]

mod access {
    mod accounts;
    mod callers;
    mod contract;
    mod coverage;
    mod door;
    mod house;
    mod names;
    mod reply;
    mod roles;
    mod rows;
    mod tenancy;
    mod tokens;
}
