//! Waiting for something to be seen, with a deadline, and telling what was.

use std::io::Write as _;
use std::time::Duration;

/// Between two looks.
const PACE: Duration = Duration::from_millis(20);
/// What a slow machine is given before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until there is something to see.
///
/// # Panics
/// After half a minute, with `what` was waited for.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look).await
}

/// The same with a patience of its own, for what takes long by its nature.
///
/// # Panics
/// When it is used up, with `what` was waited for.
pub async fn within<T>(patience: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(PACE).await;
        }
    };
    match tokio::time::timeout(patience, looking).await {
        Ok(seen) => seen,
        Err(_) => panic!("waited {} s in vain for this: {what}", patience.as_secs()),
    }
}

/// Tells what was measured, past the test harness, which shows what is printed only when a test fails.
pub fn figures(figures: impl std::fmt::Display) {
    let _lost = writeln!(std::io::stderr(), "{figures}");
}
