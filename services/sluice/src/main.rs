//! The `sluice` command.

use clap::Parser;
use sluice::cli::Cli;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    sluice::commands::run(Cli::parse()).await
}
