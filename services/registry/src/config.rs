//! The registry's settings. All but the master keys have defaults.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sluice_domain::{Catalogue, CatalogueError, Secret, Span};
use sluice_egress::{Policy, PolicyError};
use thiserror::Error;

use crate::endpoint::Disclosure;
use crate::limits::Limits;
use crate::plans;
use crate::seal::{KeyError, MasterKeys};

/// What a registry is set up with; the keys of the TOML file are the names of the fields.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `sealing.…`: the keys that secrets are sealed with.
    pub sealing: Sealing,
    /// `plans_file`: a TOML file like the crate's `plans.toml`, in its place.
    pub plans_file: Option<PathBuf>,
    /// `accounts.…`: accounts that billing has not told us of.
    pub accounts: Accounts,
    /// `egress.…`: which endpoints may be registered. The dispatcher judges again, by its own settings of the same names, when it sends.
    pub egress: sluice_egress::Settings,
    /// `explain_targets`: whether a refused endpoint's refusal names the setting that would allow it. Only where callers and
    /// operators are the same people, as in `sluice up`.
    pub explain_targets: bool,
    /// `feed.…`: how changes are told to the other services.
    pub feed: Feed,
    /// `limits.…`: how many webhooks an account may have.
    pub limits: Limits,
}

/// The keys that secrets are sealed with; one of the two is needed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sealing {
    /// `sealing.keys`: entries `1:<base64 of 32 bytes>`, separated by commas or line ends. The highest number seals,
    /// the others still open what they sealed. Fit for the environment: `SLUICE_SEALING__KEYS`.
    pub keys: Option<Secret>,
    /// `sealing.keys_file`: a file with such entries, one a line; lines from `#` on do not count.
    pub keys_file: Option<PathBuf>,
}

/// Accounts that billing has not told us of.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Accounts {
    /// `accounts.default_plan`: the plan on which an unknown account comes into being when it is first asked for,
    /// with version 0. Unset by default: calls for unknown accounts are refused with `ACCOUNT_UNKNOWN`.
    pub default_plan: Option<String>,
}

/// How changes are told to the other services.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Feed {
    /// `feed.keep`: how many changes are kept for watchers that come back; who missed more starts afresh.
    pub keep: i64,
    /// `feed.poll`: how long a watcher waits before it looks for what other replicas wrote; at least 1 s.
    #[serde(with = "sluice_runtime::human_span")]
    pub poll: Span,
}

impl Default for Feed {
    fn default() -> Self {
        Self { keep: 100_000, poll: Span::from_secs(1) }
    }
}

/// A setting can't be used; the text names it and its rule.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The master keys.
    #[error("{setting}: {error}")]
    Keys {
        /// Where they came from.
        setting: &'static str,
        /// What is wrong with them.
        error: KeyError,
    },
    /// Neither or both ways to give master keys.
    #[error("sealing: exactly one of sealing.keys and sealing.keys_file is needed")]
    KeysMissing,
    /// A file can't be read.
    #[error("{setting}: {}: {cause}", .path.display())]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// The catalogue is not in order.
    #[error("plans_file: {0}")]
    Plans(#[from] CatalogueError),
    /// The default plan is not in the catalogue.
    #[error("accounts.default_plan: must be a plan of the catalogue: {0}")]
    DefaultPlan(String),
    /// An entry of the allow list.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A number is out of range.
    #[error("{setting}: must be {rule}")]
    Number {
        /// The setting.
        setting: &'static str,
        /// The rule it breaks.
        rule: &'static str,
    },
}

impl Config {
    /// Checks everything, without keeping any of it.
    ///
    /// # Errors
    /// The first setting that can't be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.feed()?;
        self.limits()?;
        self.policy()?;
        self.catalogue()?;
        self.master_keys()?;
        Ok(())
    }

    /// The keys that seal.
    ///
    /// # Errors
    /// When none or too many are given, or they are not in order.
    pub fn master_keys(&self) -> Result<MasterKeys, ConfigError> {
        match (&self.sealing.keys, &self.sealing.keys_file) {
            (Some(keys), None) => {
                MasterKeys::parse(keys).map_err(|error| ConfigError::Keys { setting: "sealing.keys", error })
            }
            (None, Some(path)) => {
                let setting = "sealing.keys_file";
                let text = Secret::new(read(setting, path)?);
                MasterKeys::parse(&text).map_err(|error| ConfigError::Keys { setting, error })
            }
            _ => Err(ConfigError::KeysMissing),
        }
    }

    /// The plans: those of the file, or those that come with Sluice.
    ///
    /// # Errors
    /// When the file can't be read or is not in order, or the default plan is not in it.
    pub fn catalogue(&self) -> Result<Catalogue, ConfigError> {
        let catalogue = match &self.plans_file {
            Some(path) => Catalogue::from_toml(&read("plans_file", path)?)?,
            None => plans::shipped()?,
        };
        match &self.accounts.default_plan {
            Some(plan) if catalogue.get(plan).is_none() => {
                Err(ConfigError::DefaultPlan(catalogue.names().collect::<Vec<_>>().join(", ")))
            }
            _ => Ok(catalogue),
        }
    }

    /// What endpoints are judged by.
    ///
    /// # Errors
    /// When an entry of `egress.allow` is no network.
    pub fn policy(&self) -> Result<Policy, ConfigError> {
        Ok(self.egress.policy()?)
    }

    /// What a refused endpoint tells.
    pub const fn disclosure(&self) -> Disclosure {
        if self.explain_targets { Disclosure::Operator } else { Disclosure::Tenant }
    }

    /// How the feed is kept, its numbers checked.
    ///
    /// # Errors
    /// When a number is out of range.
    pub fn feed(&self) -> Result<&Feed, ConfigError> {
        if !(1_000..=100_000_000).contains(&self.feed.keep) {
            return Err(ConfigError::Number { setting: "feed.keep", rule: "1,000 to 100,000,000" });
        }
        if self.feed.poll < Span::from_secs(1) || self.feed.poll > Span::from_secs(60) {
            return Err(ConfigError::Number { setting: "feed.poll", rule: "1s to 1m" });
        }
        Ok(&self.feed)
    }

    /// How many webhooks an account may have, the numbers checked.
    ///
    /// # Errors
    /// When a number is out of range.
    pub fn limits(&self) -> Result<Limits, ConfigError> {
        let Limits { event_webhooks, event_webhooks_per_member, automation_webhooks } = self.limits;
        for (setting, number) in [
            ("limits.event_webhooks", event_webhooks),
            ("limits.event_webhooks_per_member", event_webhooks_per_member),
            ("limits.automation_webhooks", automation_webhooks),
        ] {
            if !(1..=10_000).contains(&number) {
                return Err(ConfigError::Number { setting, rule: "1 to 10,000" });
            }
        }
        if event_webhooks_per_member > event_webhooks {
            let setting = "limits.event_webhooks_per_member";
            return Err(ConfigError::Number { setting, rule: "at most limits.event_webhooks" });
        }
        Ok(self.limits)
    }
}

fn read(setting: &'static str, path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|cause| ConfigError::File { setting, path: path.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn everything_but_the_keys_has_a_default() {
        let config = config("");
        assert!(config.catalogue().is_ok() && config.policy().is_ok() && config.feed().is_ok());
        assert_eq!(config.policy().unwrap(), Policy::default());
        assert_eq!(config.disclosure(), Disclosure::Tenant);
        assert!(matches!(config.master_keys(), Err(ConfigError::KeysMissing)));
    }

    #[test]
    fn unknown_settings_are_refused() {
        for text in ["color = 1", "[feed]\nkep = 5", "[accounts]\nplan = \"x\""] {
            assert!(toml::from_str::<Config>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_setting_out_of_range_is_named_with_its_rule() {
        let said = |text: &str| config(text).check().unwrap_err().to_string();
        assert!(said("feed.keep = 0").starts_with("feed.keep: must be"));
        assert!(said("limits.event_webhooks = 0").starts_with("limits.event_webhooks: must be 1 to 10,000"));
        assert_eq!(
            said("limits.event_webhooks = 9"),
            "limits.event_webhooks_per_member: must be at most limits.event_webhooks"
        );
        assert!(said("feed.poll = \"10ms\"").starts_with("feed.poll: must be 1s"));
        assert!(said("egress.allow = [\"10.0.0.1/8\"]").starts_with("egress.allow: "));
        assert!(said("accounts.default_plan = \"gold\"").starts_with("accounts.default_plan: must be"));
        assert!(said("plans_file = \"/nowhere/plans.toml\"").starts_with("plans_file: /nowhere"));
        assert!(said("sealing.keys = \"s3cret\"").starts_with("sealing.keys: master key entry 1"));
        assert!(!said("sealing.keys = \"s3cret\"").contains("s3cret"));
    }

    #[test]
    fn keys_and_plans_come_from_files_too() {
        let mut keys = tempfile::NamedTempFile::new().unwrap();
        let key = MasterKeys::encode(3, &[1; 32]);
        writeln!(keys, "# newest first\n{}", key.expose()).unwrap();
        let mut plans = tempfile::NamedTempFile::new().unwrap();
        let text = include_str!("../plans.toml").replace("essential", "gratis");
        plans.write_all(text.as_bytes()).unwrap();
        let config = Config {
            sealing: Sealing { keys: None, keys_file: Some(keys.path().to_owned()) },
            plans_file: Some(plans.path().to_owned()),
            ..Config::default()
        };
        assert_eq!(config.master_keys().unwrap().newest(), Some(3));
        assert!(config.catalogue().unwrap().get("gratis").is_some());
    }

    #[test]
    fn printed_settings_show_no_key() {
        assert!(!format!("{:?}", config("sealing.keys = \"1:s3cret\"")).contains("s3cret"));
    }
}
