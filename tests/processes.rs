//! The three services as processes of their own, on SQLite and on PostgreSQL: the real binaries, started from their example
//! files, called over TCP with real tokens, killed and started again. Each test name is what is claimed.
//!
//! The binaries are those beside this suite in the target directory; `tests/run` builds them, and whoever runs this suite
//! alone after a change of the services has to: `cargo build --workspace --bins`. Missing ones are built here.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail"
)]

mod processes {
    mod answers;
    mod binaries;
    mod callers;
    mod doors;
    mod drain;
    mod house;
    mod kills;
    mod outages;
    mod path;
    mod ports;
    mod process;
    mod service;
    mod settings;
    mod start;
}
