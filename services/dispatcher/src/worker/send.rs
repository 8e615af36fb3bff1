//! Sending: one task a claim, from the target's look-up to the report.

use std::sync::Arc;

use sluice_domain::{Span, Timestamp};
use sluice_runtime::{Clock, Entropy, Shutdown, failpoint};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::report::Reporting;
use super::slots::Slots;
use super::targets::Targets;
use crate::claim::{Claim, Finish, Lease, Reported};
use crate::delivery::{Courier, Report, Trace};
use crate::execution::{End, EndReason, Next, Progress, after};
use crate::retry::Schedule;
use crate::target::ResolveError;

/// How long work waits when the registry can't say where it goes.
const REGISTRY_AWAY: Span = Span::from_secs(2);
/// How long work waits for the gate of a webhook that was just disabled.
const JUST_DISABLED: Span = Span::from_secs(1);

/// What sending needs.
pub struct Means {
    /// Where deliveries go.
    pub targets: Targets,
    /// Who carries them.
    pub courier: Courier,
    /// Who writes down how it went.
    pub reporting: Reporting,
    /// Until when a claim may be dialled.
    pub lease: Lease,
    /// When a delivery is tried again.
    pub schedule: Schedule,
    /// The process's time.
    pub clock: Clock,
    /// The process's randomness.
    pub entropy: Entropy,
    /// Once triggered, what is not dialled yet is handed back.
    pub resting: Shutdown,
}

/// The way out; clones share everything.
#[derive(Clone)]
pub struct Sending {
    means: Arc<Means>,
    tasks: TaskTracker,
}

impl Sending {
    /// Ready to send.
    pub fn new(means: Means) -> Self {
        Self { means: Arc::new(means), tasks: TaskTracker::new() }
    }

    /// Sends claims that were taken not before `since`, a seat each.
    pub fn send(&self, claims: Vec<Claim>, slots: &Slots, since: Timestamp) {
        let send_by = since.plus(self.means.lease.send_within);
        for claim in claims {
            let seat = slots.take(&claim);
            let means = Arc::clone(&self.means);
            self.tasks.spawn(async move {
                means.one(claim, send_by).await;
                drop(seat);
            });
        }
    }

    /// Keeps [`Self::finished`] waiting as long as it lives: for whoever may still claim.
    pub fn token(&self) -> TaskTrackerToken {
        self.tasks.token()
    }

    /// Waits until nobody can claim any more and everything that was claimed is reported.
    pub async fn finished(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Means {
    async fn one(&self, claim: Claim, send_by: Timestamp) {
        let trace = Trace::of(&claim);
        let (report, next) = trace.enqueued.scope(self.try_once(&claim, send_by, &trace)).await;
        let reported = async {
            log(&claim, report.as_ref(), &next);
            let execution = claim.execution;
            let version = report.as_ref().map_or(0, |report| report.version);
            let finish = Finish {
                claim: claim.standing(),
                contact: claim.contact(version),
                account: claim.account,
                attempt: report.map(|report| report.attempt),
                next,
            };
            let reported = self.reporting.report(finish).await;
            failpoint::reach("dial", "reported");
            if reported == Some(Reported::ClaimLost) {
                tracing::warn!(execution.id = %execution, "a claim was lost before it was reported");
            }
        };
        trace.attempt.scope(reported).await;
    }

    async fn try_once(&self, claim: &Claim, send_by: Timestamp, trace: &Trace) -> (Option<Report>, Next) {
        let Some(delivery) = claim.plan.deliveries.get(claim.step) else {
            let end = End::failed(EndReason::TemplateRejected, "the delivery is not in the plan");
            return (None, Next::End(end));
        };
        // A look-up takes as long as the registry does, and a process that is told to end dials nothing more.
        let Some(found) = self.resting.or(self.targets.get(&claim.account, delivery.webhook)).await else {
            return (None, Next::HandBack(Span::ZERO));
        };
        let target = match found {
            Ok(target) if target.disabled => return (None, Next::HandBack(JUST_DISABLED)),
            Ok(target) => target,
            Err(error @ ResolveError::Deleted) => {
                return (None, Next::End(End::failed(EndReason::WebhookDeleted, error.to_string())));
            }
            Err(error @ ResolveError::Unusable(_)) => {
                return (None, Next::End(End::failed(EndReason::CredentialsMissing, error.to_string())));
            }
            Err(ResolveError::Unavailable) => return (None, Next::HandBack(REGISTRY_AWAY)),
        };
        if self.clock.now() > send_by || self.resting.is_triggered() {
            return (None, Next::HandBack(Span::ZERO));
        }
        failpoint::reach("dial", "beginning");
        let report = trace.attempt.scope(self.courier.deliver(claim, &target, trace)).await;
        failpoint::reach("dial", "answered");
        let progress = Progress { plan: &claim.plan, step: claim.step, retries: claim.retries };
        let next = after(&report.outcome, progress, &self.schedule, self.entropy.fraction());
        (Some(report), next)
    }
}

/// One wide line an attempt; claims that ended otherwise have a line of their own.
fn log(claim: &Claim, report: Option<&Report>, next: &Next) {
    let (end, after) = match next {
        Next::End(end) => (Some(end), None),
        Next::Retry(after) | Next::Advance { after, .. } | Next::HandBack(after) => (None, Some(*after)),
    };
    let delivery = claim.plan.deliveries.get(claim.step);
    let answer = report.and_then(|report| report.attempt.answer.as_ref());
    match (report, end) {
        (Some(report), _) => tracing::info!(
            account.id = %claim.account,
            execution.id = %claim.execution,
            delivery.id = delivery.map(|delivery| tracing::field::display(delivery.id)),
            delivery.step = claim.step,
            webhook.id = delivery.map(|delivery| tracing::field::display(delivery.webhook)),
            attempt.number = claim.attempt,
            attempt.outcome = report.attempt.verdict.as_str(),
            attempt.duration_us = report.attempt.duration.as_micros(),
            attempt.error = Some(report.attempt.error.as_str()).filter(|error| !error.is_empty()),
            http.request.method = delivery.map(|delivery| delivery.method.as_str()),
            http.response.status_code = answer.map(|answer| answer.status),
            http.response.kept_bytes = answer.map(|answer| answer.body.len()),
            next.kind = kind(next),
            next.after_us = after.map(Span::as_micros),
            execution.state = end.map(|end| end.state.as_str()),
            execution.reason = end.and_then(|end| end.reason).map(EndReason::as_str),
            "delivery.attempted"
        ),
        (None, Some(end)) => tracing::info!(
            account.id = %claim.account,
            execution.id = %claim.execution,
            delivery.step = claim.step,
            execution.state = end.state.as_str(),
            execution.reason = end.reason.map(EndReason::as_str),
            error = end.message,
            "delivery.impossible"
        ),
        (None, None) => tracing::debug!(
            account.id = %claim.account,
            execution.id = %claim.execution,
            delivery.step = claim.step,
            next.after_us = after.map(Span::as_micros),
            "delivery.handed_back"
        ),
    }
}

const fn kind(next: &Next) -> &'static str {
    match next {
        Next::End(_) => "END",
        Next::Retry(_) => "RETRY",
        Next::Advance { .. } => "ADVANCE",
        Next::HandBack(_) => "HAND_BACK",
    }
}
