//! Who may call what.

use sluice_auth::{Access, AccessError, AccessTable, Grant, Role, Scope};

/// Not members: the history holds records that a member may not see.
const READ: Access = Access::AnyOf(&[Grant::Role(Role::GlobalAdmin), Grant::Scope(Scope::ExecutionsRead)]);
const CHANGE: Access = Access::AnyOf(&[Grant::Role(Role::GlobalAdmin)]);
const QUOTA: Access = Access::AnyOf(&[Grant::Role(Role::GlobalAdmin), Grant::Scope(Scope::UsageRead)]);
const BILLING: Access = Access::AnyOf(&[Grant::Scope(Scope::EntitlementsWrite)]);
const INTERNAL: Access = Access::AnyOf(&[Grant::Scope(Scope::Internal)]);

/// The public RPCs.
///
/// # Errors
/// When a path stands twice.
pub fn public_table() -> Result<AccessTable, AccessError> {
    AccessTable::new([
        ("/sluice.dispatcher.v1.ExecutionService/GetExecution", READ),
        ("/sluice.dispatcher.v1.ExecutionService/ListExecutions", READ),
        ("/sluice.dispatcher.v1.ExecutionService/WatchExecutions", READ),
        ("/sluice.dispatcher.v1.ExecutionService/CancelExecution", CHANGE),
        ("/sluice.dispatcher.v1.ExecutionService/RetryExecution", CHANGE),
        ("/sluice.dispatcher.v1.ExecutionService/CancelExecutions", CHANGE),
        ("/sluice.dispatcher.v1.ExecutionService/RetryExecutions", CHANGE),
        ("/sluice.dispatcher.v1.QuotaService/GetQuota", QUOTA),
        ("/sluice.dispatcher.v1.QuotaService/GrantExecutions", BILLING),
        ("/sluice.dispatcher.v1.QuotaService/PauseAccount", BILLING),
        ("/sluice.dispatcher.v1.QuotaService/ResumeAccount", BILLING),
    ])
}

/// The RPCs for Sluice's own services.
///
/// # Errors
/// When a path stands twice.
pub fn internal_table() -> Result<AccessTable, AccessError> {
    AccessTable::new([
        ("/sluice.dispatcher.v1.DispatchService/EnqueueExecutions", INTERNAL),
        ("/sluice.dispatcher.v1.DispatchService/PutGate", INTERNAL),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_of_the_contract_has_a_row_and_every_row_an_rpc() {
        let services =
            ["Execution", "Quota", "Dispatch"].map(|name| format!("sluice.dispatcher.v1.{name}Service"));
        let services: Vec<&str> = services.iter().map(String::as_str).collect();
        let methods = sluice_rpc::methods_of(proto::DESCRIPTORS, &services).unwrap();
        assert_eq!(methods.len(), 13);
        public_table().unwrap().merge(internal_table().unwrap()).unwrap().check(&methods).unwrap();
    }
}
