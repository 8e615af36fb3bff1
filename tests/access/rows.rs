//! A row for each RPC: how a request is made that is in order, what in it names something of an account, and, by hand from
//! product.md and contracts.md, who may call it where.

use prost::Message as _;
use prost_types::FieldMask;
use proto::dispatcher::v1 as dispatcher;
use proto::evaluator::v1 as evaluator;
use proto::registry::v1 as registry;
use sluice_auth::{Role, Scope};

use super::accounts::{Asked, Needs};
use super::callers::Caller::{self, Any, Of};
use super::callers::Grant;
use super::door::Listener;
use super::names::What::{
    Account, Automation, BareAccount, BareAutomation, BareExecution, BareWebhook, Etag, EventWebhook,
    Execution, Key, PageToken, Quota, Webhook,
};
use super::names::{Name, unique};

/// Ordinary users and global admins.
const USERS: &[Caller] = &[
    Of(Grant::Role(Role::Member)),
    Of(Grant::Role(Role::GlobalAdmin)),
    Any(Grant::Role(Role::Member)),
    Any(Grant::Role(Role::GlobalAdmin)),
];
const ADMINS: &[Caller] = &[Of(Grant::Role(Role::GlobalAdmin)), Any(Grant::Role(Role::GlobalAdmin))];
const BILLING: &[Caller] =
    &[Of(Grant::Scope(Scope::EntitlementsWrite)), Any(Grant::Scope(Scope::EntitlementsWrite))];
const USERS_AND_BILLING: &[Caller] = &[
    Of(Grant::Role(Role::Member)),
    Of(Grant::Role(Role::GlobalAdmin)),
    Of(Grant::Scope(Scope::EntitlementsWrite)),
    Any(Grant::Role(Role::Member)),
    Any(Grant::Role(Role::GlobalAdmin)),
    Any(Grant::Scope(Scope::EntitlementsWrite)),
];
const PRODUCERS: &[Caller] = &[Of(Grant::Scope(Scope::EventsWrite)), Any(Grant::Scope(Scope::EventsWrite))];
/// The history holds what a member may not see.
const READERS: &[Caller] = &[
    Of(Grant::Role(Role::GlobalAdmin)),
    Of(Grant::Scope(Scope::ExecutionsRead)),
    Any(Grant::Role(Role::GlobalAdmin)),
    Any(Grant::Scope(Scope::ExecutionsRead)),
];
/// Who reads what an account may start.
const METERS: &[Caller] = &[
    Of(Grant::Role(Role::GlobalAdmin)),
    Of(Grant::Scope(Scope::UsageRead)),
    Any(Grant::Role(Role::GlobalAdmin)),
    Any(Grant::Scope(Scope::UsageRead)),
];
/// Sluice's own services; one whose token names an account may ask about that one.
const SERVICES: &[Caller] = &[Of(Grant::Scope(Scope::Internal)), Any(Grant::Scope(Scope::Internal))];
/// Those of them that serve any account.
const SERVICES_OF_ALL: &[Caller] = &[Any(Grant::Scope(Scope::Internal))];
/// The RPC is served there, and opens to nobody.
const NOBODY: &[Caller] = &[];

/// What a refusal says to a stranger to the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stranger {
    /// That the token is not for this account.
    IsTold,
    /// That there is no such thing.
    FindsNothing,
}

/// One RPC, or one case of it.
pub(crate) struct Row {
    /// `/package.Service/Method`.
    pub(crate) rpc: &'static str,
    /// What the request is about, where it makes a difference who may.
    pub(crate) case: &'static str,
    /// Who may call it in public; `None` where it is not served.
    pub(crate) public: Option<&'static [Caller]>,
    /// Who may call it on its service's internal listener.
    pub(crate) internal: Option<&'static [Caller]>,
    /// Whether users who may not are told that a global admin may.
    pub(crate) admins_only: bool,
    /// What strangers are told.
    pub(crate) stranger: Stranger,
    /// The field that says whose the request is; empty when none does.
    pub(crate) whose: &'static str,
    /// What the request uses up.
    pub(crate) needs: Needs,
    /// A request that is in order.
    pub(crate) request: fn(&Asked<'_>) -> Vec<u8>,
    /// The fields that name something.
    pub(crate) names: &'static [Name],
}

impl Row {
    /// Who may call it at a listener; `None` where it is not served.
    pub(crate) fn lets_in(&self, listener: Listener) -> Option<&'static [Caller]> {
        let inner = if self.rpc.starts_with("/sluice.registry.") {
            Listener::RegistryInternal
        } else {
            Listener::DispatcherInternal
        };
        match listener {
            Listener::Public => self.public,
            _ if listener == inner => self.internal,
            _ => None,
        }
    }

    /// Its name in tables.
    pub(crate) fn title(&self) -> String {
        let short = self.rpc.rsplit('/').next().unwrap_or_default();
        if self.case.is_empty() { short.to_owned() } else { format!("{short}, {}", self.case) }
    }
}

/// An RPC about an account as a whole, or about what it has none of yet.
const fn of_account(rpc: &'static str, whose: &'static str, request: fn(&Asked<'_>) -> Vec<u8>) -> Row {
    Row {
        rpc,
        case: "",
        public: None,
        internal: None,
        admins_only: false,
        stranger: Stranger::IsTold,
        whose,
        needs: Needs::Nothing,
        request,
        names: &[],
    }
}

/// An RPC about one thing of an account.
const fn of_thing(rpc: &'static str, whose: &'static str, request: fn(&Asked<'_>) -> Vec<u8>) -> Row {
    Row { stranger: Stranger::FindsNothing, ..of_account(rpc, whose, request) }
}

/// The table.
pub(crate) const ROWS: &[Row] = &[
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
    Row {
        public: Some(ADMINS),
        admins_only: true,
        names: &[
            Name::of("parent", Account),
            Name::of("automation.name", Automation).ignored(),
            Name::of("automation.etag", Etag).ignored(),
            Name::of("automation.steps[0].request.webhook", Webhook),
            Name::of("request_id", Key(0)).optional(),
        ],
        ..of_account("/sluice.evaluator.v1.AutomationService/CreateAutomation", "parent", |asked| {
            evaluator::CreateAutomationRequest {
                parent: asked.parent(),
                automation: Some(asked.account.new_automation(&unique(), "idle")),
                request_id: String::new(),
            }
            .encode_to_vec()
        })
    },
    Row {
        public: Some(USERS),
        names: &[Name::of("name", Automation)],
        ..of_thing("/sluice.evaluator.v1.AutomationService/GetAutomation", "name", |asked| {
            let name = asked.named("automations", &asked.account.automation);
            evaluator::GetAutomationRequest { name }.encode_to_vec()
        })
    },
    Row {
        public: Some(USERS),
        names: &[
            Name::of("parent", Account),
            Name::of("page_token", PageToken).optional(),
            Name::of("webhook", Webhook).optional(),
        ],
        ..of_account("/sluice.evaluator.v1.AutomationService/ListAutomations", "parent", |asked| {
            evaluator::ListAutomationsRequest { parent: asked.parent(), page_size: 2, ..Default::default() }
                .encode_to_vec()
        })
    },
    Row {
        public: Some(ADMINS),
        admins_only: true,
        needs: Needs::Automation,
        names: &[
            Name::of("automation.name", Automation),
            Name::of("automation.etag", Etag).optional(),
            Name::of("automation.steps[0].request.webhook", Webhook),
        ],
        ..of_thing("/sluice.evaluator.v1.AutomationService/UpdateAutomation", "automation.name", |asked| {
            let id = asked.fresh_or(&asked.account.automation);
            let automation = evaluator::Automation {
                name: asked.named("automations", id),
                ..asked.account.new_automation(&unique(), "idle")
            };
            evaluator::UpdateAutomationRequest {
                automation: Some(automation),
                update_mask: mask(&["display_name", "steps", "trigger", "condition"]),
            }
            .encode_to_vec()
        })
    },
    Row {
        public: Some(ADMINS),
        admins_only: true,
        needs: Needs::Automation,
        names: &[Name::of("name", Automation), Name::of("etag", Etag).optional()],
        ..of_thing("/sluice.evaluator.v1.AutomationService/DeleteAutomation", "name", |asked| {
            let name = asked.named("automations", asked.fresh_or(&asked.account.automation));
            evaluator::DeleteAutomationRequest { name, etag: String::new() }.encode_to_vec()
        })
    },
    Row {
        public: Some(ADMINS),
        admins_only: true,
        needs: Needs::Automation,
        names: &[Name::of("name", Automation)],
        ..of_thing("/sluice.evaluator.v1.AutomationService/ActivateAutomation", "name", |asked| {
            let name = asked.named("automations", asked.fresh_or(&asked.account.automation));
            evaluator::ActivateAutomationRequest { name }.encode_to_vec()
        })
    },
    Row {
        public: Some(ADMINS),
        admins_only: true,
        needs: Needs::Automation,
        names: &[Name::of("name", Automation)],
        ..of_thing("/sluice.evaluator.v1.AutomationService/DeactivateAutomation", "name", |asked| {
            let name = asked.named("automations", asked.fresh_or(&asked.account.automation));
            evaluator::DeactivateAutomationRequest { name }.encode_to_vec()
        })
    },
    Row {
        case: "as it stands",
        public: Some(USERS),
        names: &[
            Name::of("name", Automation),
            Name::of("event.id", Key(0)),
            Name::of("event.record_id", Key(0)),
            Name::of("event.cause", BareExecution).optional(),
        ],
        ..of_thing("/sluice.evaluator.v1.AutomationService/ExplainEvent", "name", |asked| {
            let name = asked.named("automations", &asked.account.automation);
            let event = Some(asked.account.new_event(&unique(), "deal"));
            evaluator::ExplainEventRequest { name, event, ..Default::default() }.encode_to_vec()
        })
    },
    Row {
        case: "of a draft",
        public: Some(ADMINS),
        admins_only: true,
        names: &[
            Name::of("parent", Account),
            Name::of("automation.name", Automation).ignored(),
            Name::of("automation.etag", Etag).ignored(),
            Name::of("automation.steps[0].request.webhook", Webhook),
        ],
        ..of_account("/sluice.evaluator.v1.AutomationService/ExplainEvent", "parent", |asked| {
            evaluator::ExplainEventRequest {
                parent: asked.parent(),
                automation: Some(asked.account.new_automation(&unique(), "idle")),
                event: Some(asked.account.new_event(&unique(), "idle")),
                ..Default::default()
            }
            .encode_to_vec()
        })
    },
    Row {
        public: Some(PRODUCERS),
        names: &[
            Name::of("parent", Account),
            Name::of("event.id", Key(0)),
            Name::of("event.record_id", Key(0)),
            Name::of("event.cause", BareExecution).optional(),
        ],
        ..of_account("/sluice.evaluator.v1.EventService/IngestEvent", "parent", |asked| {
            let event = Some(asked.account.new_event(&unique(), "deal"));
            evaluator::IngestEventRequest { parent: asked.parent(), event }.encode_to_vec()
        })
    },
    Row {
        public: Some(PRODUCERS),
        names: &[
            Name::of("parent", Account),
            Name::of("events[0].id", Key(1)).told("event.id"),
            Name::of("events[0].record_id", Key(0)).told("event.record_id"),
            Name::of("events[0].cause", BareExecution).told("event.cause").optional(),
        ],
        ..of_account("/sluice.evaluator.v1.EventService/BatchIngestEvents", "parent", |asked| {
            let events = vec![asked.account.new_event(&unique(), "deal")];
            evaluator::BatchIngestEventsRequest { parent: asked.parent(), events }.encode_to_vec()
        })
    },
    Row {
        public: Some(READERS),
        names: &[Name::of("name", Execution)],
        ..of_thing("/sluice.dispatcher.v1.ExecutionService/GetExecution", "name", |asked| {
            let name = asked.named("executions", &asked.account.waiting);
            dispatcher::GetExecutionRequest { name }.encode_to_vec()
        })
    },
    Row {
        public: Some(READERS),
        names: &[
            Name::of("parent", Account),
            Name::of("page_token", PageToken).optional(),
            Name::of("automation", Automation).optional(),
            Name::of("webhook", Webhook).optional(),
        ],
        ..of_account("/sluice.dispatcher.v1.ExecutionService/ListExecutions", "parent", |asked| {
            dispatcher::ListExecutionsRequest { parent: asked.parent(), page_size: 2, ..Default::default() }
                .encode_to_vec()
        })
    },
    Row {
        public: Some(READERS),
        names: &[Name::of("parent", Account), Name::of("cursor", PageToken).optional()],
        ..of_account("/sluice.dispatcher.v1.ExecutionService/WatchExecutions", "parent", |asked| {
            dispatcher::WatchExecutionsRequest { parent: asked.parent(), ..Default::default() }
                .encode_to_vec()
        })
    },
    Row {
        public: Some(ADMINS),
        needs: Needs::Waiting,
        names: &[Name::of("name", Execution)],
        ..of_thing("/sluice.dispatcher.v1.ExecutionService/CancelExecution", "name", |asked| {
            let name = asked.named("executions", asked.fresh_or(&asked.account.waiting));
            dispatcher::CancelExecutionRequest { name }.encode_to_vec()
        })
    },
    Row {
        public: Some(ADMINS),
        needs: Needs::Cancelled,
        names: &[Name::of("name", Execution)],
        ..of_thing("/sluice.dispatcher.v1.ExecutionService/RetryExecution", "name", |asked| {
            let name = asked.named("executions", asked.fresh_or(&asked.account.waiting));
            dispatcher::RetryExecutionRequest { name }.encode_to_vec()
        })
    },
    Row {
        public: Some(ADMINS),
        names: &[
            Name::of("parent", Account),
            Name::of("page_token", PageToken).optional(),
            Name::of("filter.automation", Automation).optional(),
            Name::of("filter.webhook", Webhook).optional(),
        ],
        ..of_account("/sluice.dispatcher.v1.ExecutionService/CancelExecutions", "parent", |asked| {
            // Of a record that nobody has told of.
            let filter = dispatcher::ExecutionFilter { record_id: unique(), ..Default::default() };
            let (parent, filter) = (asked.parent(), Some(filter));
            dispatcher::CancelExecutionsRequest { parent, filter, page_token: String::new() }.encode_to_vec()
        })
    },
    Row {
        public: Some(ADMINS),
        names: &[
            Name::of("parent", Account),
            Name::of("page_token", PageToken).optional(),
            Name::of("filter.automation", Automation).optional(),
            Name::of("filter.webhook", Webhook).optional(),
        ],
        ..of_account("/sluice.dispatcher.v1.ExecutionService/RetryExecutions", "parent", |asked| {
            // Of a record that nobody has told of.
            let filter = dispatcher::ExecutionFilter { record_id: unique(), ..Default::default() };
            let (parent, filter) = (asked.parent(), Some(filter));
            dispatcher::RetryExecutionsRequest { parent, filter, page_token: String::new() }.encode_to_vec()
        })
    },
    Row {
        public: Some(METERS),
        names: &[Name::of("name", Quota)],
        ..of_account("/sluice.dispatcher.v1.QuotaService/GetQuota", "name", |asked| {
            dispatcher::GetQuotaRequest { name: quota(asked) }.encode_to_vec()
        })
    },
    Row {
        public: Some(BILLING),
        names: &[Name::of("name", Quota), Name::of("request_id", Key(0))],
        ..of_account("/sluice.dispatcher.v1.QuotaService/GrantExecutions", "name", |asked| {
            dispatcher::GrantExecutionsRequest { name: quota(asked), units: 5, request_id: unique() }
                .encode_to_vec()
        })
    },
    Row {
        public: Some(BILLING),
        names: &[Name::of("name", Account)],
        ..of_account("/sluice.dispatcher.v1.QuotaService/PauseAccount", "name", |asked| {
            dispatcher::PauseAccountRequest { name: asked.parent(), note: "looked at".to_owned() }
                .encode_to_vec()
        })
    },
    Row {
        // Also for the rows that follow: those before it have paused the account.
        public: Some(BILLING),
        names: &[Name::of("name", Account)],
        ..of_account("/sluice.dispatcher.v1.QuotaService/ResumeAccount", "name", |asked| {
            dispatcher::ResumeAccountRequest { name: asked.parent() }.encode_to_vec()
        })
    },
    Row {
        internal: Some(SERVICES),
        names: &[
            Name::of("items[0].account", BareAccount).told("account"),
            Name::of("items[0].event.id", Key(2)).told("event.id"),
            Name::of("items[0].event.cause", BareExecution).told("event.cause").optional(),
            Name::of("items[0].executions[0].automation", BareAutomation)
                .told("executions[0].automation")
                .optional(),
            Name::of("items[0].executions[0].deliveries[0].webhook", BareWebhook)
                .told("executions[0].deliveries[0].webhook"),
        ],
        ..of_account("/sluice.dispatcher.v1.DispatchService/EnqueueExecutions", "items[0].account", |asked| {
            dispatcher::EnqueueExecutionsRequest { items: vec![item(asked)] }.encode_to_vec()
        })
    },
    Row {
        internal: Some(SERVICES),
        needs: Needs::Automation,
        names: &[Name::of("account", BareAccount), Name::of("automation", BareAutomation)],
        ..of_account("/sluice.dispatcher.v1.DispatchService/PutGate", "account", |asked| {
            dispatcher::PutGateRequest {
                account: asked.account.name.to_owned(),
                automation: asked.fresh_or(&asked.account.automation).to_owned(),
                generation: 99,
            }
            .encode_to_vec()
        })
    },
];

fn quota(asked: &Asked<'_>) -> String {
    format!("accounts/{}/quota", asked.account.name)
}

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

fn updated_webhook(asked: &Asked<'_>, id: &str) -> Vec<u8> {
    let webhook =
        registry::Webhook { name: asked.named("webhooks", id), ..asked.account.new_webhook(true, &unique()) };
    let update_mask = mask(&["display_name", "endpoint_url", "authentication"]);
    registry::UpdateWebhookRequest { webhook: Some(webhook), update_mask }.encode_to_vec()
}

fn item(asked: &Asked<'_>) -> dispatcher::EnqueueItem {
    let delivery = dispatcher::PlannedDelivery {
        webhook: asked.account.webhook.clone(),
        method: "POST".to_owned(),
        ..dispatcher::PlannedDelivery::default()
    };
    let planned = dispatcher::PlannedExecution {
        automation: asked.account.automation.clone(),
        automation_version: 1,
        generation: 1,
        deliveries: vec![delivery],
        rejection: None,
    };
    let event = dispatcher::EventSummary {
        id: unique(),
        object: "deal".to_owned(),
        action: proto::event::v1::Action::Added.into(),
        record_id: "7".to_owned(),
        ..dispatcher::EventSummary::default()
    };
    dispatcher::EnqueueItem {
        account: asked.account.name.to_owned(),
        event: Some(event),
        digest: vec![7; 32].into(),
        traceparent: String::new(),
        executions: vec![planned],
    }
}
