//! What a suite does that has nothing to do: no statement more often than once a second, and next to no work, also with many
//! accounts of which something waits. It prints what runs by itself.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail"
)]

mod idle {
    mod rest;
    mod told;
}
