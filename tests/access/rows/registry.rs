//! The RPCs of the registry.

use prost::Message as _;
use proto::registry::v1 as registry;

use super::super::accounts::{Asked, Needs};
use super::super::names::What::{Account, Etag, EventWebhook, Key, PageToken, Webhook};
use super::super::names::{Name, unique};
use super::{
    ADMINS, BILLING, NOBODY, Row, SERVICES, SERVICES_OF_ALL, USERS, USERS_AND_BILLING, mask, of_account,
    of_thing,
};

pub(super) const ROWS: &[Row] = &[
    Row {
        public: Some(USERS_AND_BILLING),
        internal: Some(SERVICES),
        names: &[Name::of("name", Account)],
        ..of_account("/sluice.registry.v1.AccountService/GetAccount", "name", |asked| {
            registry::GetAccountRequest { name: asked.parent() }.encode_to_vec()
        })
    },
    Row {
        public: Some(BILLING),
        internal: Some(NOBODY),
        names: &[Name::of("name", Account)],
        ..of_account("/sluice.registry.v1.AccountService/PutEntitlements", "name", |asked| {
            registry::PutEntitlementsRequest {
                name: asked.parent(),
                plan: "advanced".to_owned(),
                version: 1,
                period_anchor: None,
            }
            .encode_to_vec()
        })
    },
    Row {
        case: "for events",
        public: Some(USERS),
        internal: Some(NOBODY),
        names: &[
            Name::of("parent", Account),
            Name::of("webhook.name", Webhook).ignored(),
            Name::of("webhook.etag", Etag).ignored(),
        ],
        ..of_account("/sluice.registry.v1.WebhookService/CreateWebhook", "parent", |asked| {
            registry::CreateWebhookRequest {
                parent: asked.parent(),
                webhook: Some(asked.account.new_webhook(false, &unique())),
                request_id: unique(),
                ..registry::CreateWebhookRequest::default()
            }
            .encode_to_vec()
        })
    },
    Row {
        case: "for automations",
        public: Some(ADMINS),
        internal: Some(NOBODY),
        admins_only: true,
        names: &[
            Name::of("parent", Account),
            Name::of("webhook.display_name", Key(0)),
            Name::of("request_id", Key(0)).optional(),
        ],
        ..of_account("/sluice.registry.v1.WebhookService/CreateWebhook", "parent", |asked| {
            registry::CreateWebhookRequest {
                parent: asked.parent(),
                webhook: Some(asked.account.new_webhook(true, &unique())),
                request_id: unique(),
                ..registry::CreateWebhookRequest::default()
            }
            .encode_to_vec()
        })
    },
    Row {
        case: "for events",
        public: Some(USERS),
        internal: Some(SERVICES),
        names: &[Name::of("name", EventWebhook)],
        ..of_thing("/sluice.registry.v1.WebhookService/GetWebhook", "name", |asked| {
            let name = asked.named("webhooks", &asked.account.event_webhook);
            registry::GetWebhookRequest { name }.encode_to_vec()
        })
    },
    Row {
        case: "for automations",
        public: Some(USERS),
        internal: Some(SERVICES),
        names: &[Name::of("name", Webhook)],
        ..of_thing("/sluice.registry.v1.WebhookService/GetWebhook", "name", |asked| {
            let name = asked.named("webhooks", &asked.account.webhook);
            registry::GetWebhookRequest { name }.encode_to_vec()
        })
    },
    Row {
        public: Some(USERS),
        internal: Some(SERVICES),
        names: &[
            Name::of("parent", Account),
            Name::of("page_token", PageToken).optional(),
            Name::of("display_name", Key(2)).optional(),
        ],
        ..of_account("/sluice.registry.v1.WebhookService/ListWebhooks", "parent", |asked| {
            registry::ListWebhooksRequest { parent: asked.parent(), page_size: 2, ..Default::default() }
                .encode_to_vec()
        })
    },
    Row {
        case: "for events",
        public: Some(USERS),
        internal: Some(NOBODY),
        names: &[Name::of("webhook.name", EventWebhook), Name::of("webhook.display_name", Key(1))],
        ..of_thing("/sluice.registry.v1.WebhookService/UpdateWebhook", "webhook.name", |asked| {
            updated_webhook(asked, &asked.account.event_webhook)
        })
    },
    Row {
        case: "for automations",
        public: Some(ADMINS),
        internal: Some(NOBODY),
        admins_only: true,
        names: &[Name::of("webhook.name", Webhook), Name::of("webhook.etag", Etag).optional()],
        needs: Needs::Webhook,
        ..of_thing("/sluice.registry.v1.WebhookService/UpdateWebhook", "webhook.name", |asked| {
            updated_webhook(asked, asked.fresh_or(&asked.account.webhook))
        })
    },
    Row {
        case: "for events",
        public: Some(USERS),
        internal: Some(NOBODY),
        needs: Needs::EventWebhook,
        names: &[Name::of("name", EventWebhook)],
        ..of_thing("/sluice.registry.v1.WebhookService/DeleteWebhook", "name", |asked| {
            let name = asked.named("webhooks", asked.fresh_or(&asked.account.event_webhook));
            registry::DeleteWebhookRequest { name, etag: String::new() }.encode_to_vec()
        })
    },
    Row {
        case: "for automations",
        public: Some(ADMINS),
        internal: Some(NOBODY),
        admins_only: true,
        needs: Needs::Webhook,
        names: &[Name::of("name", Webhook), Name::of("etag", Etag).optional()],
        ..of_thing("/sluice.registry.v1.WebhookService/DeleteWebhook", "name", |asked| {
            let name = asked.named("webhooks", asked.fresh_or(&asked.account.webhook));
            registry::DeleteWebhookRequest { name, etag: String::new() }.encode_to_vec()
        })
    },
    Row {
        // Of a version that no webhook ever had: it stays as it is.
        internal: Some(SERVICES),
        names: &[Name::of("name", Webhook)],
        ..of_thing("/sluice.registry.v1.FeedService/DisableWebhook", "name", |asked| {
            let name = asked.named("webhooks", &asked.account.webhook);
            let reason = registry::DisableReason::Gone.into();
            registry::DisableWebhookRequest { name, version: 0, reason }.encode_to_vec()
        })
    },
    Row {
        internal: Some(SERVICES),
        names: &[Name::of("name", Webhook)],
        ..of_thing("/sluice.registry.v1.FeedService/ResolveTarget", "name", |asked| {
            let name = asked.named("webhooks", &asked.account.webhook);
            registry::ResolveTargetRequest { name }.encode_to_vec()
        })
    },
    Row {
        // It tells of every account.
        internal: Some(SERVICES_OF_ALL),
        ..of_account("/sluice.registry.v1.FeedService/WatchChanges", "", |_| {
            registry::WatchChangesRequest { cursor: 0 }.encode_to_vec()
        })
    },
];

fn updated_webhook(asked: &Asked<'_>, id: &str) -> Vec<u8> {
    let webhook =
        registry::Webhook { name: asked.named("webhooks", id), ..asked.account.new_webhook(true, &unique()) };
    let update_mask = mask(&["display_name", "endpoint_url", "authentication"]);
    registry::UpdateWebhookRequest { webhook: Some(webhook), update_mask }.encode_to_vec()
}
