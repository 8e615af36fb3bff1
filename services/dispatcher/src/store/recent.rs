//! Executions that this process accepted a moment ago and that wait for their first start.
//!
//! Where more is accepted than can be sent at once, each of them is claimed soon after, and to read it back would cost as much as
//! to write it. An execution never changes and its place is given once, so what is remembered after the commit is what the table
//! has. It is only a memory: what is not here is read.

use std::sync::Arc;

use moka::sync::Cache;
use sluice_domain::AccountId;

use crate::execution::Execution;

/// About how many bytes of them are remembered.
const BYTES: u64 = 32 * 1024 * 1024;
/// About what one takes beside its bodies.
const APART_FROM_BODIES: usize = 1_024;

/// The executions by place; clones share them.
#[derive(Clone)]
pub(super) struct Recent(Cache<i64, Arc<Execution>>);

impl Default for Recent {
    fn default() -> Self {
        let weigh = |_: &i64, execution: &Arc<Execution>| {
            let bodies: usize = execution.plan.deliveries.iter().map(|delivery| delivery.body.len()).sum();
            u32::try_from(bodies + APART_FROM_BODIES).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(BYTES).weigher(weigh).build())
    }
}

impl Recent {
    /// Remembers one that is committed.
    pub(super) fn remember(&self, seq: i64, execution: Execution) {
        self.0.insert(seq, Arc::new(execution));
    }

    /// The account's execution at this place, which is forgotten.
    pub(super) fn take(&self, account: &AccountId, seq: i64) -> Option<Arc<Execution>> {
        self.0.remove(&seq).filter(|execution| execution.account == *account)
    }
}
