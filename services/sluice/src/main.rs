//! The `sluice` command.

use clap::Parser;
use mimalloc::MiMalloc;
use sluice::cli::Cli;

/// Measured: a fifth more deliveries than with the system's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    sluice::commands::run(Cli::parse()).await
}
