//! Rounds in pairs, one as it should be and one as it is in an outage, so that whatever else the machine does meets both.

use std::fmt;
use std::time::Duration;

use super::load::{Round, Site};

/// So many pairs are compared.
const PAIRS: usize = 5;

/// What an outage costs: how many times longer it took, in the median of the pairs.
#[derive(Debug)]
pub(crate) struct Cost {
    /// All events of a round.
    pub(crate) took: f64,
    /// The median call.
    pub(crate) call: f64,
    pairs: Vec<(Round, Round)>,
}

impl Cost {
    /// Measures; which of a pair is first alternates.
    pub(crate) async fn measure(well: &mut Site, ill: &mut Site, events: usize) -> Self {
        let mut pairs = Vec::new();
        for pair in 0..PAIRS {
            if pair % 2 == 0 {
                let first = well.round(events).await;
                pairs.push((first, ill.round(events).await));
            } else {
                let first = ill.round(events).await;
                pairs.push((well.round(events).await, first));
            }
        }
        let ratios = |of: fn(&Round) -> Duration| {
            let mut ratios: Vec<f64> =
                pairs.iter().map(|(well, ill)| of(ill).as_secs_f64() / of(well).as_secs_f64()).collect();
            ratios.sort_by(f64::total_cmp);
            ratios[PAIRS / 2]
        };
        Self { took: ratios(|round| round.took), call: ratios(|round| round.median), pairs }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rounds {:.3} x, calls {:.3} x; pairs in ms", self.took, self.call)?;
        for (well, ill) in &self.pairs {
            write!(f, " {}/{}", well.took.as_millis(), ill.took.as_millis())?;
        }
        Ok(())
    }
}
