//! The tasks of a process, watched: one that panics or fails takes the whole process down instead of leaving it lame.

use std::any::Any;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio_util::task::TaskTracker;

use crate::shutdown::Shutdown;

/// Any error, as a task may end with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What is left of a drain when what is still under way is cut off: this part of it, one in so many,
const CUT_OFF_PART: u32 = 5;
/// and no more than this, so that what has a time limit of its own within the drain reaches it.
const CUT_OFF_MOST: Duration = Duration::from_secs(5);

/// A task that ended other than it should.
#[derive(Debug, Clone, Error)]
pub enum TaskError {
    /// The task returned an error.
    #[error("task {task} failed: {cause}")]
    Failed {
        /// The name it was spawned with.
        task: &'static str,
        /// The error and its sources, as text.
        cause: Arc<str>,
    },
    /// The task panicked.
    #[error("task {task} panicked: {cause}")]
    Panicked {
        /// The name it was spawned with.
        task: &'static str,
        /// The panic's message.
        cause: Arc<str>,
    },
}

/// Why a drain did not end well.
#[derive(Debug, Clone, Error)]
pub enum DrainError {
    /// A task failed, before or during the drain.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// Time ran out with tasks still at work.
    #[error("not drained within {within:?}, still running: {}", .running.join(", "))]
    TimedOut {
        /// The names of the tasks still running, one per task.
        running: Vec<&'static str>,
        /// The time they were given.
        within: Duration,
    },
}

/// What a task may return: nothing, or a result whose error takes the process down.
pub trait Ending: Send + 'static {
    /// The error, if it ended with one.
    fn into_failure(self) -> Option<BoxError>;
}

impl Ending for () {
    fn into_failure(self) -> Option<BoxError> {
        None
    }
}

impl Ending for Infallible {
    fn into_failure(self) -> Option<BoxError> {
        match self {}
    }
}

impl<E: Into<BoxError> + Send + 'static> Ending for Result<(), E> {
    fn into_failure(self) -> Option<BoxError> {
        self.err().map(Into::into)
    }
}

/// Spawns the process's tasks and answers for them; cheap to clone.
#[derive(Clone)]
pub struct Supervisor {
    shutdown: Shutdown,
    overdue: Shutdown,
    tracker: TaskTracker,
    ledger: Arc<Mutex<Ledger>>,
}

#[derive(Default)]
struct Ledger {
    spawned: u64,
    running: BTreeMap<u64, &'static str>,
    failure: Option<TaskError>,
}

impl Supervisor {
    /// A supervisor whose tasks stop on `shutdown`, and which triggers it when one of them fails.
    pub fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, overdue: Shutdown::new(), tracker: TaskTracker::new(), ledger: Arc::default() }
    }

    /// The signal all its tasks stop on.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// The signal that a drain is nearly out of time: what is still under way is to be cut off and recorded, for which a fifth of
    /// the time is left, five seconds at most.
    pub fn overdue(&self) -> &Shutdown {
        &self.overdue
    }

    /// Runs a task; `task` gets the signal on which it has to come to its end by itself.
    ///
    /// A task may end early without harm; a panic or an error is logged once and triggers the shutdown.
    pub fn spawn<F>(&self, name: &'static str, task: impl FnOnce(Shutdown) -> F)
    where
        F: Future<Output: Ending> + Send + 'static,
    {
        let number = {
            let mut ledger = self.ledger();
            ledger.spawned += 1;
            let number = ledger.spawned;
            ledger.running.insert(number, name);
            number
        };
        let work = tokio::spawn(task(self.shutdown.clone()));
        let supervisor = self.clone();
        self.tracker.spawn(async move {
            let failure = match work.await {
                Ok(ending) => ending
                    .into_failure()
                    .map(|error| TaskError::Failed { task: name, cause: with_sources(&*error).into() }),
                Err(error) => error
                    .try_into_panic()
                    .ok()
                    .map(|panic| TaskError::Panicked { task: name, cause: panic_text(&*panic).into() }),
            };
            supervisor.ended(number, failure);
        });
    }

    /// Returns once every task has ended: the first failure, if there was one.
    ///
    /// # Errors
    /// The first task that failed.
    pub async fn join(&self) -> Result<(), TaskError> {
        self.tracker.close();
        self.tracker.wait().await;
        self.ledger().failure.clone().map_or(Ok(()), Err)
    }

    /// Triggers the shutdown and gives the tasks `within` to come to their end.
    ///
    /// # Errors
    /// The first task that failed, or the names of those that did not end in time.
    pub async fn drain(&self, within: Duration) -> Result<(), DrainError> {
        self.shutdown.trigger();
        let joined = async {
            let left = (within / CUT_OFF_PART).min(CUT_OFF_MOST);
            match tokio::time::timeout(within.saturating_sub(left), self.join()).await {
                Ok(ended) => ended,
                Err(_) => {
                    self.overdue.trigger();
                    self.join().await
                }
            }
        };
        match tokio::time::timeout(within, joined).await {
            Ok(ended) => Ok(ended?),
            Err(_) => {
                let ledger = self.ledger();
                match &ledger.failure {
                    Some(failure) => Err(failure.clone().into()),
                    None => Err(DrainError::TimedOut {
                        running: ledger.running.values().copied().collect(),
                        within,
                    }),
                }
            }
        }
    }

    /// What a `main` awaits: returns after the shutdown was triggered, by a signal or a failed task, and drained.
    ///
    /// # Errors
    /// As [`Supervisor::drain`].
    pub async fn run(&self, drain_within: Duration) -> Result<(), DrainError> {
        self.shutdown.triggered().await;
        self.drain(drain_within).await
    }

    fn ended(&self, number: u64, failure: Option<TaskError>) {
        let mut ledger = self.ledger();
        ledger.running.remove(&number);
        let Some(failure) = failure else { return };
        tracing::error!(error = %failure, "a task ended badly, shutting down");
        ledger.failure.get_or_insert(failure);
        drop(ledger);
        self.shutdown.trigger();
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ledger = self.ledger();
        f.debug_struct("Supervisor")
            .field("running", &ledger.running.values().collect::<Vec<_>>())
            .field("failure", &ledger.failure)
            .finish_non_exhaustive()
    }
}

fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failing_task_stops_all_others_and_is_what_join_returns() {
        let supervisor = Supervisor::new(Shutdown::new());
        supervisor.spawn("steady", |shutdown| async move { shutdown.triggered().await });
        supervisor.spawn("broken", |_| async { Err::<(), _>(std::io::Error::other("disk gone")) });
        let error = supervisor.join().await.unwrap_err();
        assert_eq!(error.to_string(), "task broken failed: disk gone");
        assert!(supervisor.shutdown().is_triggered());
    }

    #[tokio::test]
    async fn a_panicking_task_brings_the_process_down_with_its_message() {
        let supervisor = Supervisor::new(Shutdown::new());
        let shot = 3;
        supervisor.spawn("cannon", move |_| async move { assert!(shot < 3, "shot {shot}") });
        let error = supervisor.run(Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(error.to_string(), "task cannon panicked: shot 3");
    }

    #[tokio::test]
    async fn tasks_that_end_well_leave_the_process_running() {
        let supervisor = Supervisor::new(Shutdown::new());
        supervisor.spawn("once", |_| async {});
        supervisor.join().await.unwrap();
        assert!(!supervisor.shutdown().is_triggered());
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_out_of_time_names_who_is_still_running() {
        let supervisor = Supervisor::new(Shutdown::new());
        supervisor.spawn("polite", |shutdown| async move { shutdown.triggered().await });
        supervisor.spawn("deaf", |_| std::future::pending::<()>());
        let DrainError::TimedOut { running, .. } =
            supervisor.drain(Duration::from_secs(20)).await.unwrap_err()
        else {
            panic!("should have timed out")
        };
        assert_eq!(running, ["deaf"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_is_told_when_a_drain_is_nearly_out_of_time() {
        for (within, told_after) in [(20, 16), (70, 65)] {
            let supervisor = Supervisor::new(Shutdown::new());
            let overdue = supervisor.overdue().clone();
            supervisor.spawn("long", |_| async move { overdue.triggered().await });
            let began = tokio::time::Instant::now();
            supervisor.drain(Duration::from_secs(within)).await.unwrap();
            assert_eq!(began.elapsed(), Duration::from_secs(told_after));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_for_work_that_ends_in_time() {
        let supervisor = Supervisor::new(Shutdown::new());
        supervisor.spawn("slow", |shutdown| async move {
            shutdown.triggered().await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        });
        supervisor.drain(Duration::from_secs(6)).await.unwrap();
    }
}
