//! The dispatcher's doors: what people ask of executions and watch of them, what billing and operators do to quotas, and what the
//! evaluator enqueues.

mod bulk;
mod dispatch;
mod enqueue;
mod executions;
mod filter;
mod quotas;
mod refusal;
mod show;
mod table;
mod watch;

pub use dispatch::Dispatch;
pub use executions::Executions;
pub use quotas::Quotas;
pub use table::{internal_table, public_table};
