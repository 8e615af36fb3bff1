//! How much may be claimed and not yet reported by this process: a bounded number of seats.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The seats of a process.
#[derive(Debug, Clone)]
pub struct Slots {
    seats: Arc<Semaphore>,
    total: usize,
}

/// Some seats that are taken; dropping frees them.
#[derive(Debug)]
pub struct Seats(Option<OwnedSemaphorePermit>);

impl Slots {
    /// This many seats.
    pub fn new(total: usize) -> Self {
        Self { seats: Arc::new(Semaphore::new(total)), total }
    }

    /// As many seats as are free now, up to `wanted`; possibly none.
    pub fn take(&self, wanted: usize) -> Seats {
        let mut wanted = wanted.min(self.seats.available_permits());
        while wanted > 0 {
            let count = u32::try_from(wanted).unwrap_or(u32::MAX);
            if let Ok(permit) = Arc::clone(&self.seats).try_acquire_many_owned(count) {
                return Seats(Some(permit));
            }
            wanted /= 2;
        }
        Seats(None)
    }

    /// At least one seat, as soon as one is free, up to `wanted`.
    pub async fn wait(&self, wanted: usize) -> Seats {
        let first = Arc::clone(&self.seats).acquire_owned().await.ok();
        let mut seats = Seats(first);
        seats.add(self.take(wanted.saturating_sub(1)));
        seats
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.total.saturating_sub(self.seats.available_permits())
    }
}

impl Seats {
    /// How many these are.
    pub fn count(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// One of them, to be freed on its own.
    pub fn split(&mut self) -> Option<Self> {
        self.0.as_mut()?.split(1).map(|one| Self(Some(one)))
    }

    fn add(&mut self, other: Self) {
        match (&mut self.0, other.0) {
            (Some(mine), Some(more)) => mine.merge(more),
            (None, more) => self.0 = more,
            (Some(_), None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn seats_are_bounded_and_come_back() {
        let slots = Slots::new(3);
        let mut seats = slots.take(5);
        assert_eq!((seats.count(), slots.taken()), (3, 3));
        let one = seats.split().unwrap();
        drop(seats);
        assert_eq!(slots.taken(), 1);
        drop(one);
        assert_eq!(slots.wait(2).await.count(), 2);
        assert_eq!(slots.taken(), 0);
    }
}
