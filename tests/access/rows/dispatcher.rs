//! The RPCs of the dispatcher.

use prost::Message as _;
use proto::dispatcher::v1 as dispatcher;

use super::super::accounts::{Asked, Needs};
use super::super::names::What::{
    Account, Automation, BareAccount, BareAutomation, BareExecution, BareWebhook, Execution, Key, PageToken,
    Quota, Webhook,
};
use super::super::names::{Name, unique};
use super::{ADMINS, BILLING, METERS, READERS, Row, SERVICES, of_account, of_thing};

/// What a request about all executions that match names.
const FILTERED: &[Name] = &[
    Name::of("parent", Account),
    Name::of("page_token", PageToken).optional(),
    Name::of("filter.automation", Automation).optional(),
    Name::of("filter.webhook", Webhook).optional(),
];

pub(super) const ROWS: &[Row] = &[
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
        names: FILTERED,
        ..of_account("/sluice.dispatcher.v1.ExecutionService/CancelExecutions", "parent", |asked| {
            let (parent, filter) = (asked.parent(), Some(nobodys()));
            dispatcher::CancelExecutionsRequest { parent, filter, page_token: String::new() }.encode_to_vec()
        })
    },
    Row {
        public: Some(ADMINS),
        names: FILTERED,
        ..of_account("/sluice.dispatcher.v1.ExecutionService/RetryExecutions", "parent", |asked| {
            let (parent, filter) = (asked.parent(), Some(nobodys()));
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

/// All executions of a record that nobody has told of.
fn nobodys() -> dispatcher::ExecutionFilter {
    dispatcher::ExecutionFilter { record_id: unique(), ..Default::default() }
}

fn quota(asked: &Asked<'_>) -> String {
    format!("accounts/{}/quota", asked.account.name)
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
