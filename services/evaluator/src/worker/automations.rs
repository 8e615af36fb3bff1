//! Compiled automations of the accounts that send events, and the cheap look that notices other replicas' saves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sluice_domain::{AccountId, Span};
use sluice_runtime::Clock;
use sluice_storage::StorageError;
use tokio::sync::Mutex;

use crate::error::EvaluatorError;
use crate::snapshot::{AutomationSet, Shelf};
use crate::store::Store;

/// How old the last look at the revision may be when an event is judged.
const FRESH: Span = Span::from_secs(1);

/// What is held of one account.
#[derive(Debug)]
struct Slot {
    /// A set of a lower revision is out of date.
    needed: i64,
    set: Option<Arc<AutomationSet>>,
}

/// The active automations of all accounts, loaded when the first event comes.
#[derive(Debug)]
pub(crate) struct Automations {
    store: Store,
    clock: Clock,
    slots: Shelf<Slot>,
    /// When the last look grows old, in microseconds since the epoch.
    fresh_until: AtomicI64,
    /// The revision of the last look. Held while looking, so that events that come meanwhile wait for it.
    looked: Mutex<i64>,
}

impl Automations {
    /// Holds nothing yet.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn new(store: Store, clock: Clock) -> Result<Self, StorageError> {
        let looked = Mutex::new(store.revision().await?);
        Ok(Self { store, clock, slots: Shelf::default(), fresh_until: AtomicI64::new(i64::MIN), looked })
    }

    /// The account's active automations: with every save of this replica, and every other one that is a second old.
    ///
    /// # Errors
    /// When the database fails, or a stored automation can't be compiled.
    pub(crate) async fn current(&self, account: &AccountId) -> Result<Arc<AutomationSet>, EvaluatorError> {
        self.look().await?;
        if let Some(slot) = self.slots.get(account)
            && let Some(set) = &slot.set
            && set.revision >= slot.needed
        {
            return Ok(Arc::clone(set));
        }
        let set = self.read(account).await?;
        self.keep(account, &set);
        Ok(set)
    }

    async fn read(&self, account: &AccountId) -> Result<Arc<AutomationSet>, EvaluatorError> {
        let (revision, automations) = self.store.active(account).await?;
        Ok(Arc::new(AutomationSet::compile(revision, &automations)?))
    }

    /// Holds what was read, unless something newer came in between.
    fn keep(&self, account: &AccountId, set: &Arc<AutomationSet>) {
        self.slots.update(account, |slot| {
            let held = slot.and_then(|slot| slot.set.as_ref());
            let newer = held.is_some_and(|held| held.revision > set.revision);
            let needed = slot.map_or(0, |slot| slot.needed);
            (!newer).then(|| Slot { needed, set: Some(Arc::clone(set)) })
        });
    }

    /// The account's automations changed under `revision`: the next event has to see it. That is noted for an account of
    /// which nothing is held, too: its automations may be on their way, read before the change.
    pub(crate) fn saved(&self, account: &AccountId, revision: i64) {
        self.slots.update(account, |slot| match slot {
            None => Some(Slot { needed: revision, set: None }),
            Some(slot) => (slot.needed < revision).then(|| Slot { needed: revision, set: slot.set.clone() }),
        });
    }

    /// Looks which accounts changed, unless that was done within the last second.
    async fn look(&self) -> Result<(), StorageError> {
        if self.is_fresh() {
            return Ok(());
        }
        let mut looked = self.looked.lock().await;
        if self.is_fresh() {
            return Ok(());
        }
        let now = self.clock.now();
        let revision = self.store.revision().await?;
        if revision > *looked {
            for (account, changed) in self.store.changed_since(*looked).await? {
                self.saved(&account, changed);
            }
            *looked = revision;
        }
        self.fresh_until.store(now.plus(FRESH).as_micros(), Ordering::Release);
        Ok(())
    }

    /// A clock that was set back counts as not fresh.
    fn is_fresh(&self) -> bool {
        let until = self.fresh_until.load(Ordering::Acquire);
        let now = self.clock.now().as_micros();
        now < until && now >= until.saturating_sub(FRESH.as_micros())
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::AutomationId;
    use sluice_testkit::{TestDatabase, sqlite};

    use super::*;
    use crate::automation::Automation;
    use crate::automation::tests::definition;
    use crate::store::{Change, Changed, Created};

    fn acme() -> AccountId {
        "acme".parse().unwrap()
    }

    async fn replica(db: &TestDatabase) -> (Store, Automations) {
        let store = Store::open(db.database().clone()).await.unwrap();
        (store.clone(), Automations::new(store, db.time.clock()).await.unwrap())
    }

    async fn save_active(store: &Store, number: u8, db: &TestDatabase) -> i64 {
        let id = AutomationId::from_bytes([number; 16]);
        let created = Automation::create(id, acme(), definition(), "u1".parse().unwrap(), db.time.now());
        assert!(matches!(store.create(&created, None, 1_000).await.unwrap(), Created::Done(_)));
        let active = created.clone().activated(db.time.now());
        let change = Change { before: &created, after: Some(&active), stop: None, most_active: Some(50) };
        let Changed::Done(revision) = store.change(change).await.unwrap() else {
            panic!("nothing is in the way")
        };
        revision
    }

    async fn count(automations: &Automations) -> usize {
        automations.current(&acme()).await.unwrap().active().len()
    }

    #[tokio::test]
    async fn a_save_is_seen_by_the_next_event_here_and_within_a_second_elsewhere() {
        let db = sqlite().await;
        let (store, here) = replica(&db).await;
        let (_, elsewhere) = replica(&db).await;
        assert_eq!((count(&here).await, count(&elsewhere).await), (0, 0));
        let revision = save_active(&store, 1, &db).await;
        here.saved(&acme(), revision);
        assert_eq!((count(&here).await, count(&elsewhere).await), (1, 0));
        db.time.advance(Span::from_secs(1)).await;
        assert_eq!((count(&here).await, count(&elsewhere).await), (1, 1));
    }

    #[tokio::test]
    async fn a_save_before_the_first_event_is_not_missed() {
        let db = sqlite().await;
        let (store, here) = replica(&db).await;
        let revision = save_active(&store, 1, &db).await;
        here.saved(&acme(), revision);
        assert_eq!(count(&here).await, 1);
        let revision = save_active(&store, 2, &db).await;
        here.saved(&acme(), revision);
        here.saved(&acme(), revision - 1);
        assert_eq!(count(&here).await, 2);
    }

    #[tokio::test]
    async fn what_was_read_before_another_replicas_save_and_kept_after_the_look_is_read_again() {
        let db = sqlite().await;
        let (store, here) = replica(&db).await;
        let old = here.read(&acme()).await.unwrap();
        save_active(&store, 1, &db).await;
        db.time.advance(Span::from_secs(1)).await;
        here.look().await.unwrap();
        here.keep(&acme(), &old);
        assert_eq!(count(&here).await, 1);
    }
}
