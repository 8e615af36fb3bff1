//! Executions that this process accepted a moment ago and that wait for nothing but a seat.
//!
//! Where more is accepted than can be sent at once, each of them is claimed soon after, and to read it back would cost as much as
//! to write it. An execution never changes and its place is given once, so what is remembered after the commit is what the table
//! has. It is only a memory: what is not here is read. The oldest are claimed first, so once it is full nothing new comes in; what
//! others claimed or ended goes with time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sluice_domain::{AccountId, Span, Timestamp};

use crate::execution::Execution;

/// About how many bytes of them are remembered.
const BYTES: usize = 16 * 1024 * 1024;
/// About what one takes beside its bodies.
const APART_FROM_BODIES: usize = 2 * 1_024;
/// How long one is remembered.
const LONG: Span = Span::from_secs(60);

/// The executions by place; clones share them.
#[derive(Clone, Default)]
pub(super) struct Recent(Arc<Mutex<Remembered>>);

#[derive(Default)]
struct Remembered {
    executions: BTreeMap<i64, Arc<Execution>>,
    bytes: usize,
}

impl Recent {
    /// Remembers one that is committed.
    pub(super) fn remember(&self, seq: i64, execution: Execution) {
        let mut remembered = self.remembered();
        remembered.forget_before(execution.accepted_at.minus(LONG));
        let bytes = bytes(&execution);
        if remembered.bytes + bytes <= BYTES {
            remembered.bytes += bytes;
            remembered.executions.insert(seq, Arc::new(execution));
        }
    }

    /// The account's execution at this place, which is forgotten.
    pub(super) fn take(&self, account: &AccountId, seq: i64) -> Option<Arc<Execution>> {
        let execution = self.remembered().remove(seq)?;
        Some(execution).filter(|execution| execution.account == *account)
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    fn remove(&mut self, seq: i64) -> Option<Arc<Execution>> {
        let execution = self.executions.remove(&seq)?;
        self.bytes -= bytes(&execution);
        Some(execution)
    }

    fn forget_before(&mut self, time: Timestamp) {
        while let Some((seq, oldest)) = self.executions.first_key_value()
            && oldest.accepted_at < time
        {
            self.remove(*seq);
        }
    }
}

fn bytes(execution: &Execution) -> usize {
    let bodies: usize = execution.plan.deliveries.iter().map(|delivery| delivery.body.len()).sum();
    bodies + APART_FROM_BODIES
}

#[cfg(test)]
mod tests {
    use sluice_domain::{Action, ExecutionId};

    use super::*;
    use crate::execution::EventSummary;
    use crate::plan::tests::plan_of;

    fn execution(account: &str, second: i64, body: usize) -> Execution {
        let at = Timestamp::from_micros(1_795_000_000_000_000).plus(Span::from_secs(second));
        let mut plan = plan_of(&[Span::ZERO]);
        plan.deliveries[0].body = vec![b'x'; body].into();
        Execution {
            account: account.parse().unwrap(),
            id: ExecutionId::from_bytes([1; 16]),
            automation: None,
            automation_version: 1,
            generation: 1,
            event: EventSummary {
                id: "e".into(),
                object: "deal".into(),
                action: Action::Added,
                record_id: "1".into(),
                occurred_at: at,
                actor: None,
                cause: None,
            },
            traceparent: String::new(),
            accepted_at: at,
            plan: Arc::new(plan),
        }
    }

    #[test]
    fn what_is_remembered_is_found_once_and_by_its_account_alone() {
        let (recent, acme, other) = (Recent::default(), "acme".parse().unwrap(), "other".parse().unwrap());
        recent.remember(1, execution("acme", 0, 10));
        recent.remember(2, execution("acme", 0, 10));
        assert!(recent.take(&acme, 1).is_some() && recent.take(&acme, 1).is_none());
        assert!(recent.take(&other, 2).is_none());
        assert_eq!(recent.remembered().bytes, 0);
    }

    #[test]
    fn the_oldest_stay_until_they_are_too_old_and_no_more_than_there_is_room_for() {
        let (recent, acme) = (Recent::default(), "acme".parse().unwrap());
        let large = BYTES / 4;
        (0..5).for_each(|seq| recent.remember(seq, execution("acme", 0, large)));
        assert_eq!(recent.remembered().executions.len(), 3);
        recent.remember(9, execution("acme", 61, large));
        assert_eq!(recent.remembered().executions.len(), 1, "a minute later");
        assert!(recent.take(&acme, 0).is_none() && recent.take(&acme, 9).is_some());
    }
}
