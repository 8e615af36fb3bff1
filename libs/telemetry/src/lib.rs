//! What leaves a process to tell how it is doing, and what holds one trace together over several of them.
//!
//! Who is here:
//! - [`init`]: sets the process's subscriber up: lines on standard error, and spans to a collector if one is configured. Its
//!   [`Guard`] sends what is still queued at the end;
//! - [`TraceContext`]: the ids that travel in a `traceparent` header (W3C Trace Context); [`current_trace_context`] is the one
//!   of the call or attempt at work;
//! - [`Span`]: a piece of work in a trace; [`Record`] is what it says where it is recorded.
//!
//! The log filter decides on lines and on nothing else: spans are values of our own, none is made by `tracing`, and no filter
//! sees them. Every line within a call or an attempt ends with its `trace_id` and `span_id`.
//!
//! A collector that is away or hangs costs spans, never time: they are queued up to a bound, then dropped, counted and said.
//!
//! # One event's trace
//!
//! The same whether the services share a process or not; names and attributes after OpenTelemetry's conventions (1.45).
//!
//! ```text
//! the caller's span
//! └─ sluice.evaluator.v1.EventService/IngestEvent                    server    evaluator
//!    ├─ evaluate                                                     internal  evaluator; of a batch, events that fire
//!    └─ enqueue                                                      producer  evaluator; kept with the executions
//!       ├─ sluice.dispatcher.v1.DispatchService/EnqueueExecutions    client    evaluator
//!       │  └─ sluice.dispatcher.v1.DispatchService/EnqueueExecutions server    dispatcher
//!       │     └─ accept                                              internal  dispatcher; one an event
//!       ├─ sluice.registry.v1.FeedService/ResolveTarget              client    dispatcher; when it is not remembered
//!       │  └─ sluice.registry.v1.FeedService/ResolveTarget           server    registry
//!       ├─ POST                                                      client    dispatcher; an attempt
//!       │  └─ the receiver's span
//!       └─ POST                                                      client    dispatcher; the next, linked to the one before
//! ```
//!
//! | span | says |
//! |---|---|
//! | RPC | `rpc.system.name`, `rpc.method`, `rpc.response.status_code`; `sluice.account.id` (server), `server.address`, `server.port` (client, over the network); refused: `sluice.error.reason`; failed: `error.type` |
//! | `evaluate` | `sluice.account.id`, `sluice.event.id`, `.object`, `.action`, `.outcome`; `sluice.automations.considered`, `.matched`; `sluice.notifications.matched` |
//! | `enqueue` | `sluice.events.count`, `sluice.executions.count` |
//! | `accept` | `sluice.account.id`, `sluice.event.id`, `sluice.executions.count`, `sluice.accept.outcome` |
//! | attempt | `http.request.method`, `.resend_count`, `http.response.status_code`, `url.scheme`, `url.path` (no query), `server.address`, `server.port`, `error.type`; `sluice.account.id`, `sluice.execution.id`, `sluice.delivery.id`, `.step`, `sluice.webhook.id`, `sluice.attempt.number`, `.outcome` |
//!
//! Health, reflection, unknown methods and calls without a good token have no spans; the span of a streamed answer ends where the
//! stream begins. The span of an attempt whose process died comes from the one that takes its work back. A caller's
//! decision to record stands; traces that begin here are recorded by `trace_ratio`. A process without a collector records nothing and hands its caller's context on, so
//! that a trace stays whole; set the collector for all three services, or none.
//!
//! `tracestate` is dropped where a call comes in: it would have to be kept with each execution for months, and receivers are
//! strangers who need not know which systems our callers trace with.

mod context;
mod export;
mod line;
mod outbox;
mod span;
mod subscriber;

pub use context::{TraceContext, TraceContextError, current_trace_context};
pub use span::{Kind, Record, Span};
pub use subscriber::{Guard, TelemetryConfig, TelemetryError, init, init_with};
