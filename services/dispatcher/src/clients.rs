//! What the dispatcher asks of others: the registry, for targets and for what changed.

pub mod registry;
