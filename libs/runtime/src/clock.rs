//! The only source of time: the system's, or one that a test moves by hand.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sluice_domain::{Span, Timestamp};
use tokio::sync::watch;

/// The longest single sleep on the system clock, so that a wall clock set forward is noticed.
const LONGEST_NAP: Duration = Duration::from_secs(5);

/// What time it is; cheap to clone, all clones tell the same time.
#[derive(Clone)]
pub struct Clock(Source);

/// The hand that moves a manual [`Clock`]; cheap to clone.
#[derive(Clone)]
pub struct ManualClock(Arc<watch::Sender<Timestamp>>);

#[derive(Clone)]
enum Source {
    System,
    Manual(Arc<watch::Sender<Timestamp>>),
}

impl Clock {
    /// The wall clock of the machine.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `start` until its [`ManualClock`] moves it.
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let hand = Arc::new(watch::Sender::new(start));
        (Self(Source::Manual(Arc::clone(&hand))), ManualClock(hand))
    }

    /// The current instant, in whole microseconds.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(hand) => *hand.borrow(),
        }
    }

    /// Returns once this clock shows `at` or later; at once if it does already.
    ///
    /// A manual clock wakes its sleepers when it is moved there, and never by itself.
    pub async fn sleep_until(&self, at: Timestamp) {
        match &self.0 {
            Source::System => loop {
                let left = at.since(system_now());
                if left == Span::ZERO {
                    return;
                }
                tokio::time::sleep(left.to_duration().min(LONGEST_NAP)).await;
            },
            Source::Manual(hand) => {
                let mut shown = hand.subscribe();
                if shown.wait_for(|now| *now >= at).await.is_err() {
                    // Unreachable while `hand` is held; a clock nobody can move never shows `at`.
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// Returns once `span` has passed on this clock.
    pub async fn sleep(&self, span: Span) {
        self.sleep_until(self.now().plus(span)).await;
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::System => f.write_str("Clock::system"),
            Source::Manual(hand) => write!(f, "Clock::manual({})", *hand.borrow()),
        }
    }
}

impl ManualClock {
    /// What the clock shows.
    pub fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    /// Puts the clock to `at`, forwards or backwards, and wakes whoever waited for it.
    pub fn set(&self, at: Timestamp) {
        self.0.send_replace(at);
    }

    /// Moves the clock on by `span`, wakes whoever waited for it, and returns what it shows now.
    pub fn advance(&self, span: Span) -> Timestamp {
        self.0.send_modify(|now| *now = now.plus(span));
        self.now()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManualClock({})", self.now())
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock for everybody else")]
fn system_now() -> Timestamp {
    let since_epoch =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::EPOCH.plus(Span::from(since_epoch))
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_000_000);

    #[test]
    fn the_system_clock_is_past_the_day_this_was_written() {
        assert!(Clock::system().now() > Timestamp::from_micros(1_795_000_000_000_000 - 86_400_000_000 * 365));
    }

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_clock_reaches_its_time_and_not_before() {
        let (clock, hand) = Clock::manual(START);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Span::from_secs(10)).await }
        });
        yield_now().await;
        hand.advance(Span::from_secs(9));
        for _ in 0..5 {
            yield_now().await;
        }
        assert!(!sleeper.is_finished());
        hand.advance(Span::from_secs(1));
        sleeper.await.unwrap();
        assert_eq!(clock.now(), START.plus(Span::from_secs(10)));
    }

    #[tokio::test]
    async fn a_time_already_past_is_not_slept_for() {
        let (clock, _hand) = Clock::manual(START);
        clock.sleep_until(START).await;
        Clock::system().sleep_until(Timestamp::EPOCH).await;
    }

    #[tokio::test]
    async fn the_system_clock_wakes_a_sleeper_no_earlier_than_asked() {
        let clock = Clock::system();
        let until = clock.now().plus(Span::from_millis(3));
        clock.sleep_until(until).await;
        assert!(clock.now() >= until);
    }
}
