//! The commands under `sluice account`.

use clap::{Args, Subcommand};
use sluice_domain::AccountId;

/// What can be done to an account.
#[derive(Debug, Subcommand)]
pub enum Account {
    /// Put an account on a plan; makes the account when it is new.
    Put(AccountPut),
    /// Show what an account may do.
    Get {
        /// The account [default: that of --account].
        #[arg(value_name = "ACCOUNT")]
        name: Option<AccountId>,
    },
}

/// Flags of `sluice account put`.
#[derive(Debug, Args)]
pub struct AccountPut {
    /// The account [default: that of --account].
    #[arg(value_name = "ACCOUNT")]
    pub name: Option<AccountId>,
    /// A plan of the server's catalogue, such as essential, advanced, professional, enterprise.
    #[arg(long, value_name = "PLAN")]
    pub plan: String,
    /// Billing's version of the entitlements; a newer one wins [default: one more than what is in force].
    #[arg(long, value_name = "NUMBER")]
    pub version: Option<i64>,
}
