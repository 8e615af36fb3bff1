//! The RPCs of the evaluator.

use prost::Message as _;
use proto::evaluator::v1 as evaluator;

use super::super::accounts::Needs;
use super::super::names::What::{Account, Automation, BareExecution, Etag, Key, PageToken, Webhook};
use super::super::names::{Name, unique};
use super::{ADMINS, PRODUCERS, Row, USERS, mask, of_account, of_thing};

pub(super) const ROWS: &[Row] = &[
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
];
