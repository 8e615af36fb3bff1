//! What billing says of an account, as the registry's feed tells it.

use sluice_domain::Entitlements;

/// What an account may do, and what it would need to do more.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// What it may do.
    pub entitlements: Entitlements,
    /// The humblest plan of the catalogue that has automations; `None` if none has.
    pub automations_plan: Option<String>,
}
