//! The commands under `sluice webhook`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::words::{self, Pace};

/// What can be done to a webhook. WEBHOOK is an id (`wh_…`), a resource name or its exact name.
#[derive(Debug, Subcommand)]
pub enum Webhook {
    /// Register a target. The signing secret is shown once, here.
    Create(WebhookCreate),
    /// Show one.
    Get {
        /// An id, a resource name or the exact name.
        webhook: String,
    },
    /// List an account's, oldest first.
    List(WebhookList),
    /// Change what is named.
    Update(WebhookUpdate),
    /// Delete one; executions that need it then fail.
    Delete {
        /// An id, a resource name or the exact name.
        webhook: String,
    },
}

/// Flags of `sluice webhook create`.
#[derive(Debug, Args)]
pub struct WebhookCreate {
    /// What people pick it by, unique in the account.
    pub name: String,
    /// What it is for: automation (used by automations) or event (gets the events that --object and --action name).
    #[arg(long, value_name = "KIND", value_parser = words::webhook_kind)]
    pub kind: i32,
    /// Where requests go; when steps append a path, it must end in /, &, ? or =.
    #[arg(long, value_name = "URL")]
    pub url: String,
    /// The events it wants.
    #[command(flatten)]
    pub subscription: Subscription,
    /// In which order requests are sent: none, or record, where the next about a record waits until the one before it is over.
    #[arg(long, value_name = "ORDERING", value_parser = words::webhook_ordering)]
    pub ordering: Option<i32>,
    /// What its receiver is to be spared.
    #[command(flatten)]
    pub limits: Limits,
    /// How requests prove themselves: a JSON file (- reads standard input) such as {"bearer": {"token": "…"}},
    /// {"basic": {"username": "…", "password": "…"}} or {"apiKey": {"header": "…", "key": "…"}}.
    #[arg(long, value_name = "FILE")]
    pub credentials: Option<PathBuf>,
    /// A file that holds the signing secret (whsec_…; - reads standard input) [default: the server makes one].
    #[arg(long, value_name = "FILE")]
    pub signing_secret_file: Option<PathBuf>,
    /// Makes the same command answer as before when it is repeated within a day.
    #[arg(long, value_name = "ID")]
    pub request_id: Option<String>,
}

/// Which events a webhook of kind event wants.
#[derive(Debug, Default, Args)]
pub struct Subscription {
    /// The kind of record it wants events of, * for all; for kind event.
    #[arg(long, value_name = "OBJECT")]
    pub object: Option<String>,
    /// Only when this was done: added, updated or deleted. May be repeated.
    #[arg(long = "action", value_name = "ACTION", value_parser = words::action, requires = "object")]
    pub actions: Vec<i32>,
}

/// What a webhook's receiver is to be spared; what waits for that is queued, and uses no attempt.
#[derive(Debug, Default, Args)]
pub struct Limits {
    /// How many requests may be under way to it at once, from each dispatcher.
    #[arg(long, value_name = "NUMBER")]
    pub max_in_flight: Option<u32>,
    /// How many requests to it may begin in a time, retries included, such as 600/1m.
    #[arg(long, value_name = "NUMBER/LENGTH", value_parser = words::pace)]
    pub rate: Option<Pace>,
    /// How many of these may begin at once after a quiet time [default: all].
    #[arg(long, value_name = "NUMBER", requires = "rate")]
    pub burst: Option<u32>,
}

/// Flags of `sluice webhook list`.
#[derive(Debug, Args)]
pub struct WebhookList {
    /// Only this kind: automation or event.
    #[arg(long, value_name = "KIND", value_parser = words::webhook_kind)]
    pub kind: Option<i32>,
    /// At most so many; 0 means all.
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    pub limit: usize,
}

/// Flags of `sluice webhook update`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true).args(
    ["name", "url", "object", "credentials", "no_credentials", "state", "ordering", "max_in_flight",
     "no_max_in_flight", "rate", "no_rate"]
))]
pub struct WebhookUpdate {
    /// An id, a resource name or the exact name.
    pub webhook: String,
    /// A new name.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// A new target.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The events it wants.
    #[command(flatten)]
    pub subscription: Subscription,
    /// New credentials, as `sluice webhook create` takes them.
    #[arg(long, value_name = "FILE")]
    pub credentials: Option<PathBuf>,
    /// Take the credentials away.
    #[arg(long, conflicts_with = "credentials")]
    pub no_credentials: bool,
    /// In which order requests are sent, as `sluice webhook create` takes it; counts for what is accepted from then on.
    #[arg(long, value_name = "ORDERING", value_parser = words::webhook_ordering)]
    pub ordering: Option<i32>,
    /// What its receiver is to be spared.
    #[command(flatten)]
    pub limits: Limits,
    /// As many under way as it answers.
    #[arg(long, conflicts_with = "max_in_flight")]
    pub no_max_in_flight: bool,
    /// No rate of its own.
    #[arg(long, conflicts_with = "rate")]
    pub no_rate: bool,
    /// enabled, or disabled: what needs it then pauses.
    #[arg(long, value_name = "STATE", value_parser = words::webhook_state)]
    pub state: Option<i32>,
}
