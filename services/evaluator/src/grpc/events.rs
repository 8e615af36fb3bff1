//! EventService: one event or a batch; OK when everything it set off is on disk.

use std::sync::Arc;

use prost::Message as _;
use proto::evaluator::v1 as wire;
use proto::evaluator::v1::batch_ingest_events_result::Answer;
use proto::evaluator::v1::event_service_server::EventService;
use sluice_auth::Principal;
use sluice_domain::{AccountId, Violations};
use sluice_rpc::{AccountName, Fault, MAX_MESSAGE_BYTES};
use sluice_runtime::Clock;
use sluice_telemetry::{Kind, Span};
use tonic::{Request, Response, Status};

use super::convert_event::event;
use super::judged::told;
use super::refuse::item_error;
use super::{answer, opened};
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
}

/// One state of an account, by which the events of one call are judged.
struct Judge {
    view: Arc<AccountView>,
    automations: Arc<AutomationSet>,
    /// Whether the event came by itself: one of a batch leaves a span only if it sets something off.
    alone: bool,
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
    ) -> Result<wire::IngestEventResponse, Fault> {
        let (parent, event) = self.read(caller, sent)?;
        let AccountName(account) = parent;
        let judge = self.judge(&account, true).await?;
        match self.judged(&judge, event)? {
            Judged::Answered(outcome) => Ok(answered(outcome)),
            Judged::Pending(item) => {
                let answer = self.dispatcher.enqueue(vec![*item]).await?.pop();
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
    ) -> Result<wire::BatchIngestEventsResponse, Fault> {
        let mut found = Violations::new();
        let parent = tenant(&sent.parent, &mut found);
        if let Some(parent) = &parent {
            parent.open_to(caller)?;
        }
        let count = sent.events.len();
        if count == 0 || count > MAX_BATCH {
            found.add("events", format!("must hold 1 to {MAX_BATCH} events"));
        }
        let parent = parent.filter(|_| found.is_empty()).ok_or_else(|| Fault::invalid(found))?;
        let AccountName(account) = parent;
        let judge = self.judge(&account, false).await?;
        let mut batch = Batch::new(&account, &self.dispatcher, count);
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

    /// Whose the event is, which the caller may act for, and the event, which is not checked yet.
    fn read(
        &self,
        caller: &Principal,
        sent: wire::IngestEventRequest,
    ) -> Result<(AccountName, EventDraft), Fault> {
        let mut found = Violations::new();
        let parent = tenant(&sent.parent, &mut found);
        if let Some(parent) = &parent {
            parent.open_to(caller)?;
        }
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
            (Some(parent), Some(event)) if found.is_empty() => Ok((parent, event)),
            (_, event) => {
                let broken = event.and_then(|event| check_event(event, self.clock.now()).err());
                found.extend(broken.into_iter().flatten());
                Err(Fault::invalid(found))
            }
        }
    }

    async fn judge(&self, account: &AccountId, alone: bool) -> Result<Judge, EvaluatorError> {
        let view = self.accounts.view(account).await?;
        Ok(Judge { view, automations: self.automations.current(account).await?, alone })
    }

    fn judged(&self, judge: &Judge, event: EventDraft) -> Result<Judged, EvaluatorError> {
        let incoming = check_event(event, self.clock.now()).map_err(EvaluatorError::Invalid)?;
        let mut span = Span::start("evaluate", Kind::Internal);
        let judgement = evaluate(&incoming, &judge.view, &judge.automations);
        if judge.alone || matches!(judgement, Judgement::Fires(_) | Judgement::TooWide) {
            span.record(|record| told(record, &incoming, &judge.automations, &judgement));
            drop(span);
        } else {
            span.discard();
        }
        match judgement {
            Judgement::Suppressed => Ok(Judged::Answered(wire::IngestOutcome::Suppressed)),
            Judgement::NoMatch => Ok(Judged::Answered(wire::IngestOutcome::NoMatch)),
            Judgement::TooWide => Err(EvaluatorError::EventTooWide),
            Judgement::Fires(executions) => {
                Ok(Judged::Pending(Box::new(Item::new(&incoming.event, executions))))
            }
        }
    }
}

/// Whose events these are; those of the system account are Sluice's own.
fn tenant(parent: &str, found: &mut Violations) -> Option<AccountName> {
    let parent = found.keep("parent", parent.parse::<AccountName>());
    if parent.as_ref().is_some_and(|AccountName(account)| account.is_system()) {
        found.add("parent", "must be a tenant: events of the system account are Sluice's own");
    }
    parent
}

/// A batch on its way: answers by place, and the items that wait to go in one message.
struct Batch<'a> {
    account: &'a AccountId,
    dispatcher: &'a Dispatcher,
    answers: Vec<Option<Answer>>,
    places: Vec<usize>,
    items: Vec<Item>,
    bytes: usize,
    /// Why the dispatcher is not asked any more within this batch.
    broken: Option<Answer>,
}

impl<'a> Batch<'a> {
    fn new(account: &'a AccountId, dispatcher: &'a Dispatcher, count: usize) -> Self {
        let answers = std::iter::repeat_with(|| None).take(count).collect();
        Self { account, dispatcher, answers, places: Vec::new(), items: Vec::new(), bytes: 0, broken: None }
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
            match self.dispatcher.enqueue(items).await {
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
        let (caller, sent) = opened(request)?;
        answer(self.ingest(&caller, sent).await)
    }

    async fn batch_ingest_events(
        &self,
        request: Request<wire::BatchIngestEventsRequest>,
    ) -> Result<Response<wire::BatchIngestEventsResponse>, Status> {
        let (caller, sent) = opened(request)?;
        answer(self.ingest_batch(&caller, sent).await)
    }
}
