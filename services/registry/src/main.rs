//! `sluice-registry`: who may send what, and where to?

use clap::Parser as _;
use sluice_registry::process::{self, Arguments};
use sluice_runtime::Shutdown;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Arguments::parse().settings()?;
    let _telemetry = sluice_telemetry::init(&settings.telemetry())?;
    process::run(&settings, Shutdown::on_signal()?, |_, _| {}).await?;
    Ok(())
}
