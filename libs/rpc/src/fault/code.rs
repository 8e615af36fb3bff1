//! The gRPC code of each reason, after AIP-193: the one table in the house.

use sluice_domain::Reason;
use tonic::Code;

/// The code that goes with a reason, as `sluice/errors/v1/reason.proto` says it.
pub const fn code_of(reason: Reason) -> Code {
    match reason {
        Reason::InvalidArgument | Reason::TargetForbidden | Reason::EventTooWide => Code::InvalidArgument,
        Reason::Unauthenticated => Code::Unauthenticated,
        Reason::PermissionDenied | Reason::GlobalAdminRequired => Code::PermissionDenied,
        Reason::PlanRequired
        | Reason::PlanLimitExceeded
        | Reason::AccountUnknown
        | Reason::WebhookKindMismatch
        | Reason::WebhookUnknown
        | Reason::ExecutionState
        | Reason::CredentialsUnreadable => Code::FailedPrecondition,
        Reason::NotFound => Code::NotFound,
        Reason::NameTaken | Reason::RequestIdReused | Reason::EventIdReused | Reason::VersionReused => {
            Code::AlreadyExists
        }
        Reason::EtagMismatch | Reason::VersionOutdated => Code::Aborted,
        Reason::CursorTooOld => Code::OutOfRange,
        Reason::BacklogFull | Reason::Overloaded | Reason::StorageFull => Code::ResourceExhausted,
        Reason::Unavailable => Code::Unavailable,
        Reason::DeadlineExceeded => Code::DeadlineExceeded,
        Reason::Internal => Code::Internal,
        Reason::MethodUnknown => Code::Unimplemented,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contract's text; the code is the last word of the comment above each value.
    const CONTRACT: &str = include_str!("../../../../proto/sluice/errors/v1/reason.proto");

    #[test]
    fn every_reason_has_the_code_that_the_contract_names() {
        let mut comment = "";
        let mut told = Vec::new();
        for line in CONTRACT.lines().map(str::trim) {
            if let Some(value) = line.strip_prefix("ERROR_REASON_").and_then(|rest| rest.split(" = ").next())
            {
                told.push((value, comment.trim_end_matches('.').rsplit(' ').next().unwrap()));
            }
            comment = line;
        }
        assert_eq!(told.remove(0).0, "UNSPECIFIED");
        let name = |code: Code| {
            let spelled = format!("{code:?}");
            let broken = spelled.char_indices().map(|(at, letter)| {
                let gap = if at > 0 && letter.is_ascii_uppercase() { "_" } else { "" };
                format!("{gap}{}", letter.to_ascii_uppercase())
            });
            broken.collect::<String>()
        };
        let ours: Vec<(&str, String)> =
            Reason::ALL.iter().map(|reason| (reason.as_str(), name(code_of(*reason)))).collect();
        let told: Vec<(&str, String)> =
            told.into_iter().map(|(value, code)| (value, code.to_owned())).collect();
        assert_eq!(ours, told);
    }
}
