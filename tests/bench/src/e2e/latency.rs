//! From the call to the hit, at a low load and at half of what is delivered at most.

use std::collections::BTreeMap;

use serde::Serialize;

use super::deliveries::Deliveries;

/// Events a second at the low load.
const LOW: f64 = 50.0;

/// Milliseconds from the producer's call to the receiver's hit.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Latency {
    pub(crate) per_s: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Measures both loads, events one by one, for so long each.
pub(crate) async fn measure(
    deliveries: &mut Deliveries<'_>,
    half: f64,
    seconds: u64,
) -> anyhow::Result<BTreeMap<&'static str, Latency>> {
    let mut measured = BTreeMap::new();
    for (name, per_s) in [("low", LOW), ("half", half.max(LOW))] {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number of events"
        )]
        let events = (per_s * seconds as f64).max(1.0) as usize;
        let run = deliveries.run_at(per_s, events).await?;
        let millis = |micros: u64| micros as f64 / 1e3;
        measured
            .insert(name, Latency { per_s, p50_ms: millis(run.tally.p50), p99_ms: millis(run.tally.p99) });
    }
    Ok(measured)
}
