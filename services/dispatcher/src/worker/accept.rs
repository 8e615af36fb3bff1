//! Accepting in batches: events that arrive together share a transaction, and what it claimed is sent at once.

use sluice_runtime::{Clock, Supervisor};
use sluice_storage::{Batcher, BatcherHandle, Closed, StorageError};

use super::send::Sending;
use super::{Alarm, Slots};
use crate::store::{Acceptance, Accepted, NewEvent, Store};

/// The most events that share a transaction.
const BATCH: usize = 512;
/// How many events may queue for one before producers wait.
const QUEUE: usize = 8_192;

/// The way in; clones share one batcher.
#[derive(Debug, Clone)]
pub struct Accepting(BatcherHandle<NewEvent, Result<Acceptance, StorageError>>);

impl Accepting {
    /// Starts it.
    pub fn start(
        supervisor: &Supervisor,
        store: Store,
        slots: Slots,
        sending: Sending,
        alarm: Alarm,
        clock: Clock,
    ) -> Self {
        let may_claim = sending.token();
        let flush = move |events: Vec<NewEvent>| {
            let _held_while_this_closure_lives = &may_claim;
            let (store, slots, sending, alarm) =
                (store.clone(), slots.clone(), sending.clone(), alarm.clone());
            let clock = clock.clone();
            async move {
                let wanted: usize = events.iter().map(|event| event.executions.len()).sum();
                let seats = slots.take(wanted);
                let since = clock.now();
                match store.accept(&events, seats.count()).await {
                    Ok(Accepted { answers, claims }) => {
                        if claims.len() < wanted {
                            alarm.ring();
                        }
                        sending.send(claims, seats, since);
                        answers.into_iter().map(Ok).collect()
                    }
                    Err(error) if !error.is_transient() && events.len() > 1 => {
                        drop(seats);
                        alarm.ring();
                        one_by_one(&store, &events).await
                    }
                    Err(error) => events.iter().map(|_| Err(error.clone())).collect(),
                }
            }
        };
        Self(Batcher::spawn(supervisor, "accept", BATCH, QUEUE, flush))
    }

    /// Accepts one event, durably when it returns.
    ///
    /// # Errors
    /// `Closed` when the process is going away, else what the database said; in both cases nothing was accepted or it is in doubt.
    pub async fn accept(&self, event: NewEvent) -> Result<Result<Acceptance, StorageError>, Closed> {
        self.0.submit(event).await
    }
}

/// Tries each event by itself, so that one that can't be stored takes no other with it. Nothing is claimed here.
async fn one_by_one(store: &Store, events: &[NewEvent]) -> Vec<Result<Acceptance, StorageError>> {
    let mut answers = Vec::with_capacity(events.len());
    for event in events {
        let answer = store.accept(std::slice::from_ref(event), 0).await;
        answers.push(answer.and_then(|accepted| {
            accepted.answers.into_iter().next().ok_or_else(|| StorageError::decode("no answer"))
        }));
    }
    answers
}
