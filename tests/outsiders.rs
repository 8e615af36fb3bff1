//! Sluice seen by programs that nobody here wrote or generated: clients in Python that know only what reflection tells them,
//! and a collector of spans. Each test name is what is claimed.
//!
//! They need a Python with the packages of tests/python: `tests/run` brings one, and whoever runs this suite alone names it in
//! `SLUICE_TEST_PYTHON`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail"
)]

mod outsiders {
    mod absent;
    mod client;
    mod packages;
    mod spans;
    mod web;
}
