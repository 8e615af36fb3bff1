//! The command line of a registry that is a process of its own.

use std::path::PathBuf;

use clap::Parser;
use sluice_runtime::config::{self, ConfigError};

use super::Settings;

/// The registry of Sluice: accounts, webhooks, credentials.
#[derive(Debug, Parser)]
#[command(name = "sluice-registry", version)]
pub struct Arguments {
    /// A TOML file with settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, such as `feed.poll=2s`; weighs more than the environment (`SLUICE_FEED__POLL`) and the file.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

impl Arguments {
    /// The settings of the file, overridden by the environment, overridden by the command line.
    ///
    /// # Errors
    /// When a setting is unknown or of the wrong type, with its key named.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        config::load(self.config.as_deref(), "SLUICE_", &self.settings)
    }
}

fn setting(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("must have the form KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_on_the_command_line_weigh_most() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "feed.poll = \"9s\"\nfeed.keep = 5000").unwrap();
        let path = file.path().to_str().unwrap();
        let arguments = Arguments::parse_from(["sluice-registry", "--config", path, "--set", "feed.poll=2s"]);
        let feed = arguments.settings().unwrap().feed;
        assert_eq!((feed.poll, feed.keep), (sluice_domain::Span::from_secs(2), 5_000));
        assert!(Arguments::try_parse_from(["sluice-registry", "--set", "feed.poll"]).is_err());
    }
}
