//! The registry through its whole stack of layers: tokens and a socket for the public services, in-process for the internal.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail"
)]

mod grpc {
    pub(crate) mod accounts;
    pub(crate) mod canaries;
    pub(crate) mod feed;
    pub(crate) mod house;
    pub(crate) mod tenancy;
    pub(crate) mod webhooks;
}
