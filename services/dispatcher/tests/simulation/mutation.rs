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
    /// While a probe is under way another one goes.
    SecondProbe,
    /// A probe whose owner died makes room for no other.
    DeadProbeKept,
    /// An open breaker holds nothing back.
    BreakerIgnored,
    /// A breaker that opens uses an attempt of what waits behind it.
    BreakerUsesAnAttempt,
    /// A breaker that opens uses a retry of what waits behind it.
    BreakerUsesARetry,
    /// A restart forgets which receivers fail.
    BreakersForgottenAtRestart,
    /// What waits for a webhook that is given up fails before the registry has answered.
    FailsBeforeTheAnswer,
    /// What waits for a webhook that the system disabled waits for ever.
    NobodySweeps,
    /// An operator's pause lets through what has started before.
    PauseLetsRetriesThrough,
    /// What was paused by an operator for long has expired when the account goes on.
    PauseExpires,
    /// A restart forgets an operator's pause.
    OperatorForgottenAtRestart,
    /// A grant is kept into the next period.
    GrantKept,
    /// A grant that is asked for again counts again.
    GrantCountedTwice,
}

impl Mutation {
    /// All of them.
    pub(crate) const ALL: [Self; 31] = [
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
        Self::SecondProbe,
        Self::DeadProbeKept,
        Self::BreakerIgnored,
        Self::BreakerUsesAnAttempt,
        Self::BreakerUsesARetry,
        Self::BreakersForgottenAtRestart,
        Self::FailsBeforeTheAnswer,
        Self::NobodySweeps,
        Self::PauseLetsRetriesThrough,
        Self::PauseExpires,
        Self::OperatorForgottenAtRestart,
        Self::GrantKept,
        Self::GrantCountedTwice,
    ];
}
