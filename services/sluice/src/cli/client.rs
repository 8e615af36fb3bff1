//! The flags that all client commands have: where to call, as whom, for which account.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sluice_domain::AccountId;

use super::DEFAULT_DATA;
use crate::data_directory::ISSUER;

/// Where `sluice up` listens when nobody says otherwise.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:7090";

/// A noun and what can be done to it.
#[derive(Debug, Args)]
pub struct Noun<V: Subcommand> {
    /// Where, as whom, for whom.
    #[command(flatten)]
    pub client: Client,
    /// What to do.
    #[command(subcommand)]
    pub verb: V,
}

/// Where to call, as whom, for which account, and how to print the answer.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub struct Client {
    /// The server's public address.
    #[arg(long, global = true, value_name = "ADDRESS", env = "SLUICE_SERVER", default_value = DEFAULT_SERVER)]
    pub server: String,
    /// For an https server: the certificates (PEM) of the authorities to believe, in place of the system's.
    #[arg(long, global = true, value_name = "FILE", env = "SLUICE_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// The account that is acted for.
    #[arg(long, global = true, value_name = "ACCOUNT", env = "SLUICE_ACCOUNT")]
    pub account: Option<AccountId>,
    /// A file that holds the token to call with (- reads standard input). The variable SLUICE_TOKEN holds one, too; without either a token
    /// for this one command is minted from the data directory, for a server on this machine.
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The data directory of a `sluice up` on this machine, to mint tokens from.
    #[arg(long, global = true, value_name = "DIR", env = "SLUICE_DATA", default_value = DEFAULT_DATA)]
    pub data: PathBuf,
    /// Who issues minted tokens: what the server has as `auth.issuer`.
    #[arg(long, global = true, value_name = "ISSUER", env = "SLUICE_AUTH__ISSUER", default_value = ISSUER, hide = true)]
    pub issuer: String,
    /// Print canonical protobuf JSON: one object, or one a line.
    #[arg(long, global = true)]
    pub json: bool,
}
