//! Group commit: items that arrive together share a flush.
//!
//! One flush runs at a time. Whatever is queued while it runs goes into the next one, up to a limit; nothing ever waits
//! for a timer, so an item that comes alone is flushed alone and at once.

use std::fmt;

use sluice_runtime::{BoxError, Shutdown, Supervisor};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

/// The task that collects items and flushes them; it is run by the process's [`Supervisor`].
#[derive(Debug)]
pub struct Batcher;

/// The way into a [`Batcher`]; cheap to clone.
pub struct BatcherHandle<T, R> {
    queue: mpsc::Sender<Entry<T, R>>,
}

/// The batcher takes nothing any more, or came to its end before it had an answer: the process is shutting down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("shutting down")]
pub struct Closed;

/// A flush that did not answer each of its items breaks the batcher's contract and ends the process.
#[derive(Debug, Error)]
#[error("a flush of {items} items returned {answers} answers")]
struct AnswersMissing {
    items: usize,
    answers: usize,
}

struct Entry<T, R> {
    item: T,
    answer: oneshot::Sender<R>,
}

impl Batcher {
    /// Starts a batcher that hands at most `max_items` items to each call of `flush`, and queues at most
    /// `channel_capacity` more (both at least 1) before submitters have to wait.
    ///
    /// `flush` returns one answer for each item, in the items' order. On the supervisor's shutdown nothing new is
    /// accepted; what was accepted is flushed and answered, then the task ends.
    ///
    /// ```
    /// # use sluice_runtime::{Shutdown, Supervisor};
    /// # use sluice_storage::Batcher;
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let supervisor = Supervisor::new(Shutdown::new());
    /// let lengths = Batcher::spawn(&supervisor, "lengths", 500, 1_000, |words: Vec<&str>| async move {
    ///     words.iter().map(|word| word.len()).collect()
    /// });
    /// assert_eq!(lengths.submit("sluice").await, Ok(6));
    /// # });
    /// ```
    pub fn spawn<T, R, F, Fut>(
        supervisor: &Supervisor,
        name: &'static str,
        max_items: usize,
        channel_capacity: usize,
        flush: F,
    ) -> BatcherHandle<T, R>
    where
        T: Send + 'static,
        R: Send + 'static,
        F: FnMut(Vec<T>) -> Fut + Send + 'static,
        Fut: Future<Output = Vec<R>> + Send + 'static,
    {
        let end = supervisor.shutdown().clone();
        Self::spawn_until(end, supervisor, name, max_items, channel_capacity, flush)
    }

    /// As [`Batcher::spawn`], but accepts items until `end` is triggered, whatever the supervisor's shutdown says: for
    /// work that goes on during a drain, such as recording requests that are still under way. Somebody has to trigger
    /// `end` or drop all handles, else the drain runs out of time.
    pub fn spawn_until<T, R, F, Fut>(
        end: Shutdown,
        supervisor: &Supervisor,
        name: &'static str,
        max_items: usize,
        channel_capacity: usize,
        flush: F,
    ) -> BatcherHandle<T, R>
    where
        T: Send + 'static,
        R: Send + 'static,
        F: FnMut(Vec<T>) -> Fut + Send + 'static,
        Fut: Future<Output = Vec<R>> + Send + 'static,
    {
        let (queue, entries) = mpsc::channel(channel_capacity.max(1));
        supervisor.spawn(name, move |_| run(entries, end, max_items.max(1), flush));
        BatcherHandle { queue }
    }
}

async fn run<T, R, F, Fut>(
    mut entries: mpsc::Receiver<Entry<T, R>>,
    end: Shutdown,
    max_items: usize,
    mut flush: F,
) -> Result<(), BoxError>
where
    F: FnMut(Vec<T>) -> Fut,
    Fut: Future<Output = Vec<R>>,
{
    let mut batch = Vec::new();
    loop {
        // Once closed, recv_many still yields what was accepted, then 0.
        if end.or(entries.recv_many(&mut batch, max_items)).await.is_none() {
            entries.close();
            entries.recv_many(&mut batch, max_items).await;
        }
        if batch.is_empty() {
            return Ok(());
        }
        let (items, waiting): (Vec<T>, Vec<_>) =
            batch.drain(..).map(|entry| (entry.item, entry.answer)).unzip();
        let answers = flush(items).await;
        if answers.len() != waiting.len() {
            return Err(AnswersMissing { items: waiting.len(), answers: answers.len() }.into());
        }
        for (waiter, answer) in waiting.into_iter().zip(answers) {
            // A submitter that went away does not undo what was flushed for it.
            let _gone = waiter.send(answer);
        }
    }
}

impl<T, R> BatcherHandle<T, R> {
    /// Queues `item`, waiting for room if there is none, and returns its answer after the flush it took part in.
    ///
    /// Once queued, the item is flushed even if this future is dropped.
    ///
    /// # Errors
    /// [`Closed`] when the process is shutting down. If the item had been queued, whether it was flushed is unknown.
    pub async fn submit(&self, item: T) -> Result<R, Closed> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(Entry { item, answer }).await.map_err(|_| Closed)?;
        answered.await.map_err(|_| Closed)
    }

    /// How many items are queued and not yet in a flush; a gauge for metrics.
    pub fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }
}

impl<T, R> Clone for BatcherHandle<T, R> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<T, R> fmt::Debug for BatcherHandle<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatcherHandle").field("queued", &self.queued()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sluice_runtime::TaskError;
    use tokio::task::JoinSet;
    use tokio::time::{Instant, sleep};

    use super::*;

    const FLUSH: Duration = Duration::from_millis(10);

    type Seen = mpsc::UnboundedReceiver<Vec<u32>>;

    /// A batcher whose flush takes 10 ms of paused time and answers each item times ten.
    fn tens(max_items: usize, capacity: usize) -> (Supervisor, BatcherHandle<u32, u32>, Seen) {
        let supervisor = Supervisor::new(Shutdown::new());
        let (flushed, seen) = mpsc::unbounded_channel();
        let handle = Batcher::spawn(&supervisor, "tens", max_items, capacity, move |items: Vec<u32>| {
            let flushed = flushed.clone();
            async move {
                flushed.send(items.clone()).unwrap();
                sleep(FLUSH).await;
                items.into_iter().map(|item| item * 10).collect()
            }
        });
        (supervisor, handle, seen)
    }

    fn submit_all(
        handle: &BatcherHandle<u32, u32>,
        items: impl IntoIterator<Item = u32>,
    ) -> JoinSet<(u32, Result<u32, Closed>)> {
        let mut submitters = JoinSet::new();
        for item in items {
            let handle = handle.clone();
            submitters.spawn(async move { (item, handle.submit(item).await) });
        }
        submitters
    }

    #[tokio::test(start_paused = true)]
    async fn an_item_alone_is_flushed_at_once() {
        let (_supervisor, handle, mut seen) = tens(10, 10);
        let start = Instant::now();
        assert_eq!(handle.submit(4).await, Ok(40));
        assert_eq!(start.elapsed(), FLUSH);
        assert_eq!(seen.recv().await.unwrap(), [4]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_queues_during_a_flush_shares_the_next_one_in_order() {
        let (_supervisor, handle, mut seen) = tens(100, 100);
        let first = submit_all(&handle, [0]);
        assert_eq!(seen.recv().await.unwrap(), [0]);
        let rest = submit_all(&handle, 1..=20);
        for (item, answer) in first.join_all().await.into_iter().chain(rest.join_all().await) {
            assert_eq!(answer, Ok(item * 10));
        }
        assert_eq!(seen.recv().await.unwrap(), (1..=20).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_never_exceeds_its_limit_and_loses_nothing() {
        let (_supervisor, handle, mut seen) = tens(8, 4);
        let answers = submit_all(&handle, 0..100).join_all().await;
        assert!(answers.iter().all(|(item, answer)| *answer == Ok(item * 10)));
        drop(handle);
        let mut all = Vec::new();
        while let Some(batch) = seen.recv().await {
            assert!((1..=8).contains(&batch.len()));
            all.extend(batch);
        }
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_flushes_what_was_accepted_and_takes_nothing_more() {
        let (supervisor, handle, mut seen) = tens(3, 100);
        let accepted = submit_all(&handle, 0..10);
        seen.recv().await.unwrap();
        supervisor.drain(Duration::from_secs(1)).await.unwrap();
        for (item, answer) in accepted.join_all().await {
            assert_eq!(answer, Ok(item * 10));
        }
        assert_eq!(handle.submit(99).await, Err(Closed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batcher_with_an_end_of_its_own_outlasts_the_shutdown() {
        let supervisor = Supervisor::new(Shutdown::new());
        let end = Shutdown::new();
        let echo = |items: Vec<u32>| async move { items };
        let handle = Batcher::spawn_until(end.clone(), &supervisor, "late", 10, 10, echo);
        supervisor.shutdown().trigger();
        assert_eq!(handle.submit(1).await, Ok(1));
        end.trigger();
        supervisor.join().await.unwrap();
        assert_eq!(handle.submit(2).await, Err(Closed));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_batcher_ends_with_the_shutdown_or_with_its_last_handle() {
        let (supervisor, _handle, _seen) = tens(3, 3);
        supervisor.drain(Duration::from_secs(1)).await.unwrap();
        let (supervisor, handle, _seen) = tens(3, 3);
        drop(handle);
        supervisor.join().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_item_is_flushed_although_its_submitter_went_away() {
        let (_supervisor, handle, mut seen) = tens(10, 10);
        let first = submit_all(&handle, [1]);
        assert_eq!(seen.recv().await.unwrap(), [1]);
        assert!(tokio::time::timeout(FLUSH / 2, handle.submit(2)).await.is_err());
        first.join_all().await;
        assert_eq!(seen.recv().await.unwrap(), [2]);
        assert_eq!(handle.submit(3).await, Ok(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_makes_submitters_wait() {
        let (_supervisor, handle, mut seen) = tens(1, 2);
        let mut submitters = submit_all(&handle, [0]);
        seen.recv().await.unwrap();
        for item in 1..=5 {
            let handle = handle.clone();
            submitters.spawn(async move { (item, handle.submit(item).await) });
        }
        tokio::task::yield_now().await;
        assert_eq!(handle.queued(), 2);
        assert_eq!(submitters.join_all().await.len(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_that_answers_too_few_ends_the_process() {
        let supervisor = Supervisor::new(Shutdown::new());
        let handle = Batcher::spawn(&supervisor, "mute", 10, 10, |_: Vec<u32>| async { Vec::<u32>::new() });
        assert_eq!(handle.submit(1).await, Err(Closed));
        let error = supervisor.join().await.unwrap_err();
        assert!(matches!(error, TaskError::Failed { task: "mute", .. }), "{error}");
    }
}
