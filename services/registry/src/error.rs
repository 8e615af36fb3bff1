//! Why the registry refuses a call: one enum, and the one table from it to the stable reason and its metadata.

use std::error::Error as StdError;

use sluice_domain::{AccountId, Reason, Violation, Violations};
use thiserror::Error;

use crate::access::Denied;
use crate::endpoint::ForbiddenTarget;
use crate::limits::Reached;
use crate::seal::{OpenError, SealError};

/// What lies beneath a failure of ours; for logs, never for clients.
pub type Source = Box<dyn StdError + Send + Sync>;

/// A refused or failed call. Its text is fit for the caller; sources are for logs.
#[derive(Debug, Error)]
pub enum Error {
    /// Fields break rules: all that do.
    #[error("the request breaks rules: {0}")]
    Invalid(Violations),
    /// The endpoint alone is at fault.
    #[error("webhook.endpoint_url: {0}")]
    TargetForbidden(ForbiddenTarget),
    /// There is no such thing, or the caller may not know of it.
    #[error("there is no {resource} {name}")]
    NotFound {
        /// The kind of thing.
        resource: &'static str,
        /// Its resource name, as it was asked for.
        name: String,
    },
    /// Billing has not told us of the account.
    #[error("account {0} is not known: its entitlements have not been put")]
    AccountUnknown(AccountId),
    /// Only a global admin may do this.
    #[error("only a global admin may create, change or delete AUTOMATION webhooks")]
    GlobalAdminRequired,
    /// The caller is no user of the account.
    #[error("only a user of the account may write webhooks")]
    NotAUser,
    /// The plan lacks automations.
    #[error("AUTOMATION webhooks need the plan {required} or a higher one; the account is on {held}")]
    PlanRequired {
        /// The humblest plan that has them.
        required: String,
        /// The plan held.
        held: String,
    },
    /// The account, or the member, has as many webhooks as it may.
    #[error("{} of {} {} are used", .0.used, .0.of, .0.limit)]
    LimitReached(Reached),
    /// The display name is taken.
    #[error("another webhook of the account is called {0:?}")]
    NameTaken(String),
    /// The webhook changed since the etag was read.
    #[error("the webhook changed since the etag was read; read it again")]
    EtagMismatch,
    /// The request id was used for something else.
    #[error("the request_id was used for another request")]
    RequestIdReused,
    /// A newer version of the entitlements is in force.
    #[error("version {held} of the entitlements is in force already")]
    VersionOutdated {
        /// That version.
        held: i64,
    },
    /// The version was put with other content.
    #[error("this version of the entitlements was put with other content")]
    VersionReused,
    /// The cursor is none to go on from.
    #[error("the cursor is not among the changes that are kept; start afresh from 0")]
    CursorTooOld,
    /// Another transaction was in the way; the whole call can be tried again.
    #[error("the database is busy")]
    Contended(#[source] Source),
    /// The database does not answer.
    #[error("the database is unavailable")]
    Unavailable(#[source] Source),
    /// The database has no room.
    #[error("the database is out of space")]
    StorageFull(#[source] Source),
    /// What a webhook's requests are proved and signed with does not open: somebody has to bring the key back, or set them anew.
    #[error("the webhook's secrets can't be opened")]
    CredentialsUnreadable(#[source] Source),
    /// A fault of ours.
    #[error("an internal fault")]
    Internal(#[source] Source),
}

impl Error {
    /// The stable name a client may branch on; the gRPC code follows from it.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Invalid(_) => Reason::InvalidArgument,
            Self::TargetForbidden(_) => Reason::TargetForbidden,
            Self::NotFound { .. } => Reason::NotFound,
            Self::AccountUnknown(_) => Reason::AccountUnknown,
            Self::GlobalAdminRequired => Reason::GlobalAdminRequired,
            Self::NotAUser => Reason::PermissionDenied,
            Self::PlanRequired { .. } => Reason::PlanRequired,
            Self::LimitReached(_) => Reason::PlanLimitExceeded,
            Self::NameTaken(_) => Reason::NameTaken,
            Self::EtagMismatch => Reason::EtagMismatch,
            Self::RequestIdReused => Reason::RequestIdReused,
            Self::VersionOutdated { .. } => Reason::VersionOutdated,
            Self::VersionReused => Reason::VersionReused,
            Self::CursorTooOld => Reason::CursorTooOld,
            Self::Contended(_) | Self::Unavailable(_) => Reason::Unavailable,
            Self::StorageFull(_) => Reason::StorageFull,
            Self::CredentialsUnreadable(_) => Reason::CredentialsUnreadable,
            Self::Internal(_) => Reason::Internal,
        }
    }

    /// All that varies, by the keys the contract names.
    pub fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::NotFound { resource, name } => {
                vec![("resource_type", (*resource).to_owned()), ("resource_name", name.clone())]
            }
            Self::AccountUnknown(account) => vec![("account", account.to_string())],
            Self::PlanRequired { required, held } => {
                vec![("plan_required", required.clone()), ("plan_held", held.clone())]
            }
            Self::LimitReached(Reached { limit, used, of }) => {
                vec![("limit", (*limit).to_owned()), ("used", used.to_string()), ("of", of.to_string())]
            }
            Self::NameTaken(display_name) => vec![("display_name", display_name.clone())],
            Self::VersionOutdated { held } => vec![("version", held.to_string())],
            _ => Vec::new(),
        }
    }

    /// The one field at fault and the rule it breaks, for a refusal that has a reason of its own.
    pub fn violation(&self) -> Option<Violation> {
        let (field, description) = match self {
            Self::TargetForbidden(forbidden) => ("webhook.endpoint_url", forbidden.to_string()),
            Self::NameTaken(_) => {
                ("webhook.display_name", "must not be the name of another webhook of the account".to_owned())
            }
            Self::RequestIdReused => ("request_id", "must not be used for two different requests".to_owned()),
            Self::VersionOutdated { held } => ("version", format!("must be above {held}, which is in force")),
            Self::VersionReused => ("version", "must be a new one for other content".to_owned()),
            _ => return None,
        };
        Some(Violation { field: field.to_owned(), description })
    }

    /// A webhook that the caller can't see or that isn't there: one answer for both.
    pub fn no_webhook(name: impl Into<String>) -> Self {
        Self::NotFound { resource: "webhook", name: name.into() }
    }

    /// A refusal by the access rules; `name` is the webhook asked for, `required` the humblest plan with automations.
    pub fn denied(denied: Denied, name: &str, required: Option<&str>) -> Self {
        match denied {
            Denied::Unseen => Self::no_webhook(name),
            Denied::NotAdmin => Self::GlobalAdminRequired,
            Denied::NotAUser => Self::NotAUser,
            Denied::Plan { held } => {
                Self::PlanRequired { required: required.unwrap_or("none").to_owned(), held }
            }
        }
    }
}

impl From<Violations> for Error {
    fn from(violations: Violations) -> Self {
        Self::Invalid(violations)
    }
}

impl From<SealError> for Error {
    fn from(error: SealError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        Self::CredentialsUnreadable(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_refusal_names_the_plan_needed_and_the_plan_held() {
        let error = Error::denied(
            Denied::Plan { held: "essential".into() },
            "accounts/a/webhooks/w",
            Some("advanced"),
        );
        assert_eq!(error.reason(), Reason::PlanRequired);
        assert_eq!(
            error.metadata(),
            [("plan_required", "advanced".to_owned()), ("plan_held", "essential".to_owned())]
        );
    }

    #[test]
    fn what_may_not_be_seen_is_refused_like_what_is_not_there() {
        let unseen = Error::denied(Denied::Unseen, "accounts/a/webhooks/w", None);
        let absent = Error::no_webhook("accounts/a/webhooks/w");
        assert_eq!(unseen.to_string(), absent.to_string());
        assert_eq!((unseen.reason(), unseen.metadata()), (absent.reason(), absent.metadata()));
    }

    #[test]
    fn the_text_shows_nothing_of_the_source() {
        let error = Error::Internal("s3cret".into());
        assert!(!error.to_string().contains("s3cret"));
    }
}
