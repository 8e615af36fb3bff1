//! What runs by itself: accepting in batches, claiming, sending, reporting, rescuing, sweeping, pruning, following the registry, making
//! events of notices, and telling those who watch.
//!
//! One claim's way: `accept` or `claim` takes it under a lease and hands it to `send` with a seat of [`Slots`]; `send` dials it, or
//! hands it back if it is too late; `report` writes down what became of it, and only then is the seat free.

mod accept;
mod claim;
mod disable;
mod follow;
mod notify;
mod prune;
mod report;
mod rescue;
mod send;
mod slots;
mod sweep;
mod tail;
mod targets;
mod watch;

use std::sync::Arc;

use tokio::sync::Notify;

pub use accept::{Accepting, Means as AcceptingMeans};
pub use claim::Claiming;
pub use disable::GivingUp;
pub use follow::Following;
pub use notify::{Notifying, Subscribers};
pub use prune::{Keeping, Pruned, Pruning, pruning};
pub use report::Reporting;
pub use rescue::rescuing;
pub use send::{Means as SendingMeans, Sending};
pub use slots::Slots;
pub use sweep::{Sweeping, sweeping};
pub use tail::Tail;
pub use targets::Targets;
pub use watch::{Item as WatchItem, Start, Watch};

/// Tells the claim loop that an account may have something to do earlier than it thought.
#[derive(Debug, Clone, Default)]
pub struct Alarm(Arc<Notify>);

impl Alarm {
    /// Rings; one ring is kept if nobody listens now.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits for a ring.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}
