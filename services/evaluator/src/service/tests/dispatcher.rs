//! A dispatcher that remembers what it was asked and answers as told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use proto::dispatcher::v1 as wire;
use proto::dispatcher::v1::dispatch_service_server::DispatchService;
use proto::dispatcher::v1::enqueue_result::Answer;
use proto::errors::v1::ItemError;
use sluice_domain::ExecutionId;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

/// One call: its `traceparent` metadata and what it asked.
type Call = (Option<String>, wire::EnqueueExecutionsRequest);

/// The scripted dispatcher; clones are one.
#[derive(Clone)]
pub(super) struct FakeDispatcher {
    /// Whether it answers at all.
    pub(super) away: Arc<Mutex<bool>>,
    /// Errors by event id.
    pub(super) errors: Arc<Mutex<HashMap<String, ItemError>>>,
    /// The calls.
    pub(super) enqueued: Arc<Mutex<Vec<Call>>>,
    /// The stop markers that arrived.
    pub(super) gates: Arc<watch::Sender<Vec<wire::PutGateRequest>>>,
    /// How many stop markers were refused because it was away.
    pub(super) refused_gates: Arc<watch::Sender<usize>>,
    seen: Arc<Mutex<HashMap<String, Vec<String>>>>,
}

impl FakeDispatcher {
    pub(super) fn new() -> Self {
        Self {
            away: Arc::default(),
            errors: Arc::default(),
            enqueued: Arc::default(),
            gates: Arc::new(watch::Sender::new(Vec::new())),
            refused_gates: Arc::new(watch::Sender::new(0)),
            seen: Arc::default(),
        }
    }

    pub(super) fn set_away(&self, away: bool) {
        *self.away.lock().unwrap() = away;
    }

    pub(super) fn fail(&self, event: &str, error: ItemError) {
        self.errors.lock().unwrap().insert(event.to_owned(), error);
    }

    /// The calls so far, without their metadata.
    pub(super) fn calls(&self) -> Vec<wire::EnqueueExecutionsRequest> {
        self.enqueued.lock().unwrap().iter().map(|(_, call)| call.clone()).collect()
    }

    /// The only item of the last call.
    pub(super) fn last_item(&self) -> wire::EnqueueItem {
        let mut items = self.calls().pop().expect("a call").items;
        assert_eq!(items.len(), 1);
        items.remove(0)
    }

    fn answer(&self, item: &wire::EnqueueItem) -> Answer {
        let event = item.event.as_ref().expect("an event").id.clone();
        if let Some(error) = self.errors.lock().unwrap().get(&event) {
            return Answer::Error(error.clone());
        }
        let mut seen = self.seen.lock().unwrap();
        if let Some(executions) = seen.get(&event) {
            return Answer::Accepted(wire::EnqueueAccepted {
                executions: executions.clone(),
                repeated: true,
            });
        }
        let number = u8::try_from(seen.len()).unwrap();
        let executions: Vec<String> =
            (0..item.executions.len()).map(|_| ExecutionId::from_bytes([number; 16]).to_string()).collect();
        seen.insert(event, executions.clone());
        Answer::Accepted(wire::EnqueueAccepted { executions, repeated: false })
    }
}

#[tonic::async_trait]
impl DispatchService for FakeDispatcher {
    async fn enqueue_executions(
        &self,
        request: Request<wire::EnqueueExecutionsRequest>,
    ) -> Result<Response<wire::EnqueueExecutionsResponse>, Status> {
        if *self.away.lock().unwrap() {
            return Err(Status::unavailable("away"));
        }
        let traceparent =
            request.metadata().get("traceparent").map(|value| value.to_str().unwrap().to_owned());
        let request = request.into_inner();
        let results = request
            .items
            .iter()
            .map(|item| wire::EnqueueResult { answer: Some(self.answer(item)) })
            .collect();
        self.enqueued.lock().unwrap().push((traceparent, request));
        Ok(Response::new(wire::EnqueueExecutionsResponse { results }))
    }

    async fn put_gate(
        &self,
        request: Request<wire::PutGateRequest>,
    ) -> Result<Response<wire::PutGateResponse>, Status> {
        if *self.away.lock().unwrap() {
            self.refused_gates.send_modify(|count| *count += 1);
            return Err(Status::unavailable("away"));
        }
        let request = request.into_inner();
        let generation = request.generation;
        self.gates.send_modify(|gates| gates.push(request));
        Ok(Response::new(wire::PutGateResponse { generation }))
    }
}
