//! The ceiling of the pairs: reqwest alone, to the same receiver.

use super::receiving::Receiving;
use crate::part::ceiling::{Order, Report};
use crate::part::child::Part;

/// Requests under way at once; the better of the two is the ceiling.
const IN_FLIGHT: [usize; 2] = [64, 256];
/// A secret that signs as long a body as the suite's.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY_BYTES: usize = 1_024;

/// Bare reqwest with as many requests under way as does it best.
#[derive(Debug)]
pub(crate) struct Ceiling<'a> {
    receiving: &'a Receiving,
    requests: usize,
    in_flight: usize,
}

impl<'a> Ceiling<'a> {
    /// Finds out how many requests under way do it best.
    pub(crate) async fn choose(receiving: &'a Receiving, requests: usize) -> anyhow::Result<Self> {
        let mut best = (0.0, Self { receiving, requests, in_flight: IN_FLIGHT[0] });
        for in_flight in IN_FLIGHT {
            let ceiling = Self { receiving, requests, in_flight };
            let rate = ceiling.run().await?;
            if rate > best.0 {
                best = (rate, ceiling);
            }
        }
        Ok(best.1)
    }

    /// Sends all once; answers a second.
    pub(crate) async fn run(&self) -> anyhow::Result<f64> {
        let order = Order {
            url: self.receiving.url(0),
            secret: SECRET.to_owned(),
            body: "x".repeat(BODY_BYTES),
            requests: self.requests,
            in_flight: self.in_flight,
        };
        self.receiving.reset().await?;
        let mut part = Part::start("ceiling", &order).await?;
        let Report { start, end } = part.answer().await?;
        part.end().await?;
        Ok(self.requests as f64 / ((end - start) as f64 / 1e6))
    }
}
