//! One hand that moves the time of a test and of its database together.

use sluice_domain::{Span, Timestamp};
use sluice_runtime::{Clock, ManualClock};
use sluice_storage::Database;

/// 2026-01-01T00:00:00Z, the time every test database starts at.
pub(crate) const START: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// The time of a test: our Clock's and the database's, always the same; cheap to clone.
#[derive(Debug, Clone)]
pub struct TestTime {
    clock: Clock,
    hand: ManualClock,
    database: Database,
}

impl TestTime {
    pub(crate) async fn new(clock: Clock, hand: ManualClock, database: Database) -> Self {
        let time = Self { clock, hand, database };
        time.set(START).await;
        time
    }

    /// The clock to hand to what is tested.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        self.hand.now()
    }

    /// Puts the database's time and then the clock to `at`, so that whoever the clock wakes finds the database there.
    pub async fn set(&self, at: Timestamp) {
        self.database.set_test_clock(at).await.expect("the test database's clock should be settable");
        self.hand.set(at);
    }

    /// Moves both on by `span` and returns what they show now.
    pub async fn advance(&self, span: Span) -> Timestamp {
        let at = self.now().plus(span);
        self.set(at).await;
        at
    }
}
