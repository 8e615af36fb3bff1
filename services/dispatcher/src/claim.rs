//! The right to try one delivery now, held by one owner until its lease ends.

use std::sync::Arc;

use sluice_domain::{AccountId, ExecutionId, Span, Timestamp, WebhookId};

use crate::attempt::Attempt;
use crate::breaker::Sign;
use crate::change::{Change, Then, What};
use crate::execution::Next;
use crate::plan::Plan;

/// One delivery to be dialled. The attempt is on record already, with the pending work.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The account.
    pub account: AccountId,
    /// The execution's place in the order of acceptance: its key in the tables.
    pub seq: i64,
    /// The execution.
    pub execution: ExecutionId,
    /// The execution that brought the event about, if one did.
    pub cause: Option<ExecutionId>,
    /// The W3C trace context it belongs to.
    pub traceparent: String,
    /// The requests.
    pub plan: Arc<Plan>,
    /// Which of them is to be sent.
    pub step: usize,
    /// The attempt's number within the delivery.
    pub attempt: i64,
    /// Retries of the delivery used before.
    pub retries: u32,
    /// How often the execution ended before it was opened again.
    pub ends: i64,
    /// When the execution first started, by the database's clock.
    pub started_at: Timestamp,
    /// What every later write must show.
    pub token: i64,
    /// When it was claimed, by the database's clock.
    pub claimed_at: Timestamp,
    /// Whether the webhook had a breaker on record: then how it ends is of interest, also where it goes well.
    pub troubled: bool,
}

impl Claim {
    /// Whom it is to be sent to.
    pub fn webhook(&self) -> Option<WebhookId> {
        self.plan.deliveries.get(self.step).map(|delivery| delivery.webhook)
    }
}

/// An attempt whose owner died or stalled, as it was found when its lease was over.
#[derive(Debug, Clone)]
pub struct CutOff {
    /// The account.
    pub account: AccountId,
    /// The execution.
    pub execution: ExecutionId,
    /// The W3C trace context it belongs to.
    pub traceparent: String,
    /// Which delivery of the plan.
    pub step: usize,
    /// The attempt's number within the delivery.
    pub attempt: i64,
    /// When it was claimed, by the database's clock.
    pub claimed_at: Timestamp,
}

impl Claim {
    /// Where it stands.
    pub fn standing(&self) -> Standing {
        Standing {
            seq: self.seq,
            token: self.token,
            step: self.step,
            attempt: self.attempt,
            ends: self.ends,
            started_at: self.started_at,
            ordered: self.ordered(),
        }
    }

    /// Whom it was sent to, at this version of the webhook.
    pub fn contact(&self, version: i64) -> Option<Contact> {
        self.webhook().map(|webhook| Contact { webhook, troubled: self.troubled, version })
    }

    /// Whether its delivery stands in a record's line.
    pub fn ordered(&self) -> bool {
        self.plan.deliveries.get(self.step).is_some_and(|delivery| delivery.ordered)
    }

    /// What happened when it was taken.
    pub const fn change(&self) -> Change {
        Change {
            seq: self.seq,
            what: What::Started,
            step: self.step,
            attempt: self.attempt,
            then: Then::Runs,
        }
    }
}

/// Where a claim stands among its execution's deliveries and attempts: as long as the claim is held, its row says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The execution's key.
    pub seq: i64,
    /// The token of the claim.
    pub token: i64,
    /// Which delivery of the plan.
    pub step: usize,
    /// The attempt's number within the delivery.
    pub attempt: i64,
    /// How often the execution ended before it was opened again.
    pub ends: i64,
    /// When the execution first started.
    pub started_at: Timestamp,
    /// Whether its delivery stands in a record's line, in which the next is called when it is over.
    pub ordered: bool,
}

/// Whom a claim was sent to, as far as that one's breaker needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// The webhook.
    pub webhook: WebhookId,
    /// Whether it had a breaker on record when the claim was taken.
    pub troubled: bool,
    /// The webhook's version that the request went to; 0 where there was none.
    pub version: i64,
}

/// What became of a claim.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The account.
    pub account: AccountId,
    /// The claim.
    pub claim: Standing,
    /// The attempt to keep; `None` when it was handed back undialled.
    pub attempt: Option<Attempt>,
    /// What comes next.
    pub next: Next,
    /// Whom it was sent to.
    pub contact: Option<Contact>,
}

impl Finish {
    /// What it says of the receiver.
    pub fn sign(&self) -> Sign {
        Sign::of(self.attempt.as_ref(), &self.next)
    }

    /// Whether it may move its webhook's breaker.
    pub fn moves_breaker(&self) -> bool {
        match self.sign() {
            Sign::Failing | Sign::Gone => true,
            Sign::Alive | Sign::Silent => self.contact.is_some_and(|contact| contact.troubled),
        }
    }

    /// Whether it leaves the account as it is: nothing waits again, nobody's turn comes, and no breaker moves.
    pub fn leaves_account(&self) -> bool {
        matches!(self.next, Next::End(_)) && !self.claim.ordered && !self.moves_breaker()
    }
}

/// How the report of a claim was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// It is on disk.
    Recorded,
    /// The lease ended and another took over: nothing was written.
    ClaimLost,
}

/// The lengths of time that keep two owners from dialling the same delivery, derived from one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// How long a claim holds.
    pub length: Span,
    /// How long after its claim a delivery may still be dialled.
    pub send_within: Span,
}

impl Lease {
    /// A lease under which an attempt of at most `request_timeout` ends, and is recorded, before anybody else takes over.
    pub const fn for_timeout(request_timeout: Span) -> Self {
        let margin = Span::from_secs(5);
        let send_within = Span::from_secs(10);
        Self { length: request_timeout.plus(send_within).plus(margin), send_within }
    }
}
