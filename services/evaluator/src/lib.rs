//! evaluator: does this event set something off?
