//! How fast the suite is, beside what it is compared with, in one run.
//!
//! Who is here:
//! - `e2e`: from the producer's call to the receiver's answer, beside bare reqwest to the same receiver;
//! - `part`: the processes of such a run that are not the client: receiver, suite, ceiling;
//! - `figures`: medians and percentiles;
//! - `usage`: what the operating system says a process has used.
//!
//! Everything listens on loopback, and ends with the process that asked for it. Absolute times are this machine's at this
//! moment; what can be compared are the ratios within one run.

mod cli;
mod e2e;
mod figures;
mod part;
mod usage;

use clap::Parser as _;
use mimalloc::MiMalloc;

/// As the services have it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    match cli::Cli::parse().command {
        cli::Command::E2e(flags) => e2e::run(&flags).await,
        cli::Command::Receiver => part::receiver::run().await,
        cli::Command::Suite => part::suite::run().await,
        cli::Command::Ceiling => part::ceiling::run().await,
    }
}
