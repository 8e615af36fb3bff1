//! The receiver breaks, requests are tried again, the receiver is mended.

use std::collections::BTreeSet;

use proto::dispatcher::v1::ExecutionState;

use super::super::events::won_events;
use super::super::history::{count, id_of};
use super::super::requests::HOOK_PREFIX;
use super::super::wait::until;
use super::{Script, time_of_day};

/// The deals of this chapter.
const DEALS: std::ops::Range<u32> = 200..205;
/// What the broken receiver answers.
const OUT_OF_ORDER: u16 = 503;

impl Script<'_> {
    pub(super) async fn receiver_broken(&mut self) -> anyhow::Result<()> {
        self.story.chapter("The receiver breaks");
        self.receiver.break_paths(HOOK_PREFIX, OUT_OF_ORDER).await?;
        let (executions, _) = self.ingest(won_events(DEALS)).await?;
        let receiver = self.receiver;
        let failed = until("the broken receiver has answered 503 to each new execution", async || {
            let hits = receiver.ledger().await?;
            let failed: BTreeSet<String> = hits
                .into_iter()
                .filter(|hit| hit.status == OUT_OF_ORDER && executions.contains(&hit.execution))
                .map(|hit| hit.execution)
                .collect();
            Ok((failed.len() == executions.len()).then_some(failed))
        })
        .await?;
        self.story.result("answered 503 at the first attempt", failed.len());

        let waiting = until("the history shows one of them waiting for its retry", async || {
            let all = self.look().await?;
            let is_waiting = |state| state == ExecutionState::Waiting;
            Ok(all
                .into_iter()
                .find(|execution| is_waiting(execution.state()) && failed.contains(id_of(&execution.name))))
        })
        .await?;
        let (id, at) = (id_of(&waiting.name), time_of_day(waiting.wait_until.as_ref()));
        self.story.line(format_args!("{id}  WAITING for its retry at {at} UTC"));
        self.receiver.mend().await?;
        self.story.line("The receiver is mended.");
        let all = self.all_ended().await?;
        let retried: Vec<_> =
            all.into_iter().filter(|execution| executions.contains(id_of(&execution.name))).collect();
        self.story.result("succeeded at a retry", count(&retried, ExecutionState::Succeeded));
        Ok(())
    }
}
