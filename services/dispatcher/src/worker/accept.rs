//! Accepting in batches: events that arrive together share a transaction, and what it claimed is sent at once.

use std::collections::HashMap;

use sluice_domain::AccountId;
use sluice_runtime::{Clock, Shutdown, Supervisor, failpoint};
use sluice_storage::{Batcher, BatcherHandle, Closed, StorageError};
use sluice_telemetry::{Kind, Span};

use super::send::Sending;
use super::{Alarm, Slots};
use crate::receiver::Share;
use crate::store::{Acceptance, Accepted, NewEvent, Room, Store};

/// The most events that share a transaction.
const BATCH: usize = 512;
/// The most bytes of requests that share one.
const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// The most executions that share one.
const BATCH_EXECUTIONS: usize = 2_000;
/// How many events may queue for one before producers wait.
const QUEUE: usize = 2_048;

/// The way in; clones share one batcher.
#[derive(Debug, Clone)]
pub struct Accepting {
    batcher: BatcherHandle<NewEvent, Result<Acceptance, StorageError>>,
    slots: Slots,
}

/// What accepting needs.
#[derive(Clone)]
pub struct Means {
    /// Where to.
    pub store: Store,
    /// How much may be claimed with it.
    pub slots: Slots,
    /// Who sends what was claimed.
    pub sending: Sending,
    /// Tells the claim loop of what could not start.
    pub alarm: Alarm,
    /// The process's time.
    pub clock: Clock,
    /// Once triggered, nothing is claimed any more.
    pub resting: Shutdown,
}

impl Accepting {
    /// Starts it.
    pub fn start(supervisor: &Supervisor, means: Means) -> Self {
        let (may_claim, slots) = (means.sending.token(), means.slots.clone());
        let flush = move |events: Vec<NewEvent>| {
            let _held_while_this_closure_lives = &may_claim;
            let means = means.clone();
            async move {
                let mut answers = Vec::with_capacity(events.len());
                for piece in pieces(&events) {
                    answers.extend(means.accept(piece).await);
                }
                answers
            }
        };
        Self { batcher: Batcher::spawn(supervisor, "accept", BATCH, QUEUE, flush), slots }
    }

    /// Accepts one event, durably when it returns.
    ///
    /// # Errors
    /// `Closed` when the process is going away, else what the database said; in both cases nothing was accepted or it is in doubt.
    pub async fn accept(&self, event: NewEvent) -> Result<Result<Acceptance, StorageError>, Closed> {
        let mut span = Span::start("accept", Kind::Internal);
        span.record(|record| {
            record.set("sluice.account.id", event.account.to_string());
            record.set("sluice.event.id", event.event.id.clone());
            record.count("sluice.executions.count", event.executions.len());
        });
        let _coming = self.slots.enter(&event.account, event.executions.len()).await;
        let answer = self.batcher.submit(event).await;
        failpoint::reach("accept", "answering");
        span.record(|record| match &answer {
            Ok(Ok(acceptance)) => record.set("sluice.accept.outcome", outcome(acceptance)),
            Ok(Err(_)) => record.fail("database"),
            Err(Closed) => record.fail("closing"),
        });
        answer
    }
}

impl Means {
    /// Accepts some events in one transaction and sends what it claimed.
    async fn accept(&self, events: &[NewEvent]) -> Vec<Result<Acceptance, StorageError>> {
        let _turn = self.slots.turn(events.iter().map(|event| &event.account)).await;
        let room = self.room(events);
        let since = self.clock.now();
        match self.store.accept(events, room).await {
            Ok(Accepted { answers, claims, held }) => {
                let wanted: usize = events.iter().map(|event| event.executions.len()).sum();
                if claims.len() < wanted {
                    self.alarm.ring();
                }
                self.sending.send(claims, &self.slots, since);
                held.iter().for_each(|(account, held)| self.slots.hold(account, held));
                answers.into_iter().map(Ok).collect()
            }
            Err(error) if !error.is_transient() && events.len() > 1 => {
                tracing::error!(error = %error, cause = ?error, "a batch of events could not be stored; each is tried by itself");
                self.alarm.ring();
                one_by_one(&self.store, events).await
            }
            Err(error) => events.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// What may be claimed with these events: of each account as much as it brings, as far as its share of the seats and its
    /// receivers go.
    fn room(&self, events: &[NewEvent]) -> Room {
        if self.resting.is_triggered() {
            return Room::default();
        }
        let mut shares: HashMap<AccountId, usize> = HashMap::new();
        for event in events {
            *shares.entry(event.account.clone()).or_insert(0) += event.executions.len();
        }
        let shares = shares.into_iter().map(|(account, wanted)| {
            let share = self.slots.share_of_new(&account);
            let seats = share.seats.min(wanted);
            (account, Share { seats, ..share })
        });
        let shares = shares.collect();
        Room { total: self.slots.free(), shares }
    }
}

/// What traces call it.
const fn outcome(acceptance: &Acceptance) -> &'static str {
    match acceptance {
        Acceptance::Accepted(_) => "ACCEPTED",
        Acceptance::Repeated(_) => "REPEATED",
        Acceptance::IdReused => "EVENT_ID_REUSED",
        Acceptance::BacklogFull { .. } => "BACKLOG_FULL",
    }
}

/// Cuts a batch where a transaction would grow too large, in bytes or in executions.
fn pieces(events: &[NewEvent]) -> impl Iterator<Item = &[NewEvent]> {
    let mut rest = events;
    std::iter::from_fn(move || {
        let (mut bytes, mut executions) = (0_usize, 0_usize);
        let fits = |event: &NewEvent| {
            bytes += event.bytes();
            executions += event.executions.len();
            bytes <= BATCH_BYTES && executions <= BATCH_EXECUTIONS
        };
        let count = rest.iter().map(fits).take_while(|fits| *fits).count().max(1).min(rest.len());
        let (piece, tail) = rest.split_at(count);
        rest = tail;
        (!piece.is_empty()).then_some(piece)
    })
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
