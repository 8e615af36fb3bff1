//! The `bodies` column: the bodies of an execution's requests, compressed where it pays.
//!
//! Nothing in the column says so: the plan beside it knows how long the bodies are, and what is shorter is compressed.

/// Shorter ones stay as they are: to compress them costs more than to write what is saved.
const LEAST: usize = 2 * 1_024;
/// The fastest that zstd is good at.
const LEVEL: i32 = 1;

/// What is stored of bodies.
pub(super) fn packed(bodies: Vec<u8>) -> Vec<u8> {
    if bodies.len() < LEAST {
        return bodies;
    }
    match zstd::bulk::compress(&bodies, LEVEL) {
        Ok(packed) if packed.len() < bodies.len() => packed,
        _ => bodies,
    }
}

/// The bodies, so long, of what is stored; nothing if it is not theirs.
pub(super) fn unpacked(stored: Vec<u8>, length: usize) -> Option<Vec<u8>> {
    if stored.len() == length {
        return Some(stored);
    }
    zstd::bulk::decompress(&stored, length).ok().filter(|bodies| bodies.len() == length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Such as webhooks send: fields whose names recur.
    fn json(bytes: usize) -> Vec<u8> {
        let field = |number: usize| format!("\"field_{number}\":\"value {}\",", number * 7_919 % 1_000);
        (0..).map(field).flat_map(String::into_bytes).take(bytes).collect()
    }

    /// Bytes that nothing compresses.
    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 7_u64;
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        (0..bytes).map(next).collect()
    }

    #[test]
    fn bodies_come_back_as_they_were() {
        for bodies in [vec![], json(10), json(LEAST), json(300_000), noise(LEAST), noise(100_000)] {
            assert_eq!(unpacked(packed(bodies.clone()), bodies.len()), Some(bodies));
        }
    }

    #[test]
    fn what_is_long_and_recurs_takes_less_and_nothing_takes_more() {
        assert!(packed(json(8 * 1_024)).len() * 3 < 8 * 1_024);
        assert_eq!(packed(json(LEAST - 1)).len(), LEAST - 1);
        assert_eq!(packed(noise(50_000)).len(), 50_000);
    }

    #[test]
    fn what_is_not_theirs_is_noticed() {
        assert_eq!(unpacked(json(10), 20), None);
        assert_eq!(unpacked(packed(json(5_000)), 6_000), None);
        assert_eq!(unpacked(packed(json(5_000)), 4_000), None);
    }
}
