//! Receivers that do what no server should, many at once, through a whole suite and its history: each attempt ends in its time,
//! little is kept of what they send, their seats are free again, and the other receivers never notice. It prints its figures.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail"
)]

mod hostile {
    mod acts;
    mod attack;
}
