//! The dispatcher's doors: what people ask of executions and watch of them, and what the evaluator enqueues.

mod dispatch;
mod enqueue;
mod executions;
mod filter;
mod refusal;
mod show;
mod table;
mod watch;

pub use dispatch::Dispatch;
pub use executions::Executions;
pub use table::{internal_table, public_table};
