//! Randomness as a value that is passed in: the system's, or a sequence that a seed fixes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A source of random bytes; cheap to clone, clones of a seeded one share its sequence.
#[derive(Clone)]
pub struct Entropy(Source);

#[derive(Clone)]
enum Source {
    System,
    Seeded(Arc<Mutex<StdRng>>),
}

impl Entropy {
    /// Cryptographic randomness seeded by the operating system; fit for keys, secrets and ids.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// The same bytes for the same seed, for tests and simulations only.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))))
    }

    /// Fills `buffer` with random bytes.
    pub fn fill(&self, buffer: &mut [u8]) {
        match &self.0 {
            Source::System => rand::rng().fill_bytes(buffer),
            Source::Seeded(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(buffer),
        }
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A random number out of the whole range of `u64`.
    pub fn u64(&self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A random number in `0.0..1.0`, in steps of 2⁻⁵³.
    pub fn fraction(&self) -> f64 {
        const STEP: f64 = 1.0 / 9_007_199_254_740_992.0;
        #[allow(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
        let steps = (self.u64() >> 11) as f64;
        steps * STEP
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System => "Entropy::system",
            Source::Seeded(_) => "Entropy::seeded",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_the_sequence() {
        let draw = |seed| {
            let entropy = Entropy::seeded(seed);
            (entropy.u64(), entropy.bytes::<16>(), entropy.fraction().to_bits())
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn clones_of_a_seeded_source_never_repeat_each_other() {
        let one = Entropy::seeded(1);
        let two = one.clone();
        assert_ne!(one.u64(), two.u64());
    }

    #[test]
    fn system_bytes_differ_from_call_to_call() {
        let entropy = Entropy::system();
        assert_ne!(entropy.bytes::<16>(), entropy.bytes::<16>());
    }

    #[test]
    fn fractions_stay_below_one_and_reach_both_halves() {
        let entropy = Entropy::seeded(3);
        let draws: Vec<f64> = (0..1_000).map(|_| entropy.fraction()).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        assert!(draws.iter().any(|draw| *draw < 0.1) && draws.iter().any(|draw| *draw > 0.9));
    }
}
