//! Role × RPC of the evaluator: who may call what. What has no row is closed.

use sluice_auth::{Access, AccessError, AccessTable, Grant, Role, Scope};

/// Reading: whoever is of the account.
const MEMBERS: Access = Access::AnyOf(&[Grant::Role(Role::Member)]);
/// Sending events: services with the scope.
const PRODUCERS: Access = Access::AnyOf(&[Grant::Scope(Scope::EventsWrite)]);

/// The rows. Writing an automation, and explaining the draft of one, is open to members here and refused to all but global admins in the handler, so that the
/// refusal says `GLOBAL_ADMIN_REQUIRED`.
const ROWS: [(&str, Access); 10] = [
    ("/sluice.evaluator.v1.AutomationService/CreateAutomation", MEMBERS),
    ("/sluice.evaluator.v1.AutomationService/GetAutomation", MEMBERS),
    ("/sluice.evaluator.v1.AutomationService/ListAutomations", MEMBERS),
    ("/sluice.evaluator.v1.AutomationService/UpdateAutomation", MEMBERS),
    ("/sluice.evaluator.v1.AutomationService/DeleteAutomation", MEMBERS),
    ("/sluice.evaluator.v1.AutomationService/ActivateAutomation", MEMBERS),
    ("/sluice.evaluator.v1.AutomationService/DeactivateAutomation", MEMBERS),
    ("/sluice.evaluator.v1.AutomationService/ExplainEvent", MEMBERS),
    ("/sluice.evaluator.v1.EventService/IngestEvent", PRODUCERS),
    ("/sluice.evaluator.v1.EventService/BatchIngestEvents", PRODUCERS),
];

/// The evaluator's access table.
///
/// # Errors
/// When an RPC has two rows, which a test rules out.
pub(crate) fn access_table() -> Result<AccessTable, AccessError> {
    AccessTable::new(ROWS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_of_the_contracts_has_a_row_and_every_row_an_rpc() {
        let services = ["sluice.evaluator.v1.AutomationService", "sluice.evaluator.v1.EventService"];
        let methods = sluice_rpc::methods_of(proto::DESCRIPTORS, &services).unwrap();
        access_table().unwrap().check(methods).unwrap();
    }
}
