//! The dispatcher's doors: what people ask of executions, and what the evaluator enqueues.

mod dispatch;
mod enqueue;
mod executions;
mod refusal;
mod show;
mod table;

pub use dispatch::Dispatch;
pub use executions::Executions;
pub use table::{internal_table, public_table};
