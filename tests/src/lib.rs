//! What the suites across the services share: a house to test in, people with tokens, requests, patience.
//!
//! Who is here:
//! - [`House`], [`Setup`]: the three services in one process on databases of their own, started, stopped and started again;
//! - [`Person`]: somebody with a token, who calls the public API over TCP and nothing else;
//! - [`Refusal`]: a call that was refused, as a client reads it;
//! - [`requests`]: makers of webhooks, automations and events;
//! - [`until`]: looks again and again, and says what it waited for when that never comes;
//! - [`micros`]: the times of answers, to compare;
//! - [`on_each_backend`]: one test a case and backend.
//!
//! Everything here panics instead of returning errors.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail"
)]

mod house;
mod people;
mod refusal;
pub mod requests;
mod wait;

pub use house::{House, Setup, micros};
pub use people::{ACCOUNT, OTHER_ACCOUNT, PARENT, People, Person};
pub use refusal::{Answer, Refusal};
pub use sluice_storage::Backend;
pub use wait::until;

/// Makes of each case, an `async fn(Backend)`, a test on SQLite and one on PostgreSQL.
#[macro_export]
macro_rules! on_each_backend {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    Box::pin(super::$case($crate::Backend::Sqlite)).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    Box::pin(super::$case($crate::Backend::Postgres)).await;
                }
            )+
        }
    };
}
