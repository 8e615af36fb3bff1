//! Executions as people and tools ask for them.

use std::fmt::Display;
use std::str::FromStr;

use proto::dispatcher::v1 as wire;
use proto::dispatcher::v1::execution_service_server::ExecutionService;
use sluice_auth::Principal;
use sluice_domain::{AccountId, Cursor, ExecutionId, PageSize, Violations};
use sluice_rpc::{AccountName, Fault, ResourceName, principal};
use sluice_runtime::Shutdown;
use tonic::{Request, Response, Status};

use super::show;
use super::watch::{self, Answers, Asked};
use crate::error::Error;
use crate::execution::{EndState, Snapshot};
use crate::store::{Cancelled, Filter, PageKey, Retried, StateFilter, Store};
use crate::trace::TraceId;
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
            Retried::NotFound => return Err(Error::ExecutionNotFound(account.clone(), id)),
        }
        self.get(account, id).await
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
        let Asked { account, start } = Asked::parse(request.get_ref(), principal(&request)?)?;
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
        let automation = of_account(&mut broken, "automation", &request.automation, account.as_ref());
        let webhook = of_account(&mut broken, "webhook", &request.webhook, account.as_ref());
        let state = broken.keep("state", state_filter(request.state));
        let trace = match request.trace_id.as_str() {
            "" => None,
            text => broken.keep("trace_id", text.parse::<TraceId>()),
        };
        let wire::ListExecutionsRequest {
            parent, state: code, automation: of, webhook: to, trace_id, ..
        } = request;
        let tie = format!("{parent}|{code}|{of}|{to}|{trace_id}");
        let after = broken.keep("page_token", Cursor::from_token(&request.page_token, &tie));
        match (account, size, state, after) {
            (Some(account), Some(size), Some(state), Some(after)) if broken.is_empty() => {
                Ok(Self { account, filter: Filter { automation, webhook, state, trace }, size, after, tie })
            }
            _ => Err(Error::Invalid(broken).into()),
        }
    }
}

/// The id in a filter that names something of the account; nothing said is no filter.
fn of_account<I>(broken: &mut Violations, field: &str, text: &str, account: Option<&AccountName>) -> Option<I>
where
    ResourceName<I>: FromStr<Err: Display>,
{
    if text.is_empty() {
        return None;
    }
    let name: ResourceName<I> = broken.keep(field, text.parse())?;
    if account.is_some_and(|account| account.0 != name.account) {
        broken.add(field, "must be of the account in `parent`");
    }
    Some(name.id)
}

/// What a state on the wire lets through; nothing said lets all through.
fn state_filter(code: i32) -> Result<Option<StateFilter>, &'static str> {
    macro_rules! only {
        ($state:ident) => {
            Some(|state| show::state_code(state) == wire::ExecutionState::$state)
        };
    }
    let state = wire::ExecutionState::try_from(code).map_err(|_| "must be a known state")?;
    Ok(match state {
        wire::ExecutionState::Unspecified => None,
        wire::ExecutionState::Queued => only!(Queued),
        wire::ExecutionState::Running => only!(Running),
        wire::ExecutionState::Waiting => only!(Waiting),
        wire::ExecutionState::Paused => only!(Paused),
        wire::ExecutionState::Succeeded => only!(Succeeded),
        wire::ExecutionState::Failed => only!(Failed),
        wire::ExecutionState::Stopped => only!(Stopped),
        wire::ExecutionState::Cancelled => only!(Cancelled),
    })
}
