//! What every gRPC server and client of the house shares.
//!
//! Who is here:
//! - [`Server`]: some services behind one door: tokens, the access table, limits, deadlines, panics caught, health,
//!   reflection, gRPC-Web; on a listener, or in the same process through a [`Transport`];
//! - [`Transport`]: what generated clients are built on, over the network or in the same process;
//! - [`ServerTls`] and [`ClientTls`]: what the two sides show of themselves, and whom they believe;
//! - [`Fault`]: the one way to a refusal, with its reason, metadata and field violations; [`Refusal`] is how a
//!   client reads it;
//! - [`principal`]: who calls. Which trace a call belongs to is `sluice_telemetry::current_trace_context` while it is answered;
//! - [`ResourceName`], [`AccountName`] and [`QuotaName`]: `accounts/{account}/webhooks/{webhook}`;
//! - [`convert`]: instants and lengths of time on the wire.

pub mod convert;

mod caller;
mod fault;
mod name;
mod server;
mod tls;
mod trace;
mod transport;

pub use caller::principal;
pub use fault::{DOMAIN, Fault, Refusal, code_of, fault_of};
pub use name::{AccountName, Collection, NameFormatError, QuotaName, ResourceName};
pub use server::{
    Limits, MAX_BATCH_BYTES, MAX_INTERNAL_BYTES, MAX_MESSAGE_BYTES, Server, ServerBuilder, ServerError,
    methods_of,
};
pub use tls::{Authorities, ClientTls, Identity, ServerTls, TlsError};
pub use transport::{BearerToken, Credentials, Transport, TransportError};
