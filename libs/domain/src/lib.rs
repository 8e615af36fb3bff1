//! The words two or more services use, as values that can't be wrong once they exist. No I/O, no clock, no randomness.
//!
//! Who is here:
//! - [`Timestamp`] and [`Span`]: instants and lengths of time, whole microseconds, UTC;
//! - [`AccountId`], [`Id`] and its kinds: who owns a thing, and what it is called;
//! - [`Entitlements`] and [`Catalogue`]: what billing says an account may do, and the plans it starts from;
//! - [`Event`]: what happened to a record, as the producer told it;
//! - [`Subscription`]: which events a trigger or an event webhook wants, object and action with wildcards;
//! - [`ReceiverLimits`]: what a webhook's receiver is to be spared;
//! - [`RequestId`]: the caller's name for a request that may come twice;
//! - [`Cursor`]: where a page of a listing ends;
//! - [`Reason`]: the stable name of a refusal, the same as in the protos;
//! - [`Secret`]: text that no log, error or debug print shows;
//! - [`Violation`]: one field of a request and the rule it breaks.

mod account;
mod entitlements;
mod event;
mod id;
mod page;
mod plan;
mod reason;
mod receiver_limits;
mod request_id;
mod secret;
mod subscription;
mod text;
mod time;
mod violation;

pub use account::{AccountId, UserId};
pub use entitlements::{Allowance, Entitlements, Rate};
pub use event::{Action, Event, EventId, MAX_EVENT_BYTES, ObjectName, Visibility};
pub use id::{AttemptId, AutomationId, DeliveryId, ExecutionId, Id, Kind, NoticeId, WebhookId};
pub use page::{Cursor, CursorError, PageSize};
pub use plan::{Catalogue, CatalogueError, Plan};
pub use reason::Reason;
pub use receiver_limits::ReceiverLimits;
pub use request_id::{RequestId, RequestIdError};
pub use secret::Secret;
pub use subscription::Subscription;
pub use time::{Span, Timestamp};
pub use violation::{MAX_VIOLATIONS, Violation, Violations};
