//! What the evaluator asks: take these executions, stop this automation.

use futures_util::future::join_all;
use proto::dispatcher::v1 as wire;
use proto::dispatcher::v1::dispatch_service_server::DispatchService;
use proto::dispatcher::v1::enqueue_result;
use sluice_auth::Principal;
use sluice_domain::{AccountId, AutomationId, Violations};
use sluice_rpc::{AccountName, Fault, principal};
use sluice_runtime::{Clock, Entropy};
use tonic::{Request, Response, Status};

use super::enqueue::{Mint, new_event};
use super::refusal;
use crate::error::Error;
use crate::store::{Acceptance, Store};
use crate::worker::{Accepting, Sweeping};

/// The internal service.
#[derive(Clone)]
pub struct Dispatch {
    accepting: Accepting,
    store: Store,
    sweeping: Sweeping,
    clock: Clock,
    entropy: Entropy,
}

impl Dispatch {
    /// Accepts through this batcher, stops in this store.
    pub const fn new(
        accepting: Accepting,
        store: Store,
        sweeping: Sweeping,
        clock: Clock,
        entropy: Entropy,
    ) -> Self {
        Self { accepting, store, sweeping, clock, entropy }
    }

    async fn accept(&self, item: wire::EnqueueItem) -> Result<wire::EnqueueAccepted, Error> {
        let mint = Mint { now: self.clock.now(), entropy: &self.entropy };
        let event = new_event(item, &mint).map_err(Error::Invalid)?;
        let (ids, repeated) = match self.accepting.accept(event).await.map_err(|_| Error::Closing)?? {
            Acceptance::Accepted(ids) => (ids, false),
            Acceptance::Repeated(ids) => (ids, true),
            Acceptance::IdReused => return Err(Error::EventIdReused),
            Acceptance::BacklogFull { waiting, max_waiting } => {
                return Err(Error::BacklogFull { waiting, max_waiting });
            }
        };
        Ok(wire::EnqueueAccepted { executions: ids.iter().map(ToString::to_string).collect(), repeated })
    }

    async fn stop(&self, stop: Stop) -> Result<wire::PutGateResponse, Error> {
        let stopped = self.store.stop(&stop.account, stop.automation, stop.generation).await?;
        if stopped.more {
            self.sweeping.wake();
        }
        Ok(wire::PutGateResponse { generation: stopped.generation })
    }
}

#[tonic::async_trait]
impl DispatchService for Dispatch {
    async fn enqueue_executions(
        &self,
        request: Request<wire::EnqueueExecutionsRequest>,
    ) -> Result<Response<wire::EnqueueExecutionsResponse>, Status> {
        for item in &request.get_ref().items {
            open_to(&item.account, principal(&request)?)?;
        }
        let items = request.into_inner().items.into_iter();
        let results = join_all(items.map(|item| self.accept(item))).await.into_iter().map(|outcome| {
            let answer = match outcome {
                Ok(accepted) => enqueue_result::Answer::Accepted(accepted),
                Err(error) => enqueue_result::Answer::Error(refusal::item(error)),
            };
            wire::EnqueueResult { answer: Some(answer) }
        });
        Ok(Response::new(wire::EnqueueExecutionsResponse { results: results.collect() }))
    }

    async fn put_gate(
        &self,
        request: Request<wire::PutGateRequest>,
    ) -> Result<Response<wire::PutGateResponse>, Status> {
        open_to(&request.get_ref().account, principal(&request)?)?;
        let stop = Stop::parse(request.get_ref()).map_err(|broken| Fault::from(Error::Invalid(broken)))?;
        Ok(Response::new(self.stop(stop).await.map_err(Fault::from)?))
    }
}

/// Checks that the caller may act for the account; a text that is none is the request's fault, and told with its other faults.
fn open_to(account: &str, caller: &Principal) -> Result<(), Fault> {
    account.parse().map_or(Ok(()), |account| AccountName(account).open_to(caller))
}

/// An automation to be stopped up to a generation.
struct Stop {
    account: AccountId,
    automation: AutomationId,
    generation: i64,
}

impl Stop {
    fn parse(request: &wire::PutGateRequest) -> Result<Self, Violations> {
        let mut broken = Violations::new();
        let account = broken.keep("account", request.account.parse());
        let automation = broken.keep("automation", request.automation.parse());
        if request.generation < 0 {
            broken.add("generation", "must not be negative");
        }
        match (account, automation) {
            (Some(account), Some(automation)) if broken.is_empty() => {
                Ok(Self { account, automation, generation: request.generation })
            }
            _ => Err(broken),
        }
    }
}
