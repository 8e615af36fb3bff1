//! `WebhookService`: registered targets.

use proto::registry::v1 as wire;
use proto::registry::v1::webhook_service_server::WebhookService;
use sluice_domain::{Cursor, PageSize, WebhookId};
use sluice_rpc::{AccountName, ResourceName, principal};
use tonic::{Request, Response, Status};

use super::convert;
use super::reading::{Reading, Targets};
use crate::access::Caller;
use crate::store::{Creation, Filter, Store};

/// Handlers of `WebhookService`.
#[derive(Debug, Clone)]
pub struct Webhooks {
    store: Store,
    targets: Targets,
}

impl Webhooks {
    pub(crate) const fn new(store: Store, targets: Targets) -> Self {
        Self { store, targets }
    }
}

/// Who asks, in the words of the access rules.
fn caller<T>(request: &Request<T>) -> Result<(sluice_auth::Principal, Caller), Status> {
    use sluice_auth::{Role, Scope};
    let principal = principal(request)?.clone();
    let user = principal.user().clone();
    let caller = if principal.is_global_admin() {
        Caller::Admin(user)
    } else if principal.has_role(Role::Member) || !principal.has_scope(Scope::Internal) {
        Caller::Member(user)
    } else {
        Caller::Service
    };
    Ok((principal, caller))
}

fn etag(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[tonic::async_trait]
impl WebhookService for Webhooks {
    async fn create_webhook(
        &self,
        request: Request<wire::CreateWebhookRequest>,
    ) -> Result<Response<wire::CreateWebhookResponse>, Status> {
        let (principal, caller) = caller(&request)?;
        let asked = request.into_inner();
        let mut reading = Reading::default();
        let parent: Option<AccountName> = reading.violations.keep("parent", asked.parent.parse());
        if let Some(parent) = &parent {
            parent.open_to(&principal)?;
        }
        let draft = reading.draft(asked.webhook, &self.targets);
        let signing = reading.signing(&asked.signing_secret);
        let request_id = reading.request_id(&asked.request_id);
        let (parent, draft) = reading.finish(parent.zip(draft))?;

        let creation = Creation { account: parent.0, draft, signing, request_id };
        let created = self.store.create_webhook(&caller, &creation).await?;
        Ok(Response::new(wire::CreateWebhookResponse {
            webhook: Some(convert::webhook_for(&caller, &created.webhook)),
            signing_secret: created.signing.reveal().to_string(),
        }))
    }

    async fn get_webhook(
        &self,
        request: Request<wire::GetWebhookRequest>,
    ) -> Result<Response<wire::GetWebhookResponse>, Status> {
        let (principal, caller) = caller(&request)?;
        let name = ResourceName::<WebhookId>::in_field("name", &request.get_ref().name)?;
        name.open_to(&principal)?;
        let webhook = self.store.webhook(&name.account, name.id, &caller).await?;
        Ok(Response::new(wire::GetWebhookResponse { webhook: Some(convert::webhook_for(&caller, &webhook)) }))
    }

    async fn list_webhooks(
        &self,
        request: Request<wire::ListWebhooksRequest>,
    ) -> Result<Response<wire::ListWebhooksResponse>, Status> {
        let (principal, caller) = caller(&request)?;
        let asked = request.into_inner();
        let mut reading = Reading::default();
        let parent: Option<AccountName> = reading.violations.keep("parent", asked.parent.parse());
        if let Some(parent) = &parent {
            parent.open_to(&principal)?;
        }
        let size = reading.violations.keep("page_size", PageSize::from_wire(asked.page_size));
        let kind = reading.kind_filter(asked.kind);
        let display_name = reading.display_name_filter(&asked.display_name);
        let listing = format!("{} {} {}", asked.parent, asked.kind, asked.display_name);
        let last = Cursor::from_token(&asked.page_token, &listing).and_then(last_of);
        let last = reading.violations.keep("page_token", last);
        let ((parent, size), last) = reading.finish(parent.zip(size).zip(last))?;

        let filter = Filter { kind, display_name };
        // One more than the page holds tells whether there is a next one.
        let mut webhooks = self.store.webhooks(&parent.0, &caller, &filter, last, size.get() + 1).await?;
        let more = webhooks.len() > size.get();
        webhooks.truncate(size.get());
        let next = webhooks.last().filter(|_| more).map(|webhook| Cursor::after(webhook.id.to_bytes()));
        Ok(Response::new(wire::ListWebhooksResponse {
            webhooks: webhooks.iter().map(|webhook| convert::webhook_for(&caller, webhook)).collect(),
            next_page_token: next.map(|cursor| cursor.to_token(&listing)).unwrap_or_default(),
        }))
    }

    async fn update_webhook(
        &self,
        request: Request<wire::UpdateWebhookRequest>,
    ) -> Result<Response<wire::UpdateWebhookResponse>, Status> {
        let (principal, caller) = caller(&request)?;
        let asked = request.into_inner();
        let given = asked.webhook.unwrap_or_default();
        let held_etag = given.etag.clone();
        let mut reading = Reading::default();
        let name: Option<ResourceName<WebhookId>> =
            reading.violations.keep("webhook.name", given.name.parse());
        if let Some(name) = &name {
            name.open_to(&principal)?;
        }
        let change = reading.change(given, asked.update_mask, &self.targets);
        let name = reading.finish(name)?;

        let webhook =
            self.store.update_webhook(&caller, &name.account, name.id, etag(&held_etag), &change).await?;
        Ok(Response::new(wire::UpdateWebhookResponse {
            webhook: Some(convert::webhook_for(&caller, &webhook)),
        }))
    }

    async fn delete_webhook(
        &self,
        request: Request<wire::DeleteWebhookRequest>,
    ) -> Result<Response<wire::DeleteWebhookResponse>, Status> {
        let (principal, caller) = caller(&request)?;
        let asked = request.into_inner();
        let name = ResourceName::<WebhookId>::in_field("name", &asked.name)?;
        name.open_to(&principal)?;
        self.store.delete_webhook(&caller, &name.account, name.id, etag(&asked.etag)).await?;
        Ok(Response::new(wire::DeleteWebhookResponse {}))
    }
}

/// The id that a page ended with.
fn last_of(cursor: Option<Cursor>) -> Result<Option<WebhookId>, sluice_domain::CursorError> {
    let Some(cursor) = cursor else { return Ok(None) };
    let id = cursor.key().try_into().map_err(|_| sluice_domain::CursorError)?;
    Ok(Some(WebhookId::from_bytes(id)))
}
