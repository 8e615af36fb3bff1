//! The demo: a suite in this process, a receiver in a process of its own, and a gRPC client between them.
//!
//! - [`receiver`], [`ledger`]: the receiver and what it saw; [`receiver_process`] is our hold on it;
//! - [`client`], [`cast`]: the public API over TCP, and who calls it with which token;
//! - [`events`], [`requests`]: what is sent;
//! - [`script`], [`story`], [`wait`]: what happens in which order, and what is told of it;
//! - [`history`], [`tally`]: what the API shows, and what is counted.

pub mod cast;
pub mod client;
pub mod events;
pub mod history;
pub mod ledger;
pub mod receiver;
pub mod receiver_process;
pub mod requests;
pub mod script;
pub mod story;
pub mod tally;
pub mod wait;
