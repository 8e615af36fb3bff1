//! The producer: sends events, so many under way at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use proto::evaluator::v1::batch_ingest_events_result::Answer;
use proto::evaluator::v1::event_service_client::EventServiceClient;
use proto::evaluator::v1::{
    BatchIngestEventsRequest, IngestEventRequest, IngestEventResponse, IngestOutcome,
};
use proto::event::v1::{Action, Event};
use sluice_auth::{Principal, Scope};
use sluice_rpc::Transport;
use sluice_runtime::Clock;
use tokio::task::JoinSet;
use tonic::Code;

use super::accounts;
use super::house::House;
use crate::cli::Mode;

/// Connections that the events are spread over.
const CONNECTIONS: usize = 4;
/// Before a call that was refused for the moment is made again.
const PATIENCE: Duration = Duration::from_millis(20);

/// A producer of events for all accounts.
#[derive(Debug, Clone)]
pub(crate) struct Producer {
    lines: Vec<EventServiceClient<Transport>>,
    accounts: usize,
    note: Arc<str>,
    clock: Clock,
    refused: Arc<AtomicU64>,
}

impl Producer {
    /// Connects.
    pub(crate) fn new(house: &House) -> anyhow::Result<Self> {
        let who = Principal::new(None, "crm".parse()?, [], [Scope::EventsWrite, Scope::AccountsAny]);
        let line = |_| Ok(EventServiceClient::new(house.door().transport(&who)?));
        Ok(Self {
            lines: (0..CONNECTIONS).map(line).collect::<anyhow::Result<_>>()?,
            accounts: house.accounts(),
            note: "all work and no play makes jack a dull boy ".repeat(21).trim_end().into(),
            clock: Clock::system(),
            refused: Arc::default(),
        })
    }

    /// How often a call was refused for the moment and made again.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Sends so many events under ids that begin with `run`, and returns when all are acknowledged.
    pub(crate) async fn send(
        &self,
        run: &str,
        mode: Mode,
        events: usize,
        under_way: usize,
    ) -> anyhow::Result<()> {
        let next = Arc::new(AtomicUsize::new(0));
        let calls = events.div_ceil(mode.size());
        let mut senders = JoinSet::new();
        for sender in 0..under_way {
            let (producer, next, run) = (self.clone(), Arc::clone(&next), run.to_owned());
            senders.spawn(async move {
                let mut line = producer.lines[sender % CONNECTIONS].clone();
                loop {
                    let call = next.fetch_add(1, Ordering::Relaxed);
                    if call >= calls {
                        return anyhow::Ok(());
                    }
                    let numbers = call * mode.size()..events.min((call + 1) * mode.size());
                    producer.call(&mut line, &run, call % producer.accounts, numbers).await?;
                }
            });
        }
        while let Some(ended) = senders.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// Sends events at a steady rate, whether or not the ones before are answered.
    pub(crate) async fn send_at(&self, run: &str, per_second: f64, events: usize) -> anyhow::Result<()> {
        let mut senders = JoinSet::new();
        let start = tokio::time::Instant::now();
        for number in 0..events {
            tokio::time::sleep_until(start + Duration::from_secs_f64(number as f64 / per_second)).await;
            let (producer, run) = (self.clone(), run.to_owned());
            senders.spawn(async move {
                let mut line = producer.lines[number % CONNECTIONS].clone();
                producer.call(&mut line, &run, number % producer.accounts, number..number + 1).await
            });
        }
        while let Some(ended) = senders.join_next().await {
            ended??;
        }
        Ok(())
    }

    async fn call(
        &self,
        line: &mut EventServiceClient<Transport>,
        run: &str,
        account: usize,
        numbers: std::ops::Range<usize>,
    ) -> anyhow::Result<()> {
        let parent = format!("accounts/{}", accounts::name(account));
        let mut events: Vec<Event> = numbers.map(|number| self.event(run, number)).collect();
        loop {
            let answered = match &events[..] {
                [event] => {
                    let request = IngestEventRequest { parent: parent.clone(), event: Some(event.clone()) };
                    line.ingest_event(request)
                        .await
                        .map(|answer| vec![Some(Answer::Response(answer.into_inner()))])
                }
                _ => {
                    let request = BatchIngestEventsRequest { parent: parent.clone(), events: events.clone() };
                    let answer = line.batch_ingest_events(request).await;
                    answer
                        .map(|answer| answer.into_inner().results.into_iter().map(|one| one.answer).collect())
                }
            };
            match answered {
                Ok(answers) => {
                    let mut again = Vec::new();
                    for (event, answer) in events.into_iter().zip(answers) {
                        match answer.context("an answer for each event")? {
                            Answer::Response(answer) => accepted(&answer)?,
                            Answer::Error(_) => again.push(event),
                        }
                    }
                    if again.is_empty() {
                        return Ok(());
                    }
                    events = again;
                }
                Err(refusal) if matches!(refusal.code(), Code::ResourceExhausted | Code::Unavailable) => {}
                Err(refusal) => return Err(refusal.into()),
            }
            self.refused.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(PATIENCE).await;
        }
    }

    fn event(&self, run: &str, number: usize) -> Event {
        let sent = self.clock.now().as_micros();
        let current = format!(
            "{{\"id\":{number},\"title\":\"Deal {number}\",\"status\":\"won\",\"value\":{number}.50,\"sent\":{sent},\"note\":\"{}\"}}",
            self.note
        );
        Event {
            id: format!("{run}-{number}"),
            object: "deal".to_owned(),
            action: Action::Updated.into(),
            record_id: number.to_string(),
            actor: "ada".to_owned(),
            current: current.into(),
            previous: (&b"{\"status\":\"open\"}"[..]).into(),
            previous_partial: true,
            ..Event::default()
        }
    }
}

fn accepted(answer: &IngestEventResponse) -> anyhow::Result<()> {
    match answer.outcome() {
        IngestOutcome::Accepted | IngestOutcome::Repeated => Ok(()),
        other => bail!("an event set nothing off: {}", other.as_str_name()),
    }
}
