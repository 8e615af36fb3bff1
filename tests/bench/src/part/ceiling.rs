//! The ceiling: reqwest alone, the same signed requests to the same receiver, as many under way as it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use sluice_runtime::Clock;
use sluice_signing::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Secret, sign};
use tokio::task::JoinSet;

use super::child;

/// What to send.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Where to.
    pub(crate) url: String,
    /// What signs it.
    pub(crate) secret: String,
    /// The body of each request.
    pub(crate) body: String,
    /// How many requests.
    pub(crate) requests: usize,
    /// How many of them at once.
    pub(crate) in_flight: usize,
}

/// Between the first request and the last answer, in microseconds since the epoch.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// Sends all, and reports.
pub(crate) async fn run() -> anyhow::Result<()> {
    let (order, stdin): (Order, _) = child::told().await?;
    let clock = Clock::system();
    let prepared = Arc::new(prepare(&order, &clock)?);
    let client = reqwest::Client::builder().no_proxy().http1_only().tcp_nodelay(true).build()?;
    let body = Bytes::from(order.body);
    let next = Arc::new(AtomicUsize::new(0));
    let start = micros(&clock);
    let mut senders = JoinSet::new();
    for _ in 0..order.in_flight {
        let (client, prepared, next) = (client.clone(), Arc::clone(&prepared), Arc::clone(&next));
        let (url, body) = (order.url.clone(), body.clone());
        senders.spawn(async move {
            while let Some(headers) = prepared.get(next.fetch_add(1, Ordering::Relaxed)) {
                let sent = client.post(&url).headers(headers.clone()).body(body.clone()).send().await?;
                sent.error_for_status()?.bytes().await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended??;
    }
    child::answer(&Report { start, end: micros(&clock) })?;
    child::closed(stdin).await;
    Ok(())
}

/// Signing belongs to the suite's share, so it is done before the clock runs.
fn prepare(order: &Order, clock: &Clock) -> anyhow::Result<Vec<HeaderMap>> {
    let secret = Secret::parse(&order.secret)?;
    let (seconds, _) = clock.now().to_unix();
    let one = |number: usize| {
        let id = format!("dl_ceiling{number:016}");
        let signature = sign(&id, seconds, order.body.as_bytes(), &[&secret]);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (HEADER_ID, id),
            (HEADER_TIMESTAMP, seconds.to_string()),
            (HEADER_SIGNATURE, signature),
            ("content-type", "application/json".to_owned()),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            ("sluice-attempt", "1".to_owned()),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::try_from(value)?);
        }
        Ok(headers)
    };
    (0..order.requests).map(one).collect()
}

fn micros(clock: &Clock) -> u64 {
    u64::try_from(clock.now().as_micros()).unwrap_or(0)
}
