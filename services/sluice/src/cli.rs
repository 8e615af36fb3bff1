//! The command line as clap reads it.

mod account;
mod automation;
mod client;
mod event;
mod execution;
mod quota;
mod webhook;
mod words;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use sluice_egress::Resolutions;
use sluice_runtime::HumanSpan;

use crate::data_directory::ISSUER;

pub use account::{Account, AccountPut};
pub use automation::{Automation, AutomationCreate, AutomationList, AutomationUpdate};
pub use client::{Client, DEFAULT_SERVER, Noun};
pub use event::{Event, EventExplain, EventFields};
pub use execution::{Execution, ExecutionChoice, ExecutionFilter, ExecutionList, ExecutionWatch};
pub use quota::{Quota, QuotaGrant, QuotaPause};
pub use webhook::{Limits, Subscription, Webhook, WebhookCreate, WebhookList, WebhookUpdate};
pub use words::When;

/// Where data is kept when nobody says otherwise.
pub const DEFAULT_DATA: &str = "./sluice-data";

/// Sends webhooks when something happened and somebody's conditions say so, within what their plan allows.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run registry, evaluator and dispatcher in one process, on one port.
    Up(Up),
    /// Show the whole path on real HTTP, with a receiver of its own: takes under a minute and leaves nothing behind.
    Demo(Demo),
    /// Accounts and the plans they are on: what billing does.
    Account(Noun<Account>),
    /// Webhooks: where requests go.
    Webhook(Noun<Webhook>),
    /// Automations: which requests an event sets off.
    Automation(Noun<Automation>),
    /// Events: what happened, as a product tells it.
    Event(Noun<Event>),
    /// Executions: what was set off, what was sent, what came back.
    Execution(Noun<Execution>),
    /// Quotas: what an account may start now, and what holds the rest back.
    Quota(Noun<Quota>),
    /// Print a token for the suite that runs on a data directory.
    Token(Token),
    /// Audit URLs.
    #[command(subcommand)]
    Url(Url),
    /// The demo's receiver; ends when its standard input closes.
    #[command(hide = true)]
    DemoReceiver(DemoReceiver),
}

/// Flags of `sluice up`.
#[derive(Debug, Default, Args)]
pub struct Up {
    /// Where databases and keys are kept [default: ./sluice-data].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where the public services listen [default: 127.0.0.1:7090].
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// A TOML file of settings; the environment (SLUICE_…) and flags weigh more.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// For development: lets webhooks go to this machine (loopback) and over plain http.
    #[arg(long)]
    pub dev: bool,
}

/// Flags of `sluice demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Print one JSON object of counts instead of the story.
    #[arg(long)]
    pub json: bool,
    /// Let the receiver forget one request, to see that the demo notices and fails.
    #[arg(long)]
    pub plant_loss: bool,
}

/// Flags of `sluice token`.
#[derive(Debug, Args)]
pub struct Token {
    /// The account the token opens; leave it out only with `--scope accounts.any`.
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// The user or service that acts.
    #[arg(long, value_name = "USER")]
    pub user: String,
    /// A role in the account: member or global_admin. May be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
    /// A scope, such as events.write, entitlements.write, executions.read. May be repeated.
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ' ')]
    pub scopes: Vec<String>,
    /// How long the token is good: 15m, 1h; at most 24h, with `--scope internal` at most 90d.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub ttl: HumanSpan,
    /// Who issues the token: what the suite has as `auth.issuer`.
    #[arg(long, value_name = "ISSUER", env = "SLUICE_AUTH__ISSUER", default_value = ISSUER)]
    pub issuer: String,
    /// The data directory of the suite; its signing key is made when it is missing.
    #[arg(long, value_name = "DIR", env = "SLUICE_DATA", default_value = DEFAULT_DATA)]
    pub data: PathBuf,
}

/// The commands under `sluice url`.
#[derive(Debug, Subcommand)]
pub enum Url {
    /// Read URLs from standard input, one a line, and print for each: allow, refuse or needs-dns, a tab, the reason.
    /// Connects nowhere and asks no resolver.
    Check(UrlCheck),
}

/// Flags of `sluice url check`.
#[derive(Debug, Args)]
pub struct UrlCheck {
    /// Allow http beside https.
    #[arg(long)]
    pub allow_http: bool,
    /// Take this name to have these addresses. May be repeated.
    #[arg(long, value_name = "HOST=IP[,IP…]", value_parser = resolution)]
    pub resolve: Vec<String>,
}

/// Flags of the demo's receiver.
#[derive(Debug, Args)]
pub struct DemoReceiver {
    /// Leave the first request that was answered well out of the ledger.
    #[arg(long)]
    pub forget_one: bool,
}

fn resolution(text: &str) -> Result<String, String> {
    Resolutions::default().add(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_resolution_that_can_not_be_read_is_a_usage_error() {
        let error = Cli::try_parse_from(["sluice", "url", "check", "--resolve", "a.dev=b.dev"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let parsed = Cli::try_parse_from(["sluice", "url", "check", "--resolve", "a.dev=8.8.8.8,::1"]);
        assert!(parsed.is_ok());
    }

    #[test]
    fn scopes_may_be_repeated_or_written_in_one() {
        let line = ["sluice", "token", "--user", "u", "--scope", "a b", "--scope", "c"];
        let Command::Token(token) = Cli::try_parse_from(line).unwrap().command else {
            panic!("not the token command")
        };
        assert_eq!(token.scopes, ["a", "b", "c"]);
        assert_eq!(token.ttl.0, sluice_domain::Span::from_secs(3_600));
    }
}
