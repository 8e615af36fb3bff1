//! Bugs that can be planted in the world, to show that the checks find them.

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// A report is taken without its token.
    FinishWithoutToken,
    /// A gate that closes uses an attempt of what waits behind it.
    PauseUsesAnAttempt,
    /// A restart forgets what is used of the quota.
    QuotaRefilledAtRestart,
    /// What is to be retried is claimed before it is due.
    RetryBeforeDue,
    /// What is claimed again is charged again.
    ChargedAgain,
    /// A claim that was handed back undialled keeps its number.
    GapInNumbers,
    /// Reports, rescues and acceptance do not look at stop markers.
    StopMarkerIgnored,
    /// An attempt that was cut off uses a retry.
    InterruptedUsesARetry,
    /// A claim takes one more than there is room for.
    BeyondRoom,
    /// A rescue does not wait for the end of the lease.
    RescueBeforeLeaseEnd,
    /// An acceptance is answered before it is on disk.
    AnsweredBeforeTheCommit,
    /// A repeated event makes its executions again.
    ReceiptForgotten,
    /// The newest starts first.
    NewestFirst,
    /// A closed gate holds nothing back.
    GateIgnored,
    /// Nobody wakes the account when a retry is due.
    NobodyWakes,
    /// A request to cancel is forgotten when the attempt ends.
    CancelForgotten,
    /// Nobody waits for those about the same record.
    LineIgnored,
    /// Who comes next in a line is not called when the one before is cancelled or stopped.
    NobodyCalls,
}

impl Mutation {
    /// All of them.
    pub(crate) const ALL: [Self; 18] = [
        Self::FinishWithoutToken,
        Self::PauseUsesAnAttempt,
        Self::QuotaRefilledAtRestart,
        Self::RetryBeforeDue,
        Self::ChargedAgain,
        Self::GapInNumbers,
        Self::StopMarkerIgnored,
        Self::InterruptedUsesARetry,
        Self::BeyondRoom,
        Self::RescueBeforeLeaseEnd,
        Self::AnsweredBeforeTheCommit,
        Self::ReceiptForgotten,
        Self::NewestFirst,
        Self::GateIgnored,
        Self::NobodyWakes,
        Self::CancelForgotten,
        Self::LineIgnored,
        Self::NobodyCalls,
    ];
}
