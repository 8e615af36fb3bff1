//! The dispatcher: has executions put on disk, and stop markers.

use prost::Message as _;
use proto::dispatcher::v1 as wire;
use proto::dispatcher::v1::dispatch_service_client::DispatchServiceClient;
use proto::dispatcher::v1::enqueue_result::Answer;
use sluice_domain::{Event, ExecutionId};
use sluice_rpc::{MAX_INTERNAL_BYTES, Transport};
use sluice_runtime::failpoint;
use sluice_telemetry::{Kind, Span};

use super::convert;
use super::refusal;
use crate::automation::Stop;
use crate::error::EvaluatorError;
use crate::evaluate::PlannedExecution;

/// What one message to the dispatcher may hold in items, in bytes: with room for its own frame.
pub(crate) const MAX_ENQUEUE_BYTES: usize = MAX_INTERNAL_BYTES - 64 * 1024;

/// What an item grows by when it is told its trace.
const TRACEPARENT_BYTES: usize = 57;

const NAME: &str = "the dispatcher";

/// Everything one event set off, ready to go.
#[derive(Debug)]
pub(crate) struct Item(wire::EnqueueItem);

/// It is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The executions, in the order of the item that was accepted first.
    pub(crate) executions: Vec<ExecutionId>,
    /// Whether the answer is that of an earlier acceptance.
    pub(crate) repeated: bool,
}

/// The dispatcher; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Dispatcher {
    client: DispatchServiceClient<Transport>,
}

impl Item {
    /// What `event` set off.
    pub(crate) fn new(event: &Event, executions: Vec<PlannedExecution>) -> Self {
        Self(wire::EnqueueItem {
            account: event.account.to_string(),
            event: Some(convert::summary(event)),
            digest: event.digest().to_vec().into(),
            traceparent: String::new(),
            executions: executions.into_iter().map(convert::execution).collect(),
        })
    }

    /// Its bytes in a message.
    pub(crate) fn size(&self) -> usize {
        self.0.encoded_len() + TRACEPARENT_BYTES + 8
    }
}

impl Dispatcher {
    /// The dispatcher at the other end of the transport.
    pub(crate) fn new(transport: Transport) -> Self {
        let client = DispatchServiceClient::new(transport).max_decoding_message_size(MAX_INTERNAL_BYTES);
        Self { client }
    }

    /// Has the items' executions put on disk; an answer for each, in their order. The span of it is kept with them: all that
    /// becomes of them later is below it.
    ///
    /// # Errors
    /// When the call as a whole fails: then nothing is known of any of them.
    pub(crate) async fn enqueue(
        &self,
        items: Vec<Item>,
    ) -> Result<Vec<Result<Accepted, EvaluatorError>>, EvaluatorError> {
        let mut span = Span::start("enqueue", Kind::Producer);
        let asked = items.len();
        span.record(|record| {
            record.count("sluice.events.count", asked);
            record.count("sluice.executions.count", items.iter().map(|item| item.0.executions.len()).sum());
        });
        let traceparent = span.context().to_string();
        let traced = |Item(item)| wire::EnqueueItem { traceparent: traceparent.clone(), ..item };
        let request = wire::EnqueueExecutionsRequest { items: items.into_iter().map(traced).collect() };
        let mut client = self.client.clone();
        failpoint::reach("ingest", "enqueueing");
        let answer = span.context().scope(client.enqueue_executions(request)).await;
        failpoint::reach("ingest", "answering");
        if answer.is_err() {
            span.record(|record| record.fail("enqueue"));
        }
        drop(span);
        let results = answer.map_err(|status| refusal::of_status(NAME, &status))?.into_inner().results;
        if results.len() != asked {
            let words = format!("{NAME} answered {} of {asked} events", results.len());
            return Err(EvaluatorError::Internal(words));
        }
        Ok(results.into_iter().map(|result| answered(result.answer)).collect())
    }

    /// Has the stop put on disk.
    ///
    /// # Errors
    /// When the call fails.
    pub(crate) async fn put_gate(&self, stop: &Stop) -> Result<(), EvaluatorError> {
        let request = wire::PutGateRequest {
            account: stop.account.to_string(),
            automation: stop.automation.to_string(),
            generation: stop.generation,
        };
        let answer = self.client.clone().put_gate(request).await;
        answer.map(drop).map_err(|status| refusal::of_status(NAME, &status))
    }
}

fn answered(answer: Option<Answer>) -> Result<Accepted, EvaluatorError> {
    match answer {
        None => Err(EvaluatorError::Internal(format!("{NAME} left an event without an answer"))),
        Some(Answer::Error(error)) => Err(refusal::of_item(NAME, error)),
        Some(Answer::Accepted(accepted)) => {
            let ids = accepted.executions.iter().map(|id| id.parse());
            let executions = ids.collect::<Result<_, _>>().map_err(|error| {
                EvaluatorError::Internal(format!("{NAME} answered an execution id: {error}"))
            })?;
            Ok(Accepted { executions, repeated: accepted.repeated })
        }
    }
}
