//! Sending: one task a claim, from the target's look-up to the report.

use std::sync::Arc;

use sluice_domain::{Span, Timestamp};
use sluice_runtime::{Clock, Entropy, Shutdown};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::report::Reporting;
use super::slots::Slots;
use super::targets::Targets;
use crate::claim::{Claim, Finish, Lease, Reported};
use crate::delivery::{Courier, Report};
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
    pub shutdown: Shutdown,
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
            let seat = slots.take(&claim.account);
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
        let (attempt, next) = self.try_once(&claim, send_by).await;
        log(&claim, attempt.as_ref(), &next);
        let finish = Finish {
            account: claim.account,
            seq: claim.seq,
            token: claim.token,
            attempt: attempt.map(|r| r.attempt),
            next,
        };
        if self.reporting.report(finish).await == Some(Reported::ClaimLost) {
            tracing::warn!(execution.id = %claim.execution, "a claim was lost before it was reported");
        }
    }

    async fn try_once(&self, claim: &Claim, send_by: Timestamp) -> (Option<Report>, Next) {
        let Some(delivery) = claim.plan.deliveries.get(claim.step) else {
            let end = End::failed(EndReason::TemplateRejected, "the delivery is not in the plan");
            return (None, Next::End(end));
        };
        let target = match self.targets.get(&claim.account, delivery.webhook).await {
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
        if self.clock.now() > send_by || self.shutdown.is_triggered() {
            return (None, Next::HandBack(Span::ZERO));
        }
        let report = self.courier.deliver(claim, &target).await;
        let progress = Progress { plan: &claim.plan, step: claim.step, retries: claim.retries };
        let next = after(&report.outcome, progress, &self.schedule, self.entropy.fraction());
        (Some(report), next)
    }
}

/// One wide line an attempt.
fn log(claim: &Claim, report: Option<&Report>, next: &Next) {
    let attempt = report.map(|report| &report.attempt);
    tracing::info!(
        account.id = %claim.account,
        execution.id = %claim.execution,
        delivery.step = claim.step,
        attempt.number = claim.attempt,
        attempt.verdict = attempt.map_or("HANDED_BACK", |attempt| attempt.verdict.as_str()),
        attempt.duration_us = attempt.map(|attempt| attempt.duration.as_micros()),
        http.status = attempt.and_then(|attempt| attempt.answer.as_ref()).map(|answer| answer.status),
        error = attempt.map(|attempt| attempt.error.as_str()),
        trace = %claim.traceparent,
        next = ?next,
        "delivery.attempted"
    );
}
