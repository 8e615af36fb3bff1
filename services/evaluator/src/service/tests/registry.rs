//! A registry that tells what a test puts there.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures_util::{Stream, StreamExt as _};
use proto::event::v1::Subscription;
use proto::registry::v1 as wire;
use proto::registry::v1::account_service_server::AccountService;
use proto::registry::v1::feed_service_server::FeedService;
use proto::registry::v1::watch_changes_response::Change;
use sluice_domain::Reason;
use sluice_rpc::Fault;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status};

type Told = Result<wire::WatchChangesResponse, Status>;

#[derive(Default)]
struct State {
    revision: i64,
    changes: Vec<Change>,
    watchers: Vec<mpsc::UnboundedSender<Told>>,
    oldest: i64,
    away: bool,
    known: HashSet<String>,
    default_plan: Option<wire::Entitlements>,
}

/// The scripted registry; clones are one.
#[derive(Clone)]
pub(super) struct FakeRegistry {
    state: Arc<Mutex<State>>,
    /// The cursors that were asked for.
    pub(super) cursors: Arc<watch::Sender<Vec<i64>>>,
}

impl FakeRegistry {
    pub(super) fn new() -> Self {
        Self { state: Arc::default(), cursors: Arc::new(watch::Sender::new(Vec::new())) }
    }

    pub(super) fn tell(&self, change: Change) {
        let mut state = self.state.lock().unwrap();
        state.revision += 1;
        let told = wire::WatchChangesResponse { revision: state.revision, change: Some(change.clone()) };
        state.changes.push(change);
        state.watchers.retain(|watcher| watcher.send(Ok(told.clone())).is_ok());
    }

    /// Ends all streams; cursors up to now are too old if `forget` is set.
    pub(super) fn cut(&self, forget: bool) {
        let mut state = self.state.lock().unwrap();
        state.watchers.clear();
        if forget {
            state.oldest = state.revision + 1;
        }
    }

    pub(super) fn set_away(&self, away: bool) {
        self.state.lock().unwrap().away = away;
    }

    pub(super) fn is_away(&self) -> bool {
        self.state.lock().unwrap().away
    }

    /// Forgets all that was told, as a registry restored from nothing would.
    pub(super) fn empty(&self) {
        self.state.lock().unwrap().changes.clear();
    }

    pub(super) fn account(&self, account: &str, plan: wire::Entitlements) {
        let name = self.late_account(account);
        self.tell(Change::Account(wire::Account { name, entitlements: Some(plan), update_time: None }));
    }

    /// Has the account, of which the feed has not told yet.
    pub(super) fn late_account(&self, account: &str) -> String {
        let name = format!("accounts/{account}");
        self.state.lock().unwrap().known.insert(name.clone());
        name
    }

    /// Puts accounts that are asked for on this plan.
    pub(super) fn set_default_plan(&self, plan: wire::Entitlements) {
        self.state.lock().unwrap().default_plan = Some(plan);
    }

    pub(super) fn webhook(&self, webhook: wire::Webhook) {
        self.tell(Change::Webhook(webhook));
    }
}

/// The plan `advanced`.
pub(super) fn advanced() -> wire::Entitlements {
    wire::Entitlements {
        version: 1,
        plan: "advanced".to_owned(),
        automations: true,
        active_automations: 2,
        steps: 3,
        delays: 1,
        ..wire::Entitlements::default()
    }
}

/// The plan `essential`, without automations.
pub(super) fn essential() -> wire::Entitlements {
    wire::Entitlements {
        version: 2,
        plan: "essential".to_owned(),
        automations_plan: "advanced".to_owned(),
        ..wire::Entitlements::default()
    }
}

pub(super) fn webhook(name: &str, kind: wire::WebhookKind) -> wire::Webhook {
    let subscription = (kind == wire::WebhookKind::Event)
        .then(|| Subscription { object: "deal".to_owned(), actions: Vec::new() });
    wire::Webhook {
        name: name.to_owned(),
        kind: kind.into(),
        endpoint_url: "https://hooks.example.com/in".to_owned(),
        subscription,
        owner: "u1".to_owned(),
        owner_is_admin: true,
        ..wire::Webhook::default()
    }
}

#[tonic::async_trait]
impl FeedService for FakeRegistry {
    type WatchChangesStream = Pin<Box<dyn Stream<Item = Told> + Send>>;

    async fn watch_changes(
        &self,
        request: Request<wire::WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        let cursor = request.into_inner().cursor;
        self.cursors.send_modify(|cursors| cursors.push(cursor));
        let mut state = self.state.lock().unwrap();
        if state.away {
            return Err(Status::unavailable("away"));
        }
        if cursor != 0 && cursor < state.oldest {
            return Err(Fault::of(Reason::CursorTooOld, "too old").into());
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        let revision = state.revision;
        let mut present = Vec::new();
        if cursor == 0 {
            present.extend(state.changes.iter().cloned());
            present.push(Change::Synced(wire::Synced {}));
        }
        state.watchers.push(sender);
        let present = present
            .into_iter()
            .map(move |change| Ok(wire::WatchChangesResponse { revision, change: Some(change) }));
        let stream = futures_util::stream::iter(present).chain(UnboundedReceiverStream::new(receiver));
        Ok(Response::new(Box::pin(stream)))
    }

    async fn resolve_target(
        &self,
        _: Request<wire::ResolveTargetRequest>,
    ) -> Result<Response<wire::ResolveTargetResponse>, Status> {
        Err(Status::unimplemented("the evaluator resolves nothing"))
    }

    async fn disable_webhook(
        &self,
        _: Request<wire::DisableWebhookRequest>,
    ) -> Result<Response<wire::DisableWebhookResponse>, Status> {
        Err(Status::unimplemented("the evaluator disables nothing"))
    }
}

#[tonic::async_trait]
impl AccountService for FakeRegistry {
    async fn get_account(
        &self,
        request: Request<wire::GetAccountRequest>,
    ) -> Result<Response<wire::GetAccountResponse>, Status> {
        let name = request.into_inner().name;
        let (away, known, default_plan) = {
            let state = self.state.lock().unwrap();
            (state.away, state.known.contains(&name), state.default_plan.clone())
        };
        match (away, known, default_plan) {
            (true, ..) => return Err(Status::unavailable("away")),
            (_, true, _) => {}
            (_, _, Some(plan)) => self.account(name.strip_prefix("accounts/").unwrap(), plan),
            (_, _, None) => return Err(Fault::account_unknown(name).into()),
        }
        Ok(Response::new(wire::GetAccountResponse::default()))
    }

    async fn put_entitlements(
        &self,
        _: Request<wire::PutEntitlementsRequest>,
    ) -> Result<Response<wire::PutEntitlementsResponse>, Status> {
        Err(Status::permission_denied("not for the evaluator"))
    }
}
