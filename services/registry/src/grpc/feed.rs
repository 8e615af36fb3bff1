//! `FeedService`, for Sluice's own services: what changes, and what is needed to send one request.

use std::pin::Pin;

use futures_util::{Stream, stream};
use proto::registry::v1 as wire;
use proto::registry::v1::feed_service_server::FeedService;
use sluice_domain::WebhookId;
use sluice_rpc::{Fault, ResourceName, principal};
use sluice_runtime::Shutdown;
use tonic::{Request, Response, Status};

use super::{convert, reading};
use crate::store::{Store, Watching};

/// The RPC that tells of every account.
const WATCH_CHANGES: &str = "/sluice.registry.v1.FeedService/WatchChanges";

/// Handlers of `FeedService`.
#[derive(Debug, Clone)]
pub struct Feed {
    store: Store,
    watching: Watching,
    shutdown: Shutdown,
}

impl Feed {
    pub(crate) const fn new(store: Store, watching: Watching, shutdown: Shutdown) -> Self {
        Self { store, watching, shutdown }
    }
}

#[tonic::async_trait]
impl FeedService for Feed {
    type WatchChangesStream = Pin<Box<dyn Stream<Item = Result<wire::WatchChangesResponse, Status>> + Send>>;

    async fn watch_changes(
        &self,
        request: Request<wire::WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        if !principal(&request)?.serves_any_account() {
            let message =
                "the feed tells of every account; the token must name none and have scope accounts.any";
            return Err(Fault::permission_denied(message).with("method", WATCH_CHANGES).into());
        }
        let watch = self.store.watch(request.get_ref().cursor, self.watching.clone()).await?;
        let (shutdown, store) = (self.shutdown.clone(), self.store.clone());
        // The next change is read when the client has room for it: a slow one holds a page, not a queue.
        let changes = stream::unfold(Some(watch), move |watch| {
            let (shutdown, store) = (shutdown.clone(), store.clone());
            async move {
                let mut watch = watch?;
                match shutdown.or(watch.next()).await? {
                    Ok(change) => Some((Ok(convert::change(change, store.catalogue())), Some(watch))),
                    Err(error) => Some((Err(error.into()), None)),
                }
            }
        });
        Ok(Response::new(Box::pin(changes)))
    }

    async fn resolve_target(
        &self,
        request: Request<wire::ResolveTargetRequest>,
    ) -> Result<Response<wire::ResolveTargetResponse>, Status> {
        let name = ResourceName::<WebhookId>::in_field("name", &request.get_ref().name)?;
        name.open_to(principal(&request)?)?;
        let target = self.store.target(&name.account, name.id).await?;
        Ok(Response::new(convert::target(target)))
    }

    async fn disable_webhook(
        &self,
        request: Request<wire::DisableWebhookRequest>,
    ) -> Result<Response<wire::DisableWebhookResponse>, Status> {
        let name = ResourceName::<WebhookId>::in_field("name", &request.get_ref().name)?;
        name.open_to(principal(&request)?)?;
        let why = reading::disable_reason(request.get_ref())?;
        let version = request.get_ref().version;
        let (webhook, revision) = self.store.give_up(&name.account, name.id, version, why).await?;
        Ok(Response::new(convert::given_up(&webhook, revision)))
    }
}
