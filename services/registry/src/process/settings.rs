//! The settings of a registry that is a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};
use sluice_auth::{Key, KeyError, Verifier};
use sluice_domain::{Secret, Span};
use sluice_storage::DatabaseUrl;
use sluice_telemetry::TelemetryConfig;
use thiserror::Error;

use crate::config::{Accounts, Config, ConfigError, Egress, Feed, Sealing};

/// What the process is set up with; the keys of the TOML file are the names of the fields. Those of [`Config`] stand
/// beside them.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `listen`: where the public services listen.
    pub listen: SocketAddr,
    /// `internal_listen`: where the internal services listen. There is no TLS here, so it has to be a loopback address
    /// unless `internal_plaintext` says that the network encrypts.
    pub internal_listen: SocketAddr,
    /// `internal_plaintext`: whether the internal listener may be on an address other machines reach.
    pub internal_plaintext: bool,
    /// `database`: `sqlite:<path>` or `postgres://…[?schema=name]`.
    #[serde(deserialize_with = "database_url")]
    pub database: DatabaseUrl,
    /// `reflection`: whether the servers tell their contracts to whoever asks.
    pub reflection: bool,
    /// `drain`: how long calls under way may take to end at SIGTERM.
    #[serde(with = "sluice_runtime::human_span")]
    pub drain: Span,
    /// `tokens.…`: whose tokens are taken.
    pub tokens: Tokens,
    /// `log.…`: what the process tells, and whom.
    pub log: Log,
    /// `sealing.…`.
    pub sealing: Sealing,
    /// `plans_file`.
    pub plans_file: Option<PathBuf>,
    /// `accounts.…`.
    pub accounts: Accounts,
    /// `egress.…`.
    pub egress: Egress,
    /// `feed.…`.
    pub feed: Feed,
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
    /// `log.filter`: directives such as `info` or `warn,sluice_registry=debug`.
    pub filter: String,
    /// `log.json`: lines as JSON objects instead of text.
    pub json: bool,
    /// `log.otlp_endpoint`: where an OTLP collector listens for gRPC; without it no spans are sent.
    pub otlp_endpoint: Option<String>,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), json: false, otlp_endpoint: None }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7071)),
            internal_listen: SocketAddr::from(([127, 0, 0, 1], 7171)),
            internal_plaintext: false,
            database: DatabaseUrl::sqlite("sluice-data/registry.db"),
            reflection: true,
            drain: Span::from_secs(25),
            tokens: Tokens::default(),
            log: Log::default(),
            sealing: Sealing::default(),
            plans_file: None,
            accounts: Accounts::default(),
            egress: Egress::default(),
            feed: Feed::default(),
        }
    }
}

/// A setting of the process can't be used; the text names it and its rule.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// Internal calls would cross a network in clear.
    #[error(
        "internal_listen: must be a loopback address, since credentials leave there in clear; \
         where the network encrypts, set internal_plaintext = true"
    )]
    InternalListen,
    /// A setting of the registry.
    #[error(transparent)]
    Registry(#[from] ConfigError),
    /// A token key.
    #[error("tokens.keys: key {kid:?}: {rule}")]
    TokenKey {
        /// Which key.
        kid: String,
        /// What must hold.
        rule: String,
    },
    /// The keys do not make a verifier.
    #[error("tokens: {0}")]
    Tokens(#[from] KeyError),
}

impl Settings {
    /// Checks what a single field can't say, before anything is opened.
    ///
    /// # Errors
    /// When the internal listener is where it should not be, or a setting of the registry can't be used.
    pub fn check(&self) -> Result<(), SettingsError> {
        if !self.internal_listen.ip().is_loopback() && !self.internal_plaintext {
            return Err(SettingsError::InternalListen);
        }
        Ok(self.registry().check()?)
    }

    /// The registry's own settings.
    pub fn registry(&self) -> Config {
        Config {
            sealing: self.sealing.clone(),
            plans_file: self.plans_file.clone(),
            accounts: self.accounts.clone(),
            egress: self.egress.clone(),
            feed: self.feed.clone(),
        }
    }

    /// What tokens are verified with.
    ///
    /// # Errors
    /// When a key can't be read or used, or there is none.
    pub fn verifier(&self) -> Result<Verifier, SettingsError> {
        let keys = self.tokens.keys.iter().map(TokenKey::read).collect::<Result<_, _>>()?;
        Ok(Verifier::new(self.tokens.issuer.as_str(), keys)?)
    }

    /// What telemetry is set up with.
    pub fn telemetry(&self) -> TelemetryConfig {
        TelemetryConfig {
            service_name: "sluice-registry".to_owned(),
            filter: self.log.filter.clone(),
            json: self.log.json,
            otlp_endpoint: self.log.otlp_endpoint.clone(),
        }
    }
}

impl TokenKey {
    fn read(&self) -> Result<Key, SettingsError> {
        let refused = |rule: String| SettingsError::TokenKey { kid: self.kid.clone(), rule };
        match (&self.public_key_file, &self.secret) {
            (Some(path), None) => {
                let pem = std::fs::read_to_string(path)
                    .map_err(|cause| refused(format!("public_key_file {}: {cause}", path.display())))?;
                Key::ed25519(self.kid.as_str(), &pem).map_err(|error| refused(error.to_string()))
            }
            (None, Some(secret)) => {
                Key::hs256(self.kid.as_str(), secret).map_err(|error| refused(error.to_string()))
            }
            _ => Err(refused("exactly one of public_key_file and secret is needed".to_owned())),
        }
    }
}

fn database_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DatabaseUrl, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_internal_listener_stays_on_loopback_unless_told_otherwise() {
        let refused = |text: &str| matches!(settings(text).check(), Err(SettingsError::InternalListen));
        assert!(!refused("") && !refused("internal_listen = \"[::1]:1\""));
        let open = "internal_listen = \"0.0.0.0:7171\"";
        assert!(refused(open) && !refused(&format!("{open}\ninternal_plaintext = true")));
    }

    #[test]
    fn token_keys_are_refused_by_their_id() {
        let said = |keys: &str| settings(&format!("[tokens]\nissuer = \"i\"\nkeys = {keys}")).verifier();
        assert!(said("[{ kid = \"a\", secret = \"0123456789abcdef0123456789abcdef\" }]").is_ok());
        for (keys, word) in [
            ("[]", "at least one key"),
            ("[{ kid = \"a\", secret = \"short\" }]", "key \"a\""),
            ("[{ kid = \"b\" }]", "exactly one"),
            ("[{ kid = \"c\", public_key_file = \"/nowhere\" }]", "/nowhere"),
        ] {
            let refused = said(keys).unwrap_err().to_string();
            assert!(refused.contains(word) && refused.starts_with("tokens"), "{refused}");
            assert!(!refused.contains("short\""), "{refused}");
        }
    }

    #[test]
    fn printed_settings_show_no_secret() {
        let settings = settings(
            "database = \"postgres://u:s3cret@h/d\"\n[sealing]\nkeys = \"s3cret\"\n\
             [tokens]\nkeys = [{ kid = \"a\", secret = \"s3cret\" }]",
        );
        assert!(!format!("{settings:?}").contains("s3cret"));
    }
}
