//! What a call came to, as a client reads it.

use proto::evaluator::v1::{IngestEventResponse, IngestOutcome};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The one execution that an event set off.
pub(crate) fn the_execution(answer: &IngestEventResponse) -> String {
    assert_ne!(answer.outcome(), IngestOutcome::NoMatch);
    let [execution] = &answer.executions[..] else { panic!("one execution: {answer:?}") };
    execution.clone()
}

/// The reason in the refusal's `ErrorInfo`; empty without one.
pub(crate) fn reason(refused: &Status) -> String {
    refused.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// Checks that a call was refused because something is away, and that the refusal says when to come back.
pub(crate) fn assert_unavailable<T: std::fmt::Debug>(answer: Result<T, Status>) {
    let refused = answer.expect_err("the call should be refused");
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::Unavailable, "UNAVAILABLE"),
        "{refused:?}"
    );
    let delay = refused.get_details_retry_info().and_then(|retry| retry.retry_delay);
    assert!(delay.is_some_and(|delay| !delay.is_zero()), "{refused:?}");
}
