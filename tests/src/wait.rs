//! Waiting for something to be seen, with a deadline.

use std::time::Duration;

/// Between two looks.
const PACE: Duration = Duration::from_millis(20);
/// What a slow machine is given before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until there is something to see.
///
/// # Panics
/// After half a minute, with `what` was waited for.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(PACE).await;
        }
    };
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(seen) => seen,
        Err(_) => panic!("waited {} s in vain for this: {what}", PATIENCE.as_secs()),
    }
}
