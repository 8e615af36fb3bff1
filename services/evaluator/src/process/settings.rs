//! The settings of an evaluator that is a process of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use sluice_auth::{Key, KeyError, Verifier};
use sluice_domain::{Secret, Span};
use sluice_storage::DatabaseUrl;
use sluice_telemetry::TelemetryConfig;
use thiserror::Error;

use crate::service::Config;

/// What the process is set up with; the keys of the TOML file are the names of the fields. Those of [`Config`] stand under
/// `evaluator`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `listen`: where the public services listen. There are no internal ones.
    pub listen: SocketAddr,
    /// `database`: `sqlite:<path>` or `postgres://…[?schema=name]`.
    #[serde(deserialize_with = "database_url")]
    pub database: DatabaseUrl,
    /// `registry`: the registry's internal listener.
    pub registry: String,
    /// `dispatcher`: the dispatcher's internal listener.
    pub dispatcher: String,
    /// `service_token_file`: a file with our own token for both, scopes `internal` and `accounts.any`.
    pub service_token_file: PathBuf,
    /// `reflection`: whether the server tells its contracts to whoever asks.
    pub reflection: bool,
    /// `drain`: how long calls under way may take to end at SIGTERM.
    #[serde(with = "sluice_runtime::human_span")]
    pub drain: Span,
    /// `tokens.…`: whose tokens are taken.
    pub tokens: Tokens,
    /// `log.…`: what the process tells, and whom.
    pub log: Log,
    /// `evaluator.…`: the evaluator's own settings.
    pub evaluator: Config,
}

/// Whose tokens are taken.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tokens {
    /// `tokens.issuer`: what `iss` must be.
    pub issuer: String,
    /// `tokens.keys`: the keys that may have signed; several while they are rotated.
    pub keys: Vec<TokenKey>,
}

/// One key that may have signed a token; exactly one of the two ways to give it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenKey {
    /// What the token's `kid` must be.
    pub kid: String,
    /// A PEM file with an ed25519 public key, for `EdDSA`.
    pub public_key_file: Option<PathBuf>,
    /// A shared secret of at least 32 bytes, for `HS256`; for development.
    pub secret: Option<Secret>,
}

/// What the process tells, and whom.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `log.filter`: directives such as `info` or `warn,sluice_evaluator=debug`.
    pub filter: String,
    /// `log.json`: lines as JSON objects instead of text.
    pub json: bool,
    /// `log.otlp_endpoint`: where an OTLP collector listens for gRPC; without it no spans are sent.
    pub otlp_endpoint: Option<String>,
}

/// A setting of the process can't be used; the text names it and its rule.
#[derive(Debug, Error)]
pub enum SettingsError {
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
    /// A key has neither way to give it, or both.
    #[error("tokens.keys: key {0:?}: exactly one of public_key_file and secret is needed")]
    KeySource(String),
    /// A key, or the keys together, can't be used.
    #[error("tokens: {0}")]
    Tokens(#[from] KeyError),
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), json: false, otlp_endpoint: None }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7072)),
            database: DatabaseUrl::sqlite("sluice-data/evaluator.db"),
            registry: "http://127.0.0.1:7171".to_owned(),
            dispatcher: "http://127.0.0.1:7173".to_owned(),
            service_token_file: PathBuf::from("sluice-data/evaluator.token"),
            reflection: true,
            drain: Span::from_secs(25),
            tokens: Tokens::default(),
            log: Log::default(),
            evaluator: Config::default(),
        }
    }
}

impl Settings {
    /// What verifies callers' tokens.
    ///
    /// # Errors
    /// When a key can't be read or used.
    pub fn verifier(&self) -> Result<Verifier, SettingsError> {
        let key = |key: &TokenKey| match (&key.public_key_file, &key.secret) {
            (Some(file), None) => Ok(Key::ed25519(&key.kid, &read("tokens.keys", file)?)?),
            (None, Some(secret)) => Ok(Key::hs256(&key.kid, secret)?),
            _ => Err(SettingsError::KeySource(key.kid.clone())),
        };
        let keys = self.tokens.keys.iter().map(key).collect::<Result<Vec<_>, SettingsError>>()?;
        Ok(Verifier::new(self.tokens.issuer.as_str(), keys)?)
    }

    /// Our own token.
    ///
    /// # Errors
    /// When its file can't be read.
    pub fn service_token(&self) -> Result<Secret, SettingsError> {
        Ok(Secret::new(read("service_token_file", &self.service_token_file)?.trim()))
    }

    /// What the process tells, and whom.
    pub fn telemetry(&self) -> TelemetryConfig {
        TelemetryConfig {
            service_name: "sluice-evaluator".to_owned(),
            filter: self.log.filter.clone(),
            json: self.log.json,
            otlp_endpoint: self.log.otlp_endpoint.clone(),
        }
    }
}

fn read(setting: &'static str, file: &Path) -> Result<String, SettingsError> {
    std::fs::read_to_string(file).map_err(|cause| SettingsError::File {
        setting,
        path: file.to_owned(),
        cause,
    })
}

fn database_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DatabaseUrl, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use sluice_runtime::config::load;

    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("evaluator.toml");
        std::fs::write(&file, text).unwrap();
        load(Some(&file), "NO_SUCH_PREFIX_", &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn every_setting_has_a_default_and_unknown_ones_are_named() {
        assert_eq!(read("").unwrap().evaluator, Config::default());
        assert!(read("colour = 1").unwrap_err().contains("colour"));
        assert!(read("[evaluator]\ncatch_up = 5").unwrap_err().contains("catch_up"));
    }

    #[test]
    fn a_token_key_is_given_in_exactly_one_way_and_never_shown() {
        let with =
            |key: &str| read(&format!("[tokens]\nissuer = 'i'\nkeys = [{{ kid = 'k'{key} }}]")).unwrap();
        assert!(matches!(with("").verifier(), Err(SettingsError::KeySource(_))));
        let canary = "canary-".repeat(8);
        let good = with(&format!(", secret = '{canary}'"));
        assert!(good.verifier().is_ok());
        assert!(!format!("{good:?}").contains("canary"));
        let missing = with(", public_key_file = '/no/such/file'").verifier().unwrap_err();
        assert!(missing.to_string().contains("/no/such/file"));
    }
}
