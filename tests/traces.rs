//! One trace from the caller to the receiver, and what lines say of it: over OTLP from `sluice up` and from three binaries, on
//! both backends, to a collector of the test's own. The binaries are those of the suite `flow`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail"
)]

mod traces {
    mod collector;
    mod lines;
    mod sampling;
    mod tree;
}
