//! EventService: one event or a batch; OK when everything it set off is on disk.

use std::sync::Arc;

use prost::Message as _;
use proto::evaluator::v1 as wire;
use proto::evaluator::v1::batch_ingest_events_result::Answer;
use proto::evaluator::v1::event_service_server::EventService;
use sluice_auth::Principal;
use sluice_domain::{AccountId, Violations};
use sluice_rpc::{AccountName, Fault, MAX_MESSAGE_BYTES};
use sluice_runtime::{Clock, Entropy};
use sluice_telemetry::TraceContext;
use tonic::{Request, Response, Status};

use super::convert_event::event;
use super::refuse::item_error;
use super::{answer, opened, trace};
use crate::clients::dispatcher::{Accepted, Dispatcher, Item, MAX_ENQUEUE_BYTES};
use crate::error::EvaluatorError;
use crate::evaluate::{Judgement, evaluate};
use crate::event_check::{EventDraft, check_event};
use crate::snapshot::{AccountView, AutomationSet};
use crate::worker::{Accounts, Automations};

/// How many events a batch may hold.
const MAX_BATCH: usize = 1_000;

/// The door to events.
#[derive(Debug, Clone)]
pub(crate) struct EventDoor {
    pub(crate) accounts: Accounts,
    pub(crate) automations: Arc<Automations>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
}

/// One state of an account, by which the events of one call are judged.
struct Judge {
    view: Arc<AccountView>,
    automations: Arc<AutomationSet>,
    trace: TraceContext,
}

/// What an event comes to before the dispatcher is asked.
enum Judged {
    /// It is answered.
    Answered(wire::IngestOutcome),
    /// Its executions have to be put on disk.
    Pending(Box<Item>),
}

impl EventDoor {
    async fn ingest(
        &self,
        caller: &Principal,
        sent: wire::IngestEventRequest,
        trace: TraceContext,
    ) -> Result<wire::IngestEventResponse, Fault> {
        let (parent, event) = self.read(sent).map_err(Fault::invalid)?;
        parent.open_to(caller)?;
        let AccountName(account) = parent;
        let judge = self.judge(&account, trace).await?;
        match self.judged(&judge, event)? {
            Judged::Answered(outcome) => Ok(answered(outcome)),
            Judged::Pending(item) => {
                let answer = self.dispatcher.enqueue(vec![*item], &trace).await?.pop();
                let none = || EvaluatorError::Internal("the dispatcher gave no answer".to_owned());
                let taken = answer.ok_or_else(none)??;
                Ok(accepted(&account, &taken))
            }
        }
    }

    async fn ingest_batch(
        &self,
        caller: &Principal,
        sent: wire::BatchIngestEventsRequest,
        trace: TraceContext,
    ) -> Result<wire::BatchIngestEventsResponse, Fault> {
        let mut found = Violations::new();
        let parent = found.keep("parent", sent.parent.parse::<AccountName>());
        let count = sent.events.len();
        if count == 0 || count > MAX_BATCH {
            found.add("events", format!("must hold 1 to {MAX_BATCH} events"));
        }
        let parent = parent.filter(|_| found.is_empty()).ok_or_else(|| Fault::invalid(found))?;
        parent.open_to(caller)?;
        let AccountName(account) = parent;
        let judge = self.judge(&account, trace).await?;
        let mut batch = Batch::new(&account, &self.dispatcher, trace, count);
        for (place, sent) in sent.events.into_iter().enumerate() {
            match self.judged(&judge, event(Some(account.clone()), sent)) {
                Ok(Judged::Answered(outcome)) => batch.answer(place, Answer::Response(answered(outcome))),
                Ok(Judged::Pending(item)) => batch.enqueue(place, *item).await,
                Err(error) => batch.answer(place, Answer::Error(item_error(&error))),
            }
            tokio::task::consume_budget().await;
        }
        Ok(batch.finish().await)
    }

    /// Whose the event is, and the event, which is not checked yet.
    fn read(&self, sent: wire::IngestEventRequest) -> Result<(AccountName, EventDraft), Violations> {
        let mut found = Violations::new();
        let parent = found.keep("parent", sent.parent.parse::<AccountName>());
        let bytes = sent.encoded_len();
        let event = match sent.event {
            // The transport takes as much as a batch may have, since it knows one limit for a whole service.
            Some(_) if bytes > MAX_MESSAGE_BYTES => {
                found.add(
                    "event",
                    format!("the request has {bytes} bytes; at most {MAX_MESSAGE_BYTES} are allowed"),
                );
                None
            }
            Some(sent) => Some(event(parent.as_ref().map(|AccountName(account)| account.clone()), sent)),
            None => {
                found.add("event", "is required");
                None
            }
        };
        match (parent, event) {
            (Some(parent), Some(event)) => Ok((parent, event)),
            (_, event) => {
                let broken = event.and_then(|event| check_event(event, self.clock.now()).err());
                found.extend(broken.into_iter().flatten());
                Err(found)
            }
        }
    }

    async fn judge(&self, account: &AccountId, trace: TraceContext) -> Result<Judge, EvaluatorError> {
        let view = self.accounts.view(account).await?;
        Ok(Judge { view, automations: self.automations.current(account).await?, trace })
    }

    fn judged(&self, judge: &Judge, event: EventDraft) -> Result<Judged, EvaluatorError> {
        let incoming = check_event(event, self.clock.now()).map_err(EvaluatorError::Invalid)?;
        match evaluate(&incoming, &judge.view, &judge.automations) {
            Judgement::Suppressed => Ok(Judged::Answered(wire::IngestOutcome::Suppressed)),
            Judgement::NoMatch => Ok(Judged::Answered(wire::IngestOutcome::NoMatch)),
            Judgement::TooWide => Err(EvaluatorError::EventTooWide),
            Judgement::Fires(executions) => {
                Ok(Judged::Pending(Box::new(Item::new(&incoming.event, &judge.trace, executions))))
            }
        }
    }
}

/// A batch on its way: answers by place, and the items that wait to go in one message.
struct Batch<'a> {
    account: &'a AccountId,
    dispatcher: &'a Dispatcher,
    trace: TraceContext,
    answers: Vec<Option<Answer>>,
    places: Vec<usize>,
    items: Vec<Item>,
    bytes: usize,
    /// Why the dispatcher is not asked any more within this batch.
    broken: Option<Answer>,
}

impl<'a> Batch<'a> {
    fn new(account: &'a AccountId, dispatcher: &'a Dispatcher, trace: TraceContext, count: usize) -> Self {
        let answers = std::iter::repeat_with(|| None).take(count).collect();
        Self {
            account,
            dispatcher,
            trace,
            answers,
            places: Vec::new(),
            items: Vec::new(),
            bytes: 0,
            broken: None,
        }
    }

    fn answer(&mut self, place: usize, answer: Answer) {
        self.answers[place] = Some(answer);
    }

    /// Adds an item; a message that would grow too large goes first.
    async fn enqueue(&mut self, place: usize, item: Item) {
        if self.bytes + item.size() > MAX_ENQUEUE_BYTES {
            self.flush().await;
        }
        self.bytes += item.size();
        self.places.push(place);
        self.items.push(item);
    }

    /// Sends what waits. When the call as a whole fails, the items of this message and of all later ones are answered with
    /// that: they keep their order, and nobody waits for a dispatcher that is away a second time.
    async fn flush(&mut self) {
        let (items, places) = (std::mem::take(&mut self.items), std::mem::take(&mut self.places));
        self.bytes = 0;
        if items.is_empty() {
            return;
        }
        if self.broken.is_none() {
            match self.dispatcher.enqueue(items, &self.trace).await {
                Ok(results) => {
                    for (place, result) in places.into_iter().zip(results) {
                        let answer = match result {
                            Ok(taken) => Answer::Response(accepted(self.account, &taken)),
                            Err(error) => Answer::Error(item_error(&error)),
                        };
                        self.answer(place, answer);
                    }
                    return;
                }
                Err(error) => self.broken = Some(Answer::Error(item_error(&error))),
            }
        }
        for place in places {
            self.answers[place].clone_from(&self.broken);
        }
    }

    async fn finish(mut self) -> wire::BatchIngestEventsResponse {
        self.flush().await;
        let results: Vec<_> =
            self.answers.into_iter().map(|answer| wire::BatchIngestEventsResult { answer }).collect();
        wire::BatchIngestEventsResponse { results }
    }
}

fn answered(outcome: wire::IngestOutcome) -> wire::IngestEventResponse {
    wire::IngestEventResponse { outcome: outcome.into(), executions: Vec::new() }
}

fn accepted(account: &AccountId, accepted: &Accepted) -> wire::IngestEventResponse {
    let outcome =
        if accepted.repeated { wire::IngestOutcome::Repeated } else { wire::IngestOutcome::Accepted };
    let executions =
        accepted.executions.iter().map(|id| format!("accounts/{account}/executions/{id}")).collect();
    wire::IngestEventResponse { outcome: outcome.into(), executions }
}

#[tonic::async_trait]
impl EventService for EventDoor {
    async fn ingest_event(
        &self,
        request: Request<wire::IngestEventRequest>,
    ) -> Result<Response<wire::IngestEventResponse>, Status> {
        let trace = trace(&request, &self.entropy);
        let (caller, sent) = opened(request)?;
        answer(self.ingest(&caller, sent, trace).await)
    }

    async fn batch_ingest_events(
        &self,
        request: Request<wire::BatchIngestEventsRequest>,
    ) -> Result<Response<wire::BatchIngestEventsResponse>, Status> {
        let trace = trace(&request, &self.entropy);
        let (caller, sent) = opened(request)?;
        answer(self.ingest_batch(&caller, sent, trace).await)
    }
}
