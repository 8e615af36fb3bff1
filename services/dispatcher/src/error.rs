//! Why a call to the dispatcher is refused.

use sluice_domain::{AccountId, ExecutionId, Violations};
use sluice_storage::StorageError;
use thiserror::Error;

/// One refusal; `grpc/refusal.rs` says which code and reason each has on the wire.
#[derive(Debug, Error)]
pub enum Error {
    /// Fields break rules.
    #[error("the request breaks rules: {0}")]
    Invalid(Violations),
    /// The account has no such execution.
    #[error("no such execution")]
    ExecutionNotFound(AccountId, ExecutionId),
    /// The registry has not told us of the account.
    #[error(
        "the account is not known here: billing has not put its entitlements, or they have not arrived yet"
    )]
    AccountUnknown(AccountId),
    /// The grant's request id was used for another grant.
    #[error("the request_id was used for another grant")]
    RequestIdReused,
    /// The execution's state does not allow the call.
    #[error("{message}")]
    State {
        /// The state it is in, as the contract spells it.
        state: &'static str,
        /// What would have to be.
        message: &'static str,
    },
    /// The event's id was used for another event.
    #[error("the event id was used for another event")]
    EventIdReused,
    /// As much waits as the plan allows.
    #[error(
        "{waiting} executions wait, and {max_waiting} may: nothing of the event was accepted; send it again under the same id when there is room"
    )]
    BacklogFull {
        /// How much waits.
        waiting: i64,
        /// How much may.
        max_waiting: i64,
    },
    /// A watch's cursor is none of what is kept, or the watcher fell behind it.
    #[error("the cursor is too old: begin anew, and read the history for what was missed")]
    CursorTooOld,
    /// The account has as many watches as it may.
    #[error("the account has as many watches as it may")]
    TooManyWatches(AccountId),
    /// The process is going away.
    #[error("the dispatcher is shutting down")]
    Closing,
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
