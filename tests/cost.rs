//! What the outage of something that Sluice can do without costs those who ingest, measured. `cargo test` runs one suite after
//! another, and there is one test in this one, so that it has the machine to itself. It prints its figures; what they must be is
//! asserted in the full size, where each round is long enough to be compared.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail"
)]

mod cost {
    mod collector;
    mod load;
    mod pairs;
}
