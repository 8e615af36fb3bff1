//! What happens in the demo, chapter by chapter. Everything is asked of the API or read in the receiver's ledger.

mod history;
mod quota;
mod refusals;
mod retry;

use std::collections::BTreeSet;

use anyhow::bail;
use proto::dispatcher::v1::Execution;
use proto::evaluator::v1::batch_ingest_events_result::Answer;
use proto::evaluator::v1::{BatchIngestEventsRequest, IngestOutcome};
use proto::event::v1::Event;
use sluice_domain::Timestamp;

use super::cast::Cast;
use super::client::{Client, Refused};
use super::receiver_process::ReceiverProcess;
use super::requests::PARENT;
use super::story::Story;
use super::tally::{Evidence, Trial};
use super::wait::until;
use super::{history as records, requests};

/// Why a call may be refused for a moment after a change elsewhere: services hear of it through the registry's feed.
const NOT_HEARD_YET: [&str; 4] = ["PLAN_REQUIRED", "ACCOUNT_UNKNOWN", "WEBHOOK_UNKNOWN", "UNAVAILABLE"];

/// The demo under way.
pub struct Script<'a> {
    /// The suite's public API.
    pub client: &'a Client,
    /// The receiver.
    pub receiver: &'a ReceiverProcess,
    /// Who acts.
    pub cast: &'a Cast,
    /// What is told.
    pub story: &'a mut Story,
    /// What was seen so far.
    pub evidence: Evidence,
}

impl Script<'_> {
    /// Plays it all and returns what was seen.
    ///
    /// # Errors
    /// When something does not go on at all. What goes on wrongly is in the evidence.
    pub async fn play(&mut self) -> anyhow::Result<()> {
        self.refusals().await?;
        let endpoint = self.receiver.base().join(requests::HOOK_PREFIX)?;
        let webhook = self.targets(endpoint.as_str()).await?;
        self.automation(&webhook).await?;
        self.two_hundred_events().await?;
        self.quota_used_up().await?;
        self.plan_raised().await?;
        self.receiver_broken().await?;
        self.whole_history().await
    }

    /// Notes how a call came out that had to be refused.
    fn trial<T>(&mut self, what: &'static str, due: &'static str, answer: Result<T, Refused>) {
        let (came, told) = match answer {
            Ok(_) => ("let through".to_owned(), "LET THROUGH".to_owned()),
            Err(refused) => {
                let reason =
                    if refused.reason.is_empty() { refused.to_string() } else { refused.reason.clone() };
                let mut more: Vec<_> =
                    refused.metadata.iter().map(|(key, value)| format!("{key} {value}")).collect();
                more.sort();
                let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
                (reason.clone(), format!("refused: {reason}{more}"))
            }
        };
        self.story.result(what, told);
        self.evidence.trials.push(Trial { what, due, came });
    }

    /// Repeats a call while it is refused because a service has not heard of a change yet.
    async fn once_heard<T>(
        &self,
        what: &str,
        call: impl AsyncFn() -> Result<T, Refused>,
    ) -> anyhow::Result<Result<T, Refused>> {
        until(what, async || match call().await {
            Err(refused) if NOT_HEARD_YET.contains(&refused.reason.as_str()) => Ok(None),
            answer => Ok(Some(answer)),
        })
        .await
    }

    /// Sends one batch of events; returns the ids of the executions they set off, and how many events set off nothing.
    async fn ingest(&mut self, events: Vec<Event>) -> anyhow::Result<(BTreeSet<String>, usize)> {
        let request = BatchIngestEventsRequest { parent: PARENT.to_owned(), events };
        let answer = self.client.ingest(&self.cast.producer, request).await?;
        let mut set_off = BTreeSet::new();
        let mut nothing = 0;
        for result in answer.results {
            match result.answer {
                Some(Answer::Response(response)) => {
                    if response.outcome() == IngestOutcome::NoMatch {
                        nothing += 1;
                    }
                    set_off.extend(response.executions.iter().map(|name| records::id_of(name).to_owned()));
                }
                Some(Answer::Error(error)) => bail!("an event was refused: {}", error.message),
                None => bail!("an event was not answered"),
            }
        }
        self.evidence.acknowledged.extend(set_off.iter().cloned());
        Ok((set_off, nothing))
    }

    /// Lists the history and keeps in mind what it shows paused.
    async fn look(&mut self) -> anyhow::Result<Vec<Execution>> {
        let all = records::list_all(self.client, &self.cast.admin, PARENT).await?;
        self.evidence.shown_paused.extend(records::paused(&all));
        Ok(all)
    }

    /// Looks until every execution has ended.
    async fn all_ended(&mut self) -> anyhow::Result<Vec<Execution>> {
        until("all executions have ended", async || {
            let all = self.look().await?;
            Ok((records::unfinished(&all) == 0).then_some(all))
        })
        .await
    }
}

/// The time of day of a protobuf timestamp, UTC: `05:12:33`.
fn time_of_day(at: Option<&prost_types::Timestamp>) -> String {
    at.and_then(|at| Timestamp::from_unix(at.seconds, 0))
        .and_then(|at| at.to_rfc3339().get(11..19).map(str::to_owned))
        .unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::time_of_day;

    #[test]
    fn a_timestamp_is_told_as_time_of_day() {
        let at = prost_types::Timestamp { seconds: 1_735_693_953, nanos: 5 };
        assert_eq!(time_of_day(Some(&at)), "01:12:33");
        assert_eq!(time_of_day(None), "unknown");
    }
}
