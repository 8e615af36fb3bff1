//! The whole history and the whole ledger are read, and one execution is shown as it stands there.

use proto::dispatcher::v1::Execution;

use super::super::history::{id_of, read, record};
use super::{Script, time_of_day};

impl Script<'_> {
    pub(super) async fn whole_history(&mut self) -> anyhow::Result<()> {
        self.story.chapter("The history of one execution");
        let mut shown: Option<Execution> = None;
        for listed in self.look().await? {
            let whole = read(self.client, &self.cast.admin, &listed.name).await?;
            self.evidence.history.push(record(&whole));
            if shown.is_none() && whole.attempt_count > 1 {
                shown = Some(whole);
            }
        }
        self.evidence.ledger = self.receiver.ledger().await?;
        if let Some(execution) = shown {
            self.show(&execution);
        }
        Ok(())
    }

    fn show(&self, execution: &Execution) {
        let story = &self.story;
        let event = execution.event.clone().unwrap_or_default();
        story.line(format_args!("{}  {}", id_of(&execution.name), short(execution.state().as_str_name())));
        story.line(format_args!(
            "event {}: {} {} updated by {}",
            event.id, event.object, event.record_id, event.actor
        ));
        for delivery in &execution.deliveries {
            let path = delivery.attempts.last().map_or("", |attempt| attempt.url_path.as_str());
            story.line(format_args!("{} {path}   ({})", delivery.method, delivery.content_type));
            story.line(String::from_utf8_lossy(&delivery.body));
            story.line(format_args!("webhook-id {}", delivery.id));
            for attempt in &delivery.attempts {
                let duration = attempt.duration.unwrap_or_default();
                let millis = duration.seconds * 1_000 + i64::from(duration.nanos / 1_000_000);
                let answer = attempt.answer.as_ref().map_or_else(
                    || attempt.error.clone(),
                    |answer| {
                        let body = String::from_utf8_lossy(&answer.body);
                        format!("HTTP {} “{}”", answer.status, body.trim())
                    },
                );
                story.line(format_args!(
                    "  attempt {} at {}, {millis} ms: {} {answer}",
                    attempt.number,
                    time_of_day(attempt.start_time.as_ref()),
                    short(attempt.outcome().as_str_name()),
                ));
            }
        }
    }
}

/// The name of an enum's value without that of its enum.
fn short(name: &'static str) -> &'static str {
    ["EXECUTION_STATE_", "ATTEMPT_OUTCOME_"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
}
