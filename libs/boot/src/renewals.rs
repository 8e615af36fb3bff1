//! What is read again while the process runs.

use sluice_domain::Span;
use sluice_runtime::{Clock, Current, Renewal, Supervisor};

/// Keeps what is made from files as the files are; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Renewals {
    pub(crate) clock: Clock,
    pub(crate) supervisor: Supervisor,
    /// How often the files are looked at.
    pub(crate) every: Span,
}

impl Renewals {
    /// The value as it is from now on.
    pub(crate) fn keep<T: Send + Sync + 'static>(&self, renewal: Renewal<T>) -> Current<T> {
        let current = renewal.current();
        let (clock, every) = (self.clock.clone(), self.every);
        self.supervisor.spawn("renew", |shutdown| renewal.run(clock, every, shutdown));
        current
    }
}
