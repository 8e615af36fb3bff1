//! What the client commands share: the public API over gRPC, and nothing else of a service.
//!
//! Who is here:
//! - [`Connection`]: where to call, as whom, for which account;
//! - [`Caller`]: whose token goes with the calls, given or minted on this machine;
//! - [`Refused`]: a call that did not go well, with all that the server said and [what to do next](advice);
//! - [`wire`]: messages as protobuf's canonical JSON, read with every fault at its path;
//! - [`printable`]: text of strangers, made harmless for a terminal;
//! - [`sheet`]: fields and tables for people.

pub mod advice;
mod caller;
mod connection;
mod listing;
mod names;
pub mod printable;
mod refused;
mod server;
pub mod sheet;
pub mod wire;

pub use caller::{Caller, Part, secret_in, text_in};
pub use connection::{Connection, print};
pub use listing::every;
pub use refused::Refused;
pub use server::Server;

/// A command line that can't be carried out as it is written: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);
