//! The store's suite: every case runs on SQLite and on PostgreSQL.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail"
)]

mod store {
    pub(crate) mod accounts;
    pub(crate) mod feed;
    pub(crate) mod makers;
    pub(crate) mod webhooks;
}
