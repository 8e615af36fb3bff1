//! `sluice account`: what billing does.

use proto::registry::v1::{Account, Allowance, GetAccountRequest, PutEntitlementsRequest};
use sluice_domain::{AccountId, Reason};
use sluice_rpc::AccountName;

use crate::cli::{self, AccountPut, Noun};
use crate::client::sheet::{self, Sheet, id_of};
use crate::client::{Connection, Part};

const ACCOUNT: &str = "sluice.registry.v1.Account";

/// Runs one command.
///
/// # Errors
/// Why it could not be done, and what to do next.
pub async fn run(Noun { client, verb }: Noun<cli::Account>) -> anyhow::Result<()> {
    match verb {
        cli::Account::Put(wish) => {
            let connection = open(client, wish.name.as_ref())?;
            put(&connection, &wish).await
        }
        cli::Account::Get { name } => {
            let connection = open(client, name.as_ref())?;
            let request = GetAccountRequest { name: connection.account()?.to_string() };
            let answer = connection.answer(connection.accounts().get_account(request).await)?;
            connection.show(ACCOUNT, &answer.account.unwrap_or_default(), text)
        }
    }
}

fn open(mut client: cli::Client, name: Option<&AccountId>) -> anyhow::Result<Connection> {
    client.account = name.cloned().or(client.account);
    Connection::open(&client, Part::Billing, None)
}

async fn put(connection: &Connection, wish: &AccountPut) -> anyhow::Result<()> {
    let account = connection.account()?;
    let version = match wish.version {
        Some(version) => version,
        None => next_version(connection, &account).await?,
    };
    let request = PutEntitlementsRequest {
        name: account.to_string(),
        plan: wish.plan.clone(),
        version,
        ..PutEntitlementsRequest::default()
    };
    let answer = connection.answer(connection.accounts().put_entitlements(request).await)?;
    connection.show(ACCOUNT, &answer.account.unwrap_or_default(), text)
}

/// One more than what is in force; 1 for an account that is not known yet.
async fn next_version(connection: &Connection, account: &AccountName) -> anyhow::Result<i64> {
    let request = GetAccountRequest { name: account.to_string() };
    match connection.answer(connection.accounts().get_account(request).await) {
        Ok(answer) => Ok(answer
            .account
            .and_then(|account| account.entitlements)
            .map_or(1, |held| held.version.saturating_add(1))),
        Err(refused) if new_account(refused.reason()) => Ok(1),
        Err(refused) => Err(refused.into()),
    }
}

fn new_account(reason: Option<&str>) -> bool {
    [Reason::AccountUnknown, Reason::NotFound].iter().any(|unknown| reason == Some(unknown.as_str()))
}

fn text(account: &Account) -> String {
    let held = account.entitlements.clone().unwrap_or_default();
    let mut sheet = Sheet::default();
    sheet
        .field("account", id_of(&account.name))
        .field("plan", format!("{} (version {})", held.plan, held.version))
        .field("automations", if held.automations { "yes" } else { "no" });
    if held.automations {
        let (active, steps, delays) = (held.active_automations, held.steps, held.delays);
        sheet
            .field("  limits", format!("{active} active, {steps} steps each, {delays} of them delays"))
            .field("  executions", sheet::rate(held.executions.as_ref()))
            .field("  allowance", allowance(held.allowance.as_ref()))
            .field("  waiting", format!("up to {}", held.max_waiting));
    }
    sheet
        .field("notifications", sheet::rate(held.notifications.as_ref()))
        .field("history", sheet::length(held.history.as_ref()))
        .field("since", sheet::instant(account.update_time.as_ref()));
    sheet.text().to_owned()
}

fn allowance(promised: Option<&Allowance>) -> String {
    promised
        .map_or_else(|| "no limit".to_owned(), |promised| format!("{} in a billing month", promised.amount))
}
