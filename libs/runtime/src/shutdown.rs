//! The one signal that it is time to stop.

use std::io;

use tokio_util::sync::CancellationToken;

/// Tells everybody who holds a clone that the process is to stop; triggered once, never taken back.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A signal that nobody has given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A signal that SIGTERM or SIGINT gives. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// When the operating system refuses to install a signal handler.
    pub fn on_signal() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = Self::new();
        let trigger = shutdown.clone();
        tokio::spawn(async move {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                () = trigger.triggered() => return,
            };
            tracing::info!(signal.name = name, "shutting down");
            trigger.trigger();
        });
        Ok(shutdown)
    }

    /// Gives the signal.
    pub fn trigger(&self) {
        self.0.cancel();
    }

    /// Whether the signal was given.
    pub fn is_triggered(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Returns once the signal is given; at once if it was already.
    pub async fn triggered(&self) {
        self.0.cancelled().await;
    }

    /// Returns the future's output, or `None` when the signal comes first; the future is dropped then.
    pub async fn or<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            () = self.triggered() => None,
            output = future => Some(output),
        }
    }

    /// A signal that is given with this one, and can be given alone without giving this one.
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_stops_with_its_parent_and_not_the_other_way_round() {
        let parent = Shutdown::new();
        let (one, two) = (parent.child(), parent.child());
        one.trigger();
        assert!(!parent.is_triggered() && !two.is_triggered());
        parent.trigger();
        two.triggered().await;
    }

    #[tokio::test]
    async fn waiting_for_something_ends_with_the_signal() {
        let shutdown = Shutdown::new();
        assert_eq!(shutdown.or(async { 7 }).await, Some(7));
        shutdown.trigger();
        assert_eq!(shutdown.or(std::future::pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn sigterm_gives_the_signal_instead_of_ending_the_process() {
        let shutdown = Shutdown::on_signal().unwrap();
        let own = std::process::id().to_string();
        assert!(
            std::process::Command::new("sh")
                .args(["-c", "kill -TERM \"$0\"", &own])
                .status()
                .unwrap()
                .success()
        );
        shutdown.triggered().await;
    }
}
