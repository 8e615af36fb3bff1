//! The dispatcher: when is it sent, and how did it go?

pub mod allowance;
pub mod attempt;
pub mod claim;
pub mod execution;
pub mod gate;
pub mod plan;
pub mod quota;
pub mod rate;
pub mod retry;
pub mod store;
pub mod turn;
