//! Places among what is under way: as many as the server takes, of them a share for each account.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sluice_domain::AccountId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The part of all places that one account may hold: a quarter.
const SHARE: usize = 4;

/// Places of one kind of call.
pub(crate) struct Places {
    all: Arc<Semaphore>,
    share: usize,
    held: Arc<Mutex<HashMap<AccountId, usize>>>,
}

/// One place; free again when dropped.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    share: Option<Share>,
}

/// What one account holds of its share.
struct Share {
    account: AccountId,
    held: Arc<Mutex<HashMap<AccountId, usize>>>,
}

impl Places {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))),
            share: count.div_ceil(SHARE),
            held: Arc::default(),
        }
    }

    /// A place, if one is free; whose it is, is not known yet.
    pub(crate) fn take(&self) -> Option<Place> {
        let permit = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Place { _permit: permit, share: None })
    }

    /// Counts the place for the account; false when the account holds its share already.
    pub(crate) fn charge(&self, place: &mut Place, account: &AccountId) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(account.clone()).or_default();
        if *count >= self.share {
            return false;
        }
        *count += 1;
        place.share = Some(Share { account: account.clone(), held: Arc::clone(&self.held) });
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_holds_a_quarter_at_most_and_leaves_the_rest_to_others() {
        let places = Places::new(8);
        let (acme, other): (AccountId, AccountId) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let charged = |account: &AccountId| {
            let mut place = places.take()?;
            places.charge(&mut place, account).then_some(place)
        };
        let first = charged(&acme);
        let second = charged(&acme);
        assert!(first.is_some() && second.is_some() && charged(&acme).is_none());
        assert!(charged(&other).is_some());
        drop(first);
        assert!(charged(&acme).is_some());
        drop(second);
        assert!(places.held.lock().unwrap().is_empty());
    }

    #[test]
    fn no_more_places_are_given_than_there_are() {
        let places = Places::new(1);
        let only = places.take();
        assert!(only.is_some() && places.take().is_none());
        drop(only);
        assert!(places.take().is_some());
    }
}
