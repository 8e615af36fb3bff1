//! `sluice-registry`: who may send what, and where to?

use std::path::PathBuf;

use clap::Parser;
use sluice_registry::process::{self, Settings};
use sluice_runtime::{Shutdown, config};

/// The registry of Sluice: accounts, webhooks, credentials.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A TOML file with settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, such as `feed.poll=2s`; weighs more than the environment (`SLUICE_FEED__POLL`) and the file.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

fn setting(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("must have the form KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let settings: Settings = config::load(arguments.config.as_deref(), "SLUICE_", &arguments.settings)?;
    let _telemetry = sluice_telemetry::init(&settings.telemetry())?;
    process::run(&settings, Shutdown::on_signal()?, |_, _| {}).await?;
    Ok(())
}
