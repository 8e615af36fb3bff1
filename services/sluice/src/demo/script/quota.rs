//! 200 events on a plan that lets 100 executions start at once: the rest pauses, and goes on when the plan is raised.

use proto::dispatcher::v1::{Execution, ExecutionState};

use super::super::events::deal_events;
use super::super::history::{count, id_of, unfinished};
use super::super::requests::entitlements;
use super::super::wait::until;
use super::{Script, time_of_day};

/// All events of this chapter.
const EVENTS: u32 = 200;
/// Events in one call.
const BATCH: usize = 50;
/// Executions that the plan advanced lets start at once.
const BURST: usize = 100;
/// Paused executions that are told one by one.
const TOLD: usize = 3;

impl Script<'_> {
    pub(super) async fn two_hundred_events(&mut self) -> anyhow::Result<()> {
        self.story.chapter("200 events");
        let (mut set_off, mut nothing) = (0, 0);
        for batch in deal_events(0..EVENTS).chunks(BATCH) {
            let (executions, without) = self.ingest(batch.to_vec()).await?;
            set_off += executions.len();
            nothing += without;
            self.look().await?;
        }
        self.story
            .line(format_args!("{set_off} executions set off and on disk; {nothing} events matched nothing"));
        self.story.line("(deals that were won before, or became lost).");
        Ok(())
    }

    pub(super) async fn quota_used_up(&mut self) -> anyhow::Result<()> {
        self.story.chapter("The quota is used up: a pause, never a loss");
        let all = until("the executions that the plan lets start have ended", async || {
            let all = self.look().await?;
            let ended = all.len() - unfinished(&all);
            Ok((ended >= BURST || ended == all.len()).then_some(all))
        })
        .await?;
        let paused = count(&all, ExecutionState::Paused);
        self.story.result("delivered so far", count(&all, ExecutionState::Succeeded));
        self.story.result("PAUSED", paused);
        let mut shown: Vec<_> =
            all.iter().filter(|execution| execution.state() == ExecutionState::Paused).collect();
        let end = |execution: &Execution| execution.pause.and_then(|pause| pause.expected_end_time);
        shown.sort_by_key(|execution| end(execution).map(|end| (end.seconds, end.nanos)));
        for execution in shown.into_iter().take(TOLD) {
            let reason = execution.pause.unwrap_or_default().reason().as_str_name();
            let (id, reason) = (id_of(&execution.name), reason.trim_start_matches("PAUSE_REASON_"));
            let end = time_of_day(end(execution).as_ref());
            self.story.line(format_args!("{id}  {reason}, expected to go on at {end} UTC"));
        }
        if paused > TOLD {
            self.story.line(format_args!("… and {} more, each in its turn", paused - TOLD));
        }
        Ok(())
    }

    pub(super) async fn plan_raised(&mut self) -> anyhow::Result<()> {
        self.client.put_entitlements(&self.cast.billing, entitlements("professional", 3)).await?;
        self.story.line("Billing raises the plan to professional: 600 at once. All go on by themselves.");
        let all = self.all_ended().await?;
        self.story.result("delivered", count(&all, ExecutionState::Succeeded));
        self.story.result("waiting or paused", unfinished(&all));
        Ok(())
    }
}
