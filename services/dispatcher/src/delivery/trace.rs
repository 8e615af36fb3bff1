//! Where an attempt stands in its trace.

use std::time::{Duration, UNIX_EPOCH};

use sluice_domain::{AccountId, ExecutionId};
use sluice_telemetry::{Kind, Span, TraceContext};
use url::Url;

use crate::attempt::{Attempt, Verdict};
use crate::claim::{Claim, CutOff};

/// The spans around an attempt, and its own. Its id follows from execution, delivery and number, so that the next attempt knows
/// it hours later, in another process, and also when nobody lived to tell of it.
#[derive(Debug, Clone, Copy)]
pub struct Trace {
    /// The enqueueing that every attempt of the execution is below.
    pub enqueued: TraceContext,
    /// The attempt: what the receiver is told, and what lines and history call it by.
    pub attempt: TraceContext,
    /// The attempt before it.
    previous: Option<TraceContext>,
}

impl Trace {
    /// The trace of a claim. Where none is stored, the attempt has one of its own.
    pub fn of(claim: &Claim) -> Self {
        Self::numbered(&claim.traceparent, claim.execution, claim.step, claim.attempt)
    }

    /// The trace of an attempt that was cut off.
    pub fn of_cut_off(cut_off: &CutOff) -> Self {
        Self::numbered(&cut_off.traceparent, cut_off.execution, cut_off.step, cut_off.attempt)
    }

    fn numbered(traceparent: &str, execution: ExecutionId, step: usize, number: i64) -> Self {
        let enqueued = traceparent.parse().unwrap_or_else(|_| TraceContext::root(false));
        let numbered = |number| enqueued.child(span_id(execution, step, number));
        let previous = (number > 1).then(|| numbered(number - 1));
        Self { enqueued, attempt: numbered(number), previous }
    }

    /// Begins the attempt's span.
    pub(super) fn begin(&self, claim: &Claim) -> Span {
        let mut span = self.start(&claim.account, claim.execution, claim.step, claim.attempt);
        span.record(|record| {
            if let Some(delivery) = claim.plan.deliveries.get(claim.step) {
                record.name(delivery.method.clone());
                record.set("http.request.method", delivery.method.clone());
                record.set("sluice.delivery.id", delivery.id.to_string());
                record.set("sluice.webhook.id", delivery.webhook.to_string());
            }
        });
        span
    }

    /// The span of an attempt whose owner did not live to tell of it: from its claim until now.
    pub fn interrupted(&self, cut_off: &CutOff) {
        let mut span = self.start(&cut_off.account, cut_off.execution, cut_off.step, cut_off.attempt);
        span.record(|record| {
            let micros = u64::try_from(cut_off.claimed_at.as_micros()).unwrap_or_default();
            record.began(UNIX_EPOCH + Duration::from_micros(micros));
            record.set("sluice.attempt.outcome", Verdict::Interrupted.as_str());
            record.fail(Verdict::Interrupted.as_str());
        });
    }

    fn start(&self, account: &AccountId, execution: ExecutionId, step: usize, number: i64) -> Span {
        let mut span = Span::with_context(self.attempt, self.enqueued, "attempt", Kind::Client);
        span.record(|record| {
            record.set("sluice.account.id", account.to_string());
            record.set("sluice.execution.id", execution.to_string());
            record.count("sluice.delivery.step", step);
            record.set("sluice.attempt.number", number);
            if let Some(previous) = self.previous {
                record.set("http.request.resend_count", number - 1);
                record.link(previous);
            }
        });
        span
    }
}

/// Says where the request goes: of the URL neither the query nor anything before the host, since people put keys there.
pub(super) fn sent_to(span: &mut Span, url: &Url) {
    span.record(|record| {
        record.set("url.scheme", url.scheme().to_owned());
        record.set("url.path", url.path().to_owned());
        if let Some(host) = url.host_str() {
            record.set("server.address", host.to_owned());
        }
        if let Some(port) = url.port_or_known_default() {
            record.set("server.port", i64::from(port));
        }
    });
}

/// Says how the attempt came out. `failure` is the kind of failure, unless it went well.
pub(super) fn came_out(span: &mut Span, attempt: &Attempt, failure: Option<&'static str>) {
    span.record(|record| {
        record.set("sluice.attempt.outcome", attempt.verdict.as_str());
        let status = attempt.answer.as_ref().map(|answer| answer.status);
        if let Some(status) = status {
            record.set("http.response.status_code", i64::from(status));
        }
        match (failure, status) {
            (None, _) => {}
            (Some(_), Some(status)) => record.fail(status.to_string()),
            (Some(kind), None) => record.fail(kind),
        }
    });
}

/// The id of an attempt's span: different for all attempts of an execution, and random as far as the execution's id is.
fn span_id(execution: ExecutionId, step: usize, number: i64) -> [u8; 8] {
    let [.., a, b, c, d, e, f, g, h] = execution.to_bytes();
    let step = u64::try_from(step).unwrap_or(u64::MAX);
    let place = step.rotate_left(40) ^ number.cast_unsigned();
    mixed(u64::from_be_bytes([a, b, c, d, e, f, g, h]) ^ mixed(place)).to_be_bytes()
}

/// The last step of SplitMix64, which maps no two numbers to the same.
const fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn execution() -> ExecutionId {
        "ex_01h455vb4pex5vsknk084sn02q".parse().unwrap()
    }

    #[test]
    fn attempts_of_an_execution_have_ids_that_differ_and_never_change() {
        let ids: HashSet<[u8; 8]> =
            (0..20).flat_map(|step| (1..100).map(move |number| span_id(execution(), step, number))).collect();
        assert_eq!(ids.len(), 20 * 99);
        // Other processes, and later versions, link to what this one sent.
        assert_eq!(u64::from_be_bytes(span_id(execution(), 0, 1)), 10_126_206_334_804_477_755);
    }
}
