//! The stable names of refusals, one for each value of `sluice.errors.v1.ErrorReason`.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// Why a call was refused: what a client may branch on, the `reason` of `google.rpc.ErrorInfo`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)+ }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name on the wire, such as `PLAN_REQUIRED`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

reasons! {
    /// A field breaks a rule; `BadRequest` lists all that do.
    InvalidArgument = "INVALID_ARGUMENT",
    /// No token, or one that does not verify.
    Unauthenticated = "UNAUTHENTICATED",
    /// The token's roles and scopes do not open this call.
    PermissionDenied = "PERMISSION_DENIED",
    /// Only a global admin may do this.
    GlobalAdminRequired = "GLOBAL_ADMIN_REQUIRED",
    /// The account's plan does not have the feature.
    PlanRequired = "PLAN_REQUIRED",
    /// The plan's number for this thing is used up.
    PlanLimitExceeded = "PLAN_LIMIT_EXCEEDED",
    /// Billing has not told us of the account.
    AccountUnknown = "ACCOUNT_UNKNOWN",
    /// There is no such resource in the account.
    NotFound = "NOT_FOUND",
    /// Another webhook of the account has this name.
    NameTaken = "NAME_TAKEN",
    /// The webhook is of the other kind.
    WebhookKindMismatch = "WEBHOOK_KIND_MISMATCH",
    /// The automation names a webhook that the account does not have.
    WebhookUnknown = "WEBHOOK_UNKNOWN",
    /// The endpoint is not one Sluice may send to.
    TargetForbidden = "TARGET_FORBIDDEN",
    /// The resource changed since the etag was read.
    EtagMismatch = "ETAG_MISMATCH",
    /// The request id was used for another request.
    RequestIdReused = "REQUEST_ID_REUSED",
    /// The event id was used for another event.
    EventIdReused = "EVENT_ID_REUSED",
    /// The event's rendered requests are too large together.
    EventTooWide = "EVENT_TOO_WIDE",
    /// The account has as much waiting as its plan allows.
    BacklogFull = "BACKLOG_FULL",
    /// A newer version of the entitlements is in force.
    VersionOutdated = "VERSION_OUTDATED",
    /// This version of the entitlements was used for other content.
    VersionReused = "VERSION_REUSED",
    /// The execution is not in a state that allows the call.
    ExecutionState = "EXECUTION_STATE",
    /// The cursor is older than what is kept; start afresh.
    CursorTooOld = "CURSOR_TOO_OLD",
    /// The server has as much under way as it takes; try again.
    Overloaded = "OVERLOADED",
    /// Storage has no room for more.
    StorageFull = "STORAGE_FULL",
    /// Something this call needs does not answer; try again.
    Unavailable = "UNAVAILABLE",
    /// The deadline passed.
    DeadlineExceeded = "DEADLINE_EXCEEDED",
    /// A fault of ours.
    Internal = "INTERNAL",
    /// The webhook's sealed secrets do not open.
    CredentialsUnreadable = "CREDENTIALS_UNREADABLE",
    /// The server has no such RPC.
    MethodUnknown = "METHOD_UNKNOWN",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
