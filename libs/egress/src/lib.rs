//! The only HTTP client in the house: address decision, pinned resolver, timeouts, capped bodies.
