//! The commands under `sluice quota`.

use clap::{Args, Subcommand};
use sluice_domain::AccountId;

/// What can be done about what an account may start.
#[derive(Debug, Subcommand)]
pub enum Quota {
    /// Show what it may start now, what is used, what waits and why.
    Show {
        /// The account [default: that of --account].
        #[arg(value_name = "ACCOUNT")]
        name: Option<AccountId>,
    },
    /// Add executions to the allowance of the billing month that runs.
    Grant(QuotaGrant),
    /// Pause everything of an account until it is resumed; nothing is lost by it.
    Pause(QuotaPause),
    /// End such a pause: what is due goes on, oldest first.
    Resume {
        /// The account [default: that of --account].
        #[arg(value_name = "ACCOUNT")]
        name: Option<AccountId>,
    },
}

/// Flags of `sluice quota grant`.
#[derive(Debug, Args)]
pub struct QuotaGrant {
    /// The account [default: that of --account].
    #[arg(value_name = "ACCOUNT")]
    pub name: Option<AccountId>,
    /// How many executions.
    #[arg(long, value_name = "NUMBER")]
    pub units: i64,
    /// Your id of this grant: the same again grants nothing more [default: one is made].
    #[arg(long, value_name = "ID")]
    pub request_id: Option<String>,
}

/// Flags of `sluice quota pause`.
#[derive(Debug, Args)]
pub struct QuotaPause {
    /// The account [default: that of --account].
    #[arg(value_name = "ACCOUNT")]
    pub name: Option<AccountId>,
    /// Why, for whoever finds it paused.
    #[arg(long, value_name = "TEXT")]
    pub note: String,
}
