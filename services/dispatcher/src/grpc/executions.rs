//! Executions as people and tools ask for them.

use proto::dispatcher::v1 as wire;
use proto::dispatcher::v1::execution_service_server::ExecutionService;
use sluice_auth::Principal;
use sluice_domain::{AccountId, Cursor, ExecutionId, PageSize, Violations};
use sluice_rpc::{AccountName, Fault, ResourceName, principal};
use sluice_runtime::Shutdown;
use tonic::{Request, Response, Status};

use super::bulk::{self, Meant, Verb};
use super::filter::{self, Asked};
use super::show;
use super::watch::{self, Answers};
use crate::error::Error;
use crate::execution::{EndState, Snapshot};
use crate::filter::Filter;
use crate::store::{Cancelled, PageKey, Retried, Store};
use crate::worker::{Alarm, Tail, Watch};

type Answer<T> = Result<Response<T>, Status>;

/// The public service.
#[derive(Clone)]
pub struct Executions {
    store: Store,
    alarm: Alarm,
    tail: Tail,
    shutdown: Shutdown,
}

impl Executions {
    /// Executions of this store; whoever is opened again is claimed soon, and who watches is told until the shutdown.
    pub const fn new(store: Store, alarm: Alarm, tail: Tail, shutdown: Shutdown) -> Self {
        Self { store, alarm, tail, shutdown }
    }

    async fn get(&self, account: &AccountId, id: ExecutionId) -> Result<Snapshot, Error> {
        let found = self.store.execution(account, id).await?;
        found.ok_or_else(|| Error::ExecutionNotFound(account.clone(), id))
    }

    async fn list(&self, list: &List) -> Result<wire::ListExecutionsResponse, Error> {
        let after = list.after.as_ref().and_then(|cursor| PageKey::from_bytes(cursor.key()));
        let page = self.store.executions(&list.account.0, &list.filter, after, list.size.get()).await?;
        let token = |key: PageKey| Cursor::after(key.to_bytes()).to_token(&list.tie);
        Ok(wire::ListExecutionsResponse {
            next_page_token: page.next.map(token).unwrap_or_default(),
            executions: page
                .executions
                .into_iter()
                .map(|snapshot| show::execution(snapshot, false))
                .collect(),
        })
    }

    async fn cancel(&self, account: &AccountId, id: ExecutionId) -> Result<Snapshot, Error> {
        match self.store.cancel(account, id).await? {
            Cancelled::Ended | Cancelled::WhenAttemptEnds | Cancelled::AlreadyEnded(EndState::Cancelled) => {}
            Cancelled::AlreadyEnded(state) => {
                return Err(Error::State { state: state.as_str(), message: "the execution is over" });
            }
            Cancelled::NotFound => {
                return Err(Error::ExecutionNotFound(account.clone(), id));
            }
        }
        self.get(account, id).await
    }

    async fn retry(&self, account: &AccountId, id: ExecutionId) -> Result<Snapshot, Error> {
        let refused = |state, message| Err(Error::State { state, message });
        match self.store.retry(account, id).await? {
            Retried::Reopened => self.alarm.ring(),
            Retried::NotEnded => return refused("UNFINISHED", "the execution is not over"),
            Retried::Final(state) => {
                return refused(state.as_str(), "only FAILED and CANCELLED executions can be tried again");
            }
            Retried::NothingToSend => {
                return refused(
                    "FAILED",
                    "its templates were rejected when the event arrived: there is nothing to send",
                );
            }
            Retried::AutomationDeactivated => {
                return refused("FAILED", "its automation was deactivated or deleted since");
            }
            Retried::WebhookDisabled => {
                return refused("FAILED", "the system disabled its webhook: enable that first");
            }
            Retried::NotFound => return Err(Error::ExecutionNotFound(account.clone(), id)),
        }
        self.get(account, id).await
    }
}

impl Executions {
    async fn retry_all(&self, meant: &Meant) -> Result<wire::RetryExecutionsResponse, Error> {
        let taken = self.store.retry_all(&meant.account.0, &meant.filter, meant.mark).await?;
        if taken.done > 0 {
            self.alarm.ring();
        }
        Ok(bulk::retried(&taken, meant.token(&taken)?))
    }

    async fn cancel_all(&self, meant: &Meant) -> Result<wire::CancelExecutionsResponse, Error> {
        let taken = self.store.cancel_all(&meant.account.0, &meant.filter, meant.mark).await?;
        Ok(bulk::cancelled(&taken, meant.token(&taken)?))
    }
}

#[tonic::async_trait]
impl ExecutionService for Executions {
    type WatchExecutionsStream = Answers;

    async fn get_execution(
        &self,
        request: Request<wire::GetExecutionRequest>,
    ) -> Answer<wire::GetExecutionResponse> {
        let name = ResourceName::<ExecutionId>::in_field("name", &request.get_ref().name)?;
        name.open_to(principal(&request)?)?;
        let snapshot = self.get(&name.account, name.id).await.map_err(Fault::from)?;
        Ok(Response::new(wire::GetExecutionResponse { execution: Some(show::execution(snapshot, true)) }))
    }

    async fn list_executions(
        &self,
        request: Request<wire::ListExecutionsRequest>,
    ) -> Answer<wire::ListExecutionsResponse> {
        let list = List::parse(request.get_ref(), principal(&request)?)?;
        let page = self.list(&list).await.map_err(Fault::from)?;
        Ok(Response::new(page))
    }

    async fn watch_executions(
        &self,
        request: Request<wire::WatchExecutionsRequest>,
    ) -> Answer<Self::WatchExecutionsStream> {
        let watch::Asked { account, start } = watch::Asked::parse(request.get_ref(), principal(&request)?)?;
        let watch = Watch::start(self.store.clone(), &self.tail, account.0.clone(), start);
        let watch = watch.await.map_err(Fault::from)?;
        Ok(Response::new(watch::answers(watch, account, self.shutdown.clone())))
    }

    async fn cancel_execution(
        &self,
        request: Request<wire::CancelExecutionRequest>,
    ) -> Answer<wire::CancelExecutionResponse> {
        let name = ResourceName::<ExecutionId>::in_field("name", &request.get_ref().name)?;
        name.open_to(principal(&request)?)?;
        let snapshot = self.cancel(&name.account, name.id).await.map_err(Fault::from)?;
        Ok(Response::new(wire::CancelExecutionResponse { execution: Some(show::execution(snapshot, true)) }))
    }

    async fn retry_execution(
        &self,
        request: Request<wire::RetryExecutionRequest>,
    ) -> Answer<wire::RetryExecutionResponse> {
        let name = ResourceName::<ExecutionId>::in_field("name", &request.get_ref().name)?;
        name.open_to(principal(&request)?)?;
        let snapshot = self.retry(&name.account, name.id).await.map_err(Fault::from)?;
        Ok(Response::new(wire::RetryExecutionResponse { execution: Some(show::execution(snapshot, true)) }))
    }

    async fn retry_executions(
        &self,
        request: Request<wire::RetryExecutionsRequest>,
    ) -> Answer<wire::RetryExecutionsResponse> {
        let wire::RetryExecutionsRequest { parent, filter, page_token } = request.get_ref();
        let meant = Meant::parse(Verb::Retry, parent, filter.as_ref(), page_token, principal(&request)?)?;
        let answer = self.retry_all(&meant).await.map_err(Fault::from)?;
        Ok(Response::new(answer))
    }

    async fn cancel_executions(
        &self,
        request: Request<wire::CancelExecutionsRequest>,
    ) -> Answer<wire::CancelExecutionsResponse> {
        let wire::CancelExecutionsRequest { parent, filter, page_token } = request.get_ref();
        let meant = Meant::parse(Verb::Cancel, parent, filter.as_ref(), page_token, principal(&request)?)?;
        let answer = self.cancel_all(&meant).await.map_err(Fault::from)?;
        Ok(Response::new(answer))
    }
}

/// A listing that was asked for.
struct List {
    account: AccountName,
    filter: Filter,
    size: PageSize,
    after: Option<Cursor>,
    /// What all its pages have in common.
    tie: String,
}

impl List {
    fn parse(request: &wire::ListExecutionsRequest, caller: &Principal) -> Result<Self, Fault> {
        let mut broken = Violations::new();
        let account = broken.keep("parent", request.parent.parse::<AccountName>());
        if let Some(account) = &account {
            account.open_to(caller)?;
        }
        let size = broken.keep("page_size", PageSize::from_wire(request.page_size));
        let asked = filter::of_listing(request);
        let filter = Asked { filter: &asked, prefix: "", account: account.as_ref() }.parse(&mut broken);
        let tie = filter::tie(&request.parent, &asked);
        let after = broken.keep("page_token", Cursor::from_token(&request.page_token, &tie));
        match (account, size, after) {
            (Some(account), Some(size), Some(after)) if broken.is_empty() => {
                Ok(Self { account, filter, size, after, tie })
            }
            _ => Err(Error::Invalid(broken).into()),
        }
    }
}
