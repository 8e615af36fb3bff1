//! The services as processes that can be killed, on SQLite and on PostgreSQL: the real binaries, three started from their
//! example files or `sluice up`, called over TCP with real tokens. Each test name is what is claimed.
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
    mod absences;
    mod axe;
    mod cluster;
    mod configuration;
    mod doors;
    mod drain;
    mod health;
    mod identity;
    mod kills;
    mod ordering;
    mod outages;
    mod path;
    mod renewal;
    mod secured;
    mod settings;
    mod start;
    mod watches;
}
