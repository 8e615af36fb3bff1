//! Reporting in batches: what became of claims that ended together shares a transaction.

use std::time::Duration;

use sluice_runtime::{Shutdown, Supervisor};
use sluice_storage::{Batcher, BatcherHandle, StorageError};

use super::Alarm;
use crate::claim::{Finish, Reported};
use crate::store::Store;

/// The most reports that share a transaction.
const BATCH: usize = 512;
/// How many reports may queue before deliveries wait with theirs, each in its seat.
const QUEUE: usize = 8_192;
/// How long a report rests before it is tried again while the database does not answer.
const REST: Duration = Duration::from_millis(250);
/// How often; after that the leases have ended, and rescue has the work.
const TRIES: u32 = 400;

/// The way to record ends; clones share one batcher.
#[derive(Debug, Clone)]
pub struct Reporting(BatcherHandle<Finish, Option<Reported>>);

impl Reporting {
    /// Starts it. It outlasts the shutdown, until `end` says that nothing more is under way.
    pub fn start(supervisor: &Supervisor, end: Shutdown, store: Store, alarm: Alarm) -> Self {
        let flush = move |finishes: Vec<Finish>| {
            let (store, alarm) = (store.clone(), alarm.clone());
            async move {
                let reports = write(&store, &finishes).await;
                if finishes.iter().any(|finish| !finish.leaves_account()) {
                    alarm.ring();
                }
                reports
            }
        };
        Self(Batcher::spawn_until(end, supervisor, "report", BATCH, QUEUE, flush))
    }

    /// Records what became of a claim. `None` means that it could not be written: its lease ends, and it is rescued.
    pub async fn report(&self, finish: Finish) -> Option<Reported> {
        self.0.submit(finish).await.ok().flatten()
    }
}

async fn write(store: &Store, finishes: &[Finish]) -> Vec<Option<Reported>> {
    for attempt in 1..=TRIES {
        match store.finish(finishes).await {
            Ok(reports) => return reports.into_iter().map(Some).collect(),
            Err(error) if error.is_transient() => {
                if attempt == 1 {
                    tracing::warn!(error = %error, cause = ?error, "reports wait: the database does not answer");
                }
                tokio::time::sleep(REST).await;
            }
            Err(error) => {
                log(&error);
                break;
            }
        }
    }
    let mut reports = Vec::with_capacity(finishes.len());
    for finish in finishes {
        let report = store.finish(std::slice::from_ref(finish)).await;
        reports.push(report.inspect_err(log).ok().and_then(|reports| reports.into_iter().next()));
    }
    reports
}

fn log(error: &StorageError) {
    tracing::error!(error = %error, cause = ?error, "a report could not be written; its work is rescued when the lease ends");
}
