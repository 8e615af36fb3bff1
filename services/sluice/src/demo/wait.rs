//! Waiting for something to be seen, with a deadline.

use std::time::Duration;

use anyhow::bail;

/// Between two looks.
const PACE: Duration = Duration::from_millis(50);
/// The longest wait for anything in the demo.
const DEADLINE: Duration = Duration::from_secs(30);

/// Looks again and again until there is something to see.
///
/// # Errors
/// What a look ends with; or, after 30 seconds, that `what` was not seen.
pub async fn until<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let looking = async {
        loop {
            if let Some(seen) = look().await? {
                return anyhow::Ok(seen);
            }
            tokio::time::sleep(PACE).await;
        }
    };
    match tokio::time::timeout(DEADLINE, looking).await {
        Ok(seen) => seen,
        Err(_) => bail!("waited {} s in vain for this: {what}", DEADLINE.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_seen_at_last_is_returned() {
        let mut looks = 0;
        let seen = until("three looks", async || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(seen.await.unwrap(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_comes_is_named() {
        let error = until("rain", async || Ok(None::<()>)).await.unwrap_err();
        assert_eq!(error.to_string(), "waited 30 s in vain for this: rain");
    }
}
