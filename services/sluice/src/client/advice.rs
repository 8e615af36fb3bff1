//! What to do next about a refusal: one row a reason.

use std::path::PathBuf;

use sluice_domain::Reason;
use sluice_rpc::Refusal;

use super::Part;
use super::printable::line;

/// In which situation a call was refused: what the advice is about beside the refusal itself.
#[derive(Debug, Clone)]
pub struct Situation {
    /// The server that was called.
    pub server: String,
    /// The account that was acted for.
    pub account: Option<String>,
    /// The part that the command plays.
    pub part: Part,
    /// The data directory that the token was minted from; `None` when a token was given.
    pub minted_from: Option<PathBuf>,
}

/// What to do when an answer came that no server of ours gives.
pub const FOREIGN: &str =
    "see that the address is the public one of a Sluice server, and what stands between it and here";

/// For each reason what to do next. In braces: keys of the refusal's metadata, or of the situation: `account`, `grant` (the flags that
/// mint a token for this command), `token` (how to come by a good one).
const ROWS: &[(Reason, &str)] = &[
    (Reason::InvalidArgument, "mend what is named above and run the command again"),
    (Reason::Unauthenticated, "{token}"),
    (
        Reason::PermissionDenied,
        "the token must be for account {account} and open this: sluice token --account {account} --user NAME {grant}",
    ),
    (
        Reason::GlobalAdminRequired,
        "call as an admin: sluice token --account {account} --user NAME --role global_admin",
    ),
    (
        Reason::PlanRequired,
        "put the account on that plan: sluice account put {account} --plan {plan_required}",
    ),
    (
        Reason::PlanLimitExceeded,
        "{used} of {of} ({limit}) are used: delete or deactivate what is not needed, or have the limit raised (`sluice account put {account} --plan …`)",
    ),
    (
        Reason::AccountUnknown,
        "put it on a plan first, as billing does: sluice account put {account} --plan advanced",
    ),
    (Reason::NotFound, "see what there is: sluice {resource_type} list --account {account}"),
    (
        Reason::NameTaken,
        "choose another name, or change the one there is: sluice webhook update '{display_name}' …",
    ),
    (
        Reason::WebhookKindMismatch,
        "name a webhook of kind {kind_needed}; a kind can't be changed, so create one: sluice webhook create … --kind {kind_needed}",
    ),
    (Reason::WebhookUnknown, "name one of these: sluice webhook list --account {account}"),
    (
        Reason::TargetForbidden,
        "`sluice url check` tells what is wrong with a URL; `sluice up --dev` lets webhooks go to this machine and over http, \
         the setting `egress.allow` opens a network",
    ),
    (
        Reason::EtagMismatch,
        "somebody changed it meanwhile: read it again (get --json) and repeat the change on what it is now",
    ),
    (Reason::RequestIdReused, "give another --request-id, or none"),
    (
        Reason::EventIdReused,
        "another event was accepted under this id: give this one an --id of its own, or none, and one is made",
    ),
    (
        Reason::EventTooWide,
        "the requests of all automations that it sets off are too large together: shorten their bodies, or deactivate some",
    ),
    (
        Reason::BacklogFull,
        "{waiting} of {max_waiting} wait already: see why (sluice execution list --state paused), and send the event again under the same id",
    ),
    (
        Reason::VersionOutdated,
        "version {version} is in force: give a higher --version, or none, and the next one is taken",
    ),
    (Reason::VersionReused, "give a higher --version, or none, and the next one is taken"),
    (
        Reason::ExecutionState,
        "it is {state}: what has not ended can be cancelled, what FAILED or was CANCELLED can be retried",
    ),
    (Reason::CursorTooOld, "start afresh, without a cursor"),
    (
        Reason::Overloaded,
        "the server has much to do: run the command again in a while; an event under the same --id",
    ),
    (
        Reason::StorageFull,
        "make room where the server keeps its databases, then run the command again; an event under the same --id",
    ),
    (
        Reason::Unavailable,
        "something the server needs does not answer, its log says what: run the command again in a while; an event under the same --id",
    ),
    (
        Reason::DeadlineExceeded,
        "whether it took effect is not known: look with get or list, then run the command again; an event under the same --id",
    ),
    (
        Reason::Internal,
        "the server's log has the cause; whether it took effect is not known: look with get or list before you repeat it",
    ),
    (
        Reason::CredentialsUnreadable,
        "put the server's master key back, or give the credentials again: sluice webhook update … --credentials FILE",
    ),
    (
        Reason::MethodUnknown,
        "the server is of another version than this program: use the one that came with it (sluice --version)",
    ),
];

/// What to do next.
pub fn after(refusal: &Refusal, situation: &Situation) -> String {
    let row = ROWS.iter().find(|(reason, _)| refusal.is(*reason));
    let Some((_, text)) = row else {
        return "this program does not know the reason: use the version that came with the server".to_owned();
    };
    let mut told = String::new();
    let mut rest = *text;
    while let Some((before, (key, after))) =
        rest.split_once('{').and_then(|(before, inner)| Some((before, inner.split_once('}')?)))
    {
        told.push_str(before);
        told.push_str(&line(&value(key, refusal, situation)));
        rest = after;
    }
    told + rest
}

/// What to do when nobody answers, or nobody that is believed; `cause` is why.
pub fn unreachable(cause: &str, situation: &Situation) -> String {
    if cause.contains("certificate") {
        return "name a file with the certificates of the server's authority with --ca-file (or SLUICE_CA_FILE), and the server as its \
                certificate does"
            .to_owned();
    }
    format!(
        "is `sluice up` running there? Start it, or name the address it listens on with --server (or SLUICE_SERVER); it was called at {}",
        situation.server
    )
}

fn value(key: &str, refusal: &Refusal, situation: &Situation) -> String {
    let account = situation.account.as_deref().unwrap_or("ACCOUNT");
    match key {
        "account" => account.to_owned(),
        "grant" => situation.part.grant(),
        "token" => match &situation.minted_from {
            Some(data) => format!(
                "the server takes no tokens of the data directory {}: name its own with --data DIR, or give a token with --token-file FILE",
                data.display()
            ),
            None => format!(
                "mint a token from the server's data directory, and give it with --token-file FILE or in SLUICE_TOKEN: \
                 sluice token --account {account} --user NAME {} --data DIR",
                situation.part.grant()
            ),
        },
        // Kinds are flags' words in lower case.
        "kind_needed" => known(key, refusal).to_ascii_lowercase(),
        key => known(key, refusal),
    }
}

fn known(key: &str, refusal: &Refusal) -> String {
    refusal.metadata.get(key).filter(|value| !value.is_empty()).cloned().unwrap_or_else(|| "…".to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use sluice_domain::Violations;
    use tonic::Code;

    use super::*;

    fn refusal(reason: &str, metadata: &[(&str, &str)]) -> Refusal {
        Refusal {
            code: Code::FailedPrecondition,
            reason: reason.to_owned(),
            metadata: metadata
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>(),
            violations: Violations::new(),
            retry_after: None,
        }
    }

    fn situation(part: Part) -> Situation {
        Situation {
            server: "http://127.0.0.1:7090".to_owned(),
            account: Some("acme".to_owned()),
            part,
            minted_from: None,
        }
    }

    #[test]
    fn every_reason_of_the_contract_has_one_row() {
        let rows: Vec<_> = ROWS.iter().map(|(reason, _)| reason.as_str()).collect();
        let once: BTreeSet<_> = rows.iter().copied().collect();
        let all: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!((rows.len(), once), (all.len(), all));
    }

    #[test]
    fn advice_holds_what_the_refusal_and_the_situation_say() {
        for (reason, metadata, part, words) in [
            (
                "PLAN_REQUIRED",
                &[("plan_required", "advanced")][..],
                Part::Admin,
                "sluice account put acme --plan advanced",
            ),
            ("ACCOUNT_UNKNOWN", &[("account", "acme")], Part::Admin, "sluice account put acme"),
            ("PERMISSION_DENIED", &[("method", "/x")], Part::Product, "--scope events.write"),
            (
                "UNAUTHENTICATED",
                &[],
                Part::Billing,
                "sluice token --account acme --user NAME --scope entitlements.write",
            ),
            ("NOT_FOUND", &[("resource_type", "webhook")], Part::Admin, "sluice webhook list --account acme"),
            ("WEBHOOK_KIND_MISMATCH", &[("kind_needed", "AUTOMATION")], Part::Admin, "--kind automation"),
            ("TARGET_FORBIDDEN", &[], Part::Admin, "--dev"),
            ("VERSION_OUTDATED", &[("version", "7")], Part::Billing, "version 7 is in force"),
            ("EVENT_ID_REUSED", &[], Part::Product, "--id"),
            ("NEWER_THAN_WE", &[], Part::Admin, "version"),
        ] {
            let told = after(&refusal(reason, metadata), &situation(part));
            assert!(told.contains(words) && !told.contains('{'), "{reason}: {told}");
        }
    }

    #[test]
    fn a_minted_token_that_is_not_taken_leads_to_the_data_directory() {
        let mut minted = situation(Part::Admin);
        minted.minted_from = Some("./sluice-data".into());
        let told = after(&refusal("UNAUTHENTICATED", &[]), &minted);
        assert!(told.contains("./sluice-data") && told.contains("--data"), "{told}");
    }
}
