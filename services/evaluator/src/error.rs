//! Why the evaluator refuses a call: one enum, one table to the reason on the wire.

use std::collections::BTreeMap;

use sluice_domain::{AccountId, AutomationId, Reason, Span, Violations};
use thiserror::Error;

use crate::automation::{CompileError, Finding, Findings};
use crate::evaluate::MAX_RENDERED_BYTES;

/// A refusal as another service of ours gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub reason: Reason,
    /// For people.
    pub message: String,
    /// All that varies.
    pub metadata: BTreeMap<String, String>,
    /// Fields that break a rule.
    pub violations: Violations,
}

/// Why a call, or one item of a batch, is refused.
#[derive(Debug, Error)]
pub enum EvaluatorError {
    /// Fields break rules.
    #[error("the request breaks rules: {0}")]
    Invalid(Violations),
    /// Only a global admin may do this.
    #[error("only a global admin may write automations")]
    GlobalAdminRequired,
    /// The plan has no automations.
    #[error("a plan with automations is needed; the account holds {held}")]
    PlanRequired {
        /// The plan it has.
        held: String,
        /// The humblest plan that would do, if there is one.
        required: Option<String>,
    },
    /// The plan's number is used up or exceeded.
    #[error("at most {of} {limit} are allowed; there are {used}")]
    PlanLimit {
        /// What is limited: `active_automations`, `steps`, `delays`, or, whatever the plan, `automations`.
        limit: &'static str,
        /// How many there are.
        used: u64,
        /// How many are allowed.
        of: u32,
        /// The fields concerned, and whatever else is wrong.
        violations: Violations,
    },
    /// Billing has said nothing of the account.
    #[error("account {0} is unknown; entitlements have to be put first")]
    AccountUnknown(AccountId),
    /// The account has no such automation.
    #[error("there is no automation {1} of {0}")]
    NotFound(AccountId, AutomationId),
    /// Steps name webhooks that the account does not have.
    #[error("the account has no webhook {webhook}")]
    WebhookUnknown {
        /// The first of them.
        webhook: String,
        /// All of them by field, and whatever else is wrong.
        violations: Violations,
    },
    /// Steps name webhooks that are not for automations.
    #[error("{webhook} is an EVENT webhook; automations need one of kind AUTOMATION")]
    WebhookKindMismatch {
        /// The first of them.
        webhook: String,
        /// All of them by field.
        violations: Violations,
    },
    /// The automation changed since the etag was read.
    #[error("the automation changed since it was read; read it again")]
    EtagMismatch,
    /// The request id was used for another automation.
    #[error("this request_id was used for another automation")]
    RequestIdReused,
    /// The event's requests are too large together.
    #[error("the requests of this event come to more than {MAX_RENDERED_BYTES} bytes")]
    EventTooWide,
    /// The dispatcher refused.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// Something the call needs does not answer.
    #[error("{0} does not answer; try again")]
    Unavailable(&'static str),
    /// The database failed; the text is fit for anybody.
    #[error("{cause}")]
    Database {
        /// What it comes to: `UNAVAILABLE`, `STORAGE_FULL` or `INTERNAL`.
        reason: Reason,
        /// What it said; for logs.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored automation can't be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Another service of ours answered what it never should.
    #[error("{0}")]
    Internal(String),
}

impl EvaluatorError {
    /// The refusal of an automation with these findings.
    ///
    /// Broken rules of fields alone go first, then unknown webhooks, then the wrong kind, then the plan; the fields of all
    /// of them are listed whichever it is.
    pub fn of_findings(findings: Findings) -> Self {
        let mut violations = findings.violations;
        let only_fields = !violations.is_empty();
        let mut first: Option<Finding> = None;
        for (finding, field, words) in findings.found {
            violations.add(field, words);
            if first.as_ref().is_none_or(|known| rank(&finding) < rank(known)) {
                first = Some(finding);
            }
        }
        match first {
            _ if only_fields => Self::Invalid(violations),
            None => Self::Invalid(violations),
            Some(Finding::WebhookUnknown(webhook)) => Self::WebhookUnknown { webhook, violations },
            Some(Finding::WebhookKind(webhook)) => {
                Self::WebhookKindMismatch { webhook: webhook.to_string(), violations }
            }
            Some(Finding::PlanLimit { limit, used, of }) => {
                Self::PlanLimit { limit, used: used as u64, of, violations }
            }
        }
    }

    /// The reason on the wire.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Invalid(_) => Reason::InvalidArgument,
            Self::GlobalAdminRequired => Reason::GlobalAdminRequired,
            Self::PlanRequired { .. } => Reason::PlanRequired,
            Self::PlanLimit { .. } => Reason::PlanLimitExceeded,
            Self::AccountUnknown(_) => Reason::AccountUnknown,
            Self::NotFound(..) => Reason::NotFound,
            Self::WebhookUnknown { .. } => Reason::WebhookUnknown,
            Self::WebhookKindMismatch { .. } => Reason::WebhookKindMismatch,
            Self::EtagMismatch => Reason::EtagMismatch,
            Self::RequestIdReused => Reason::RequestIdReused,
            Self::EventTooWide => Reason::EventTooWide,
            Self::Refused(refusal) => refusal.reason,
            Self::Database { reason, .. } => *reason,
            Self::Unavailable(_) => Reason::Unavailable,
            Self::Compile(_) | Self::Internal(_) => Reason::Internal,
        }
    }

    /// All that varies, as `ErrorInfo` carries it.
    pub fn metadata(&self) -> Vec<(String, String)> {
        let pairs: Vec<(&str, String)> = match self {
            Self::PlanRequired { held, required } => {
                let required = required.clone().map(|plan| ("plan_required", plan));
                std::iter::once(("plan_held", held.clone())).chain(required).collect()
            }
            Self::PlanLimit { limit, used, of, .. } => {
                vec![("limit", (*limit).to_owned()), ("used", used.to_string()), ("of", of.to_string())]
            }
            Self::AccountUnknown(account) => vec![("account", account.to_string())],
            Self::WebhookUnknown { webhook, .. } => vec![("webhook", webhook.clone())],
            Self::WebhookKindMismatch { webhook, .. } => vec![
                ("webhook", webhook.clone()),
                ("kind", "EVENT".to_owned()),
                ("kind_needed", "AUTOMATION".to_owned()),
            ],
            Self::Refused(refusal) => {
                return refusal.metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
            }
            _ => Vec::new(),
        };
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// When to try again, for refusals that pass by themselves.
    pub fn retry_after(&self) -> Option<Span> {
        match self.reason() {
            Reason::Unavailable | Reason::Overloaded | Reason::StorageFull | Reason::BacklogFull => {
                Some(Span::from_secs(1))
            }
            _ => None,
        }
    }

    /// The fields that break rules.
    pub fn violations(&self) -> Option<&Violations> {
        match self {
            Self::Invalid(violations)
            | Self::PlanLimit { violations, .. }
            | Self::WebhookUnknown { violations, .. }
            | Self::WebhookKindMismatch { violations, .. } => Some(violations),
            Self::Refused(refusal) => Some(&refusal.violations),
            _ => None,
        }
    }
}

const fn rank(finding: &Finding) -> u8 {
    match finding {
        Finding::WebhookUnknown(_) => 0,
        Finding::WebhookKind(_) => 1,
        Finding::PlanLimit { .. } => 2,
    }
}
