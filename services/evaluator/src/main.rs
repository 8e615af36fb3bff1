//! `sluice-evaluator`: does this event set something off?

use std::path::PathBuf;

use clap::Parser;
use sluice_evaluator::process::{self, Settings};
use sluice_runtime::{Shutdown, config};

/// The evaluator of Sluice: automations, and the events that set them off.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A TOML file with settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings: Settings = config::load(Arguments::parse().config.as_deref(), "SLUICE_", &[])?;
    let _telemetry = sluice_telemetry::init(&settings.telemetry())?;
    process::run(&settings, Shutdown::on_signal()?, |_| {}).await?;
    Ok(())
}
