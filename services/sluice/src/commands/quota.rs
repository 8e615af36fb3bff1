//! `sluice quota`: what an account may start now, and what billing and operators do about it.

use proto::dispatcher::v1::{
    AllowanceQuota, ClosedGate, GetQuotaRequest, GrantExecutionsRequest, PauseAccountRequest, PauseReason,
    Quota, RateQuota, ResumeAccountRequest, closed_gate,
};
use sluice_domain::{AccountId, Id, Kind};
use sluice_rpc::QuotaName;
use sluice_runtime::{Clock, Entropy};

use crate::cli::{self, Noun};
use crate::client::sheet::{self, Sheet, id_of, word};
use crate::client::{Connection, Part};

const QUOTA: &str = "sluice.dispatcher.v1.Quota";

/// Runs one command.
///
/// # Errors
/// Why it could not be done, and what to do next.
pub async fn run(Noun { client, verb }: Noun<cli::Quota>) -> anyhow::Result<()> {
    let (named, part) = match &verb {
        cli::Quota::Show { name } => (name.as_ref(), Part::Admin),
        cli::Quota::Grant(wish) => (wish.name.as_ref(), Part::Billing),
        cli::Quota::Pause(wish) => (wish.name.as_ref(), Part::Billing),
        cli::Quota::Resume { name } => (name.as_ref(), Part::Billing),
    };
    let connection = open(client, named, part)?;
    let account = connection.account()?;
    let mut quotas = connection.quotas();
    let name = QuotaName(account.0.clone()).to_string();
    let quota = match verb {
        cli::Quota::Show { .. } => connection.answer(quotas.get_quota(GetQuotaRequest { name }).await)?.quota,
        cli::Quota::Grant(wish) => {
            let request_id = wish.request_id.unwrap_or_else(mint);
            let request = GrantExecutionsRequest { name, units: wish.units, request_id };
            connection.answer(quotas.grant_executions(request).await)?.quota
        }
        cli::Quota::Pause(wish) => {
            let request = PauseAccountRequest { name: account.to_string(), note: wish.note };
            connection.answer(quotas.pause_account(request).await)?.quota
        }
        cli::Quota::Resume { .. } => {
            let request = ResumeAccountRequest { name: account.to_string() };
            connection.answer(quotas.resume_account(request).await)?.quota
        }
    };
    connection.show(QUOTA, &quota.unwrap_or_default(), text)
}

fn open(mut client: cli::Client, name: Option<&AccountId>, part: Part) -> anyhow::Result<Connection> {
    client.account = name.cloned().or(client.account);
    Connection::open(&client, part, None)
}

/// An id for a grant of which nobody said one.
fn mint() -> String {
    enum GrantKind {}
    impl Kind for GrantKind {
        const PREFIX: &'static str = "grant";
        const NOUN: &'static str = "grant";
    }
    Id::<GrantKind>::mint(Clock::system().now(), Entropy::system().bytes()).to_string()
}

fn text(quota: &Quota) -> String {
    let mut sheet = Sheet::default();
    let account = quota.name.strip_prefix("accounts/").and_then(|rest| rest.strip_suffix("/quota"));
    sheet.field("account", account.unwrap_or_default());
    sheet.field("may start", format!("{} executions now", quota.startable_executions));
    if quota.automations {
        sheet
            .field("  rate", quota.executions.as_ref().map(rate).unwrap_or_default())
            .field("  allowance", quota.allowance.as_ref().map(allowance).unwrap_or_default());
    }
    sheet
        .field("notifications", quota.notifications.as_ref().map(rate).unwrap_or_default())
        .field("waiting", format!("{} of at most {}", quota.waiting, quota.max_waiting));
    for gate in &quota.closed_gates {
        sheet.field("paused", closed(gate));
    }
    sheet.field("note", &quota.pause_note);
    sheet.text().to_owned()
}

fn rate(rate: &RateQuota) -> String {
    let per = sheet::length(rate.per.as_ref());
    format!("{} in {per}, at most {} at once; {} free", rate.units, rate.burst, rate.free)
}

fn allowance(allowance: &AllowanceQuota) -> String {
    let until = sheet::instant(allowance.end_time.as_ref());
    let used = allowance.used;
    match allowance.amount {
        Some(amount) => format!("{used} used of {amount} and {} granted, until {until}", allowance.granted),
        None => format!("no limit; {used} used"),
    }
}

fn closed(gate: &ClosedGate) -> String {
    let before = match &gate.before {
        Some(closed_gate::Before::Account(_)) => "everything of the account".to_owned(),
        Some(closed_gate::Before::Automations(_)) => "executions of automations".to_owned(),
        Some(closed_gate::Before::Notifications(_)) => "notifications".to_owned(),
        Some(closed_gate::Before::Webhook(name)) => format!("requests to {}", id_of(name)),
        None => "something".to_owned(),
    };
    let pause = gate.pause.unwrap_or_default();
    let reason = PauseReason::try_from(pause.reason).unwrap_or_default();
    let when = |word: &str, at| match sheet::instant(at) {
        at if at.is_empty() => at,
        at => format!(" {word} {at}"),
    };
    let since = when("since", gate.start_time.as_ref());
    let until = when("until", pause.expected_end_time.as_ref());
    format!("{before}, {}{since}{until}", word(reason.as_str_name(), "PAUSE_REASON_"))
}

#[cfg(test)]
mod tests {
    use prost_types::{Duration, Timestamp};
    use proto::dispatcher::v1::Pause;

    use super::*;

    #[test]
    fn what_may_start_and_what_holds_the_rest_back_is_told_line_by_line() {
        let second = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let per = Some(Duration { seconds: 60, nanos: 0 });
        let operator = Pause { reason: PauseReason::Operator.into(), expected_end_time: None };
        let quota = Quota {
            name: "accounts/acme/quota".into(),
            automations: true,
            executions: Some(RateQuota { units: 100, per, burst: 100, free: 7, next_free_time: second(0) }),
            allowance: Some(AllowanceQuota {
                amount: Some(500),
                granted: 20,
                used: 510,
                left: Some(10),
                start_time: second(0),
                end_time: second(60),
            }),
            waiting: 12,
            max_waiting: 1_000,
            closed_gates: vec![ClosedGate {
                before: Some(closed_gate::Before::Account(true)),
                pause: Some(operator),
                start_time: second(1),
            }],
            pause_note: "moved\u{1b}[2J".into(),
            ..Quota::default()
        };
        let shown = text(&quota);
        for line in [
            "account       acme\n",
            "may start     0 executions now\n",
            "  rate        100 in 1m, at most 100 at once; 7 free\n",
            "  allowance   510 used of 500 and 20 granted, until 1970-01-01T00:01:00Z\n",
            "waiting       12 of at most 1000\n",
            "paused        everything of the account, OPERATOR since 1970-01-01T00:00:01Z\n",
        ] {
            assert!(shown.contains(line), "{line} in {shown}");
        }
        assert!(shown.contains("note") && !shown.contains('\u{1b}'));
    }

    #[test]
    fn a_grant_without_an_id_gets_one_of_its_own() {
        assert!(mint() != mint() && mint().starts_with("grant_"));
    }
}
