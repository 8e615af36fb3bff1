//! What leaves a process to tell how it is doing, and what holds one trace together over several of them.
//!
//! Who is here:
//! - [`init`]: sets the process's tracing subscriber up: lines on standard error, and spans to a collector if one is
//!   configured. Its [`Guard`] sends what is still queued when it goes;
//! - [`TraceContext`]: the ids that travel in a `traceparent` header (W3C Trace Context);
//! - [`current_trace_context`]: the one of the current span.
//!
//! A collector that is away costs spans, never time: they are queued up to a bound, then dropped and counted.

mod context;
mod export;
mod subscriber;

pub use context::{TraceContext, TraceContextError, current_trace_context};
pub use subscriber::{Guard, TelemetryConfig, TelemetryError, init};
