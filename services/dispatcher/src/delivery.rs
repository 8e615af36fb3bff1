//! The way to receivers: from a claim and its target to a signed request, and from the answer to what the history keeps.

mod request;
mod trace;

use std::fmt;

use http::header::RETRY_AFTER;
use sluice_domain::Timestamp;
use sluice_egress::{Answer, Egress, SendError};
use sluice_runtime::{Clock, Shutdown};
use sluice_telemetry::Span;

use crate::attempt::{Attempt, KeptAnswer, Outcome, Verdict, judge, retry_after};
use crate::claim::Claim;
use crate::execution::EndReason;
use crate::redaction::{kept_body, kept_head};
use crate::target::Target;

pub use trace::Trace;

/// What the span of a request that was cut off failed with.
const CUT_OFF: &str = "CUT_OFF";

/// Sends one request at a time; clones share one pool of connections.
#[derive(Clone)]
pub struct Courier {
    egress: Egress,
    clock: Clock,
    overdue: Shutdown,
}

/// What an attempt brought.
#[derive(Debug)]
pub struct Report {
    /// What it meant.
    pub outcome: Outcome,
    /// What the history keeps.
    pub attempt: Attempt,
    /// The webhook's version that it went to.
    pub version: i64,
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").finish_non_exhaustive()
    }
}

impl Courier {
    /// A courier that goes out through this door, and waits for no answer once the process's end is `overdue`.
    pub const fn new(egress: Egress, clock: Clock, overdue: Shutdown) -> Self {
        Self { egress, clock, overdue }
    }

    /// Sends the delivery of a claim to its target, once.
    pub async fn deliver(&self, claim: &Claim, target: &Target, trace: &Trace) -> Report {
        let mut span = trace.begin(claim);
        let (report, failure) = self.exchange(claim, target, trace, &mut span).await;
        trace::came_out(&mut span, &report.attempt, failure);
        report
    }

    /// The exchange, and what kind of failure it was, if it was one.
    async fn exchange(
        &self,
        claim: &Claim,
        target: &Target,
        trace: &Trace,
        span: &mut Span,
    ) -> (Report, Option<&'static str>) {
        let dialled_at = self.clock.now();
        let blank = blank(claim);
        let prepared = match request::prepare(claim, target, dialled_at, trace) {
            Ok(prepared) => prepared,
            Err(message) => {
                let reason = EndReason::TemplateRejected;
                let outcome = Outcome::Failed { reason, message: message.clone() };
                let attempt = Attempt { verdict: Verdict::Failed, error: message, ..blank };
                return (Report { outcome, attempt, version: target.version }, Some(reason.as_str()));
            }
        };
        trace::sent_to(span, &prepared.request.url);
        let sent = self.overdue.or(self.egress.send(prepared.request)).await;
        let ended_at = self.clock.now();
        let (outcome, answer, kind) = match sent {
            Some(Ok(answer)) => {
                let (outcome, answer) = read(&answer, target, ended_at);
                (outcome, answer, "STATUS")
            }
            Some(Err(error)) => (failure(&error), None, error.kind()),
            None => (Outcome::CutOff, None, CUT_OFF),
        };
        let (verdict, error) = match &outcome {
            Outcome::Succeeded => (Verdict::Succeeded, String::new()),
            Outcome::Failed { message, .. } => (Verdict::Failed, message.clone()),
            Outcome::Retryable { message, .. } => (Verdict::Retried, message.clone()),
            Outcome::CutOff => {
                (Verdict::Interrupted, "the dispatcher had to end before there was an answer".to_owned())
            }
        };
        let attempt = Attempt {
            verdict,
            duration: ended_at.since(dialled_at),
            url_path: prepared.url_path,
            request_headers: prepared.headers,
            answer,
            error,
            ..blank
        };
        let failed = (outcome != Outcome::Succeeded).then_some(kind);
        (Report { outcome, attempt, version: target.version }, failed)
    }
}

fn blank(claim: &Claim) -> Attempt {
    Attempt {
        step: claim.step,
        number: claim.attempt,
        verdict: Verdict::Started,
        started_at: claim.claimed_at,
        ended_at: None,
        duration: sluice_domain::Span::ZERO,
        url_path: String::new(),
        request_headers: Vec::new(),
        answer: None,
        error: String::new(),
    }
}

fn read(answer: &Answer, target: &Target, now: Timestamp) -> (Outcome, Option<KeptAnswer>) {
    let asked = answer.headers.get(RETRY_AFTER);
    let asked = asked.and_then(|value| retry_after(&String::from_utf8_lossy(value.as_bytes()), now));
    let fields = answer.headers.iter();
    let kept = KeptAnswer {
        status: answer.status,
        headers: kept_head(
            fields.map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()))),
        ),
        body: kept_body(&answer.body, &target.credentials()),
        truncated: answer.body_truncated,
    };
    (judge(answer.status, asked), Some(kept))
}

/// What it means that there was no answer. The texts tell a tenant nothing about our network.
fn failure(error: &SendError) -> Outcome {
    match error {
        SendError::Forbidden(_) => Outcome::Failed {
            reason: EndReason::TargetForbidden,
            message: "the endpoint is not one that requests may be sent to".into(),
        },
        SendError::Unsendable => Outcome::Failed {
            reason: EndReason::TemplateRejected,
            message: "the rendered request can't be sent over HTTP".into(),
        },
        other => Outcome::Retryable { message: other.kind().to_owned(), retry_after: None },
    }
}
