//! Whom one account's backlog and receivers that hang keep waiting: nobody else, and of its own only what goes to those receivers.
//! It prints its figures; the bounds of reliability.md (I9) are asserted with `SLUICE_TEST_SIZE=full`, where a round is long enough
//! to be compared. In CI they are orders of magnitude, which no busy machine reaches.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail"
)]

mod fairness {
    mod flood;
    mod million;
    mod starts;
    mod tenant;
}
