//! A map from account to a value, read without locks; each value is replaced whole.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use arc_swap::ArcSwap;
use sluice_domain::AccountId;

/// How many maps share the accounts: a change copies one of them.
const SHARDS: usize = 256;

type Shard<T> = HashMap<AccountId, Arc<T>>;

/// The values of all accounts.
#[derive(Debug)]
pub struct Shelf<T> {
    shards: Box<[ArcSwap<Shard<T>>]>,
    hash: RandomState,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| ArcSwap::from_pointee(Shard::new())).collect();
        Self { shards, hash: RandomState::new() }
    }
}

impl<T> Shelf<T> {
    /// The account's value as it is now.
    pub fn get(&self, account: &AccountId) -> Option<Arc<T>> {
        self.shards[self.place(account)].load().get(account).cloned()
    }

    /// Replaces the account's value by what `change` makes of it; `None` leaves it as it is.
    /// `change` may be called again when another writer comes between.
    pub fn update(&self, account: &AccountId, change: impl Fn(Option<&Arc<T>>) -> Option<T>) {
        self.shards[self.place(account)].rcu(|shard| match change(shard.get(account)) {
            None => Arc::clone(shard),
            Some(value) => {
                let mut next = Shard::clone(shard);
                next.insert(account.clone(), Arc::new(value));
                Arc::new(next)
            }
        });
    }

    /// Puts these in the place of everything that is there.
    pub fn replace_all(&self, values: impl IntoIterator<Item = (AccountId, T)>) {
        let mut next: Vec<Shard<T>> = (0..SHARDS).map(|_| Shard::new()).collect();
        for (account, value) in values {
            next[self.place(&account)].insert(account, Arc::new(value));
        }
        for (shard, next) in self.shards.iter().zip(next) {
            shard.store(Arc::new(next));
        }
    }

    fn place(&self, account: &AccountId) -> usize {
        usize::try_from(self.hash.hash_one(account) % SHARDS as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_keeps_what_it_took_while_the_value_is_replaced() {
        let shelf = Shelf::default();
        let acme: AccountId = "acme".parse().unwrap();
        shelf.update(&acme, |old| old.is_none().then_some(1));
        let taken = shelf.get(&acme).unwrap();
        shelf.update(&acme, |old| old.map(|old| **old + 1));
        shelf.update(&acme, |_| None);
        assert_eq!((*taken, *shelf.get(&acme).unwrap()), (1, 2));
    }

    #[test]
    fn replacing_everything_leaves_nothing_of_the_old() {
        let shelf = Shelf::default();
        let (acme, other): (AccountId, AccountId) = ("acme".parse().unwrap(), "other".parse().unwrap());
        shelf.replace_all([(acme.clone(), 1)]);
        shelf.replace_all([(other.clone(), 2)]);
        assert_eq!((shelf.get(&acme), shelf.get(&other)), (None, Some(Arc::new(2))));
    }
}
