//! What a trace tells of a judgement: of which event, and how many automations were looked at and fired. Nothing of the record.

use sluice_telemetry::Record;

use crate::evaluate::{Judgement, PlannedExecution};
use crate::event_check::IncomingEvent;
use crate::snapshot::AutomationSet;

/// Tells of the judgement.
pub(super) fn told(
    record: &mut Record,
    incoming: &IncomingEvent,
    automations: &AutomationSet,
    judgement: &Judgement,
) {
    let event = &incoming.event;
    record.set("sluice.account.id", event.account.to_string());
    record.set("sluice.event.id", event.id.to_string());
    record.set("sluice.event.object", event.object.to_string());
    record.set("sluice.event.action", event.action.as_str());
    let considered = automations.active().candidates(&event.object, event.action).count();
    record.count("sluice.automations.considered", considered);
    let (outcome, fired) = match judgement {
        Judgement::Suppressed => ("SUPPRESSED", &[][..]),
        Judgement::NoMatch => ("NO_MATCH", &[][..]),
        Judgement::TooWide => ("TOO_WIDE", &[][..]),
        Judgement::Fires(executions) => ("FIRES", executions.as_slice()),
    };
    record.set("sluice.event.outcome", outcome);
    let automated = |execution: &&PlannedExecution| matches!(execution, PlannedExecution::Automation { .. });
    let matched = fired.iter().filter(automated).count();
    record.count("sluice.automations.matched", matched);
    record.count("sluice.notifications.matched", fired.len() - matched);
}
