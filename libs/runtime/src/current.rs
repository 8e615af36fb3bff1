//! A value that may be replaced while it is in use.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

/// What is in force right now, a key or a certificate; cheap to clone, all clones show the same.
pub struct Current<T>(Arc<ArcSwap<T>>);

impl<T> Current<T> {
    /// A value that is in force until it is replaced.
    pub fn new(value: T) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(value)))
    }

    /// The value in force. Whoever holds it keeps it, whatever replaces it meanwhile.
    pub fn get(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// Puts another value in force, for everybody who looks from now on.
    pub fn replace(&self, value: T) {
        self.0.store(Arc::new(value));
    }
}

impl<T> From<T> for Current<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug> fmt::Debug for Current<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Current").field(&self.get()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clone_shows_what_replaced_the_value_and_who_holds_the_old_one_keeps_it() {
        let current = Current::from(1);
        let (clone, held) = (current.clone(), current.get());
        current.replace(2);
        assert_eq!((*held, *clone.get()), (1, 2));
    }
}
