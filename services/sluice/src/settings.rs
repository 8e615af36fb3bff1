//! The settings of a suite in one process: file < environment < flags, unknown keys refused.

mod own;
mod sections;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;
use sluice_auth::{Key, Verifier};
use sluice_domain::Secret;
use sluice_egress::Policy;
use sluice_runtime::config::{self, ConfigError};
use sluice_storage::DatabaseUrl;
use sluice_telemetry::TelemetryConfig;
use url::Url;

use crate::cli;
use crate::data_directory::{DataDirectory, SigningKey};
use crate::suite::DatabaseUrls;

pub use sections::{Auth, Dispatcher, Registry, Telemetry, TrustedKey};

/// Environment variables that begin with this are settings.
const ENVIRONMENT: &str = "SLUICE_";
/// But for these, which are for the client commands.
const OF_THE_COMMANDS: [&str; 4] = ["SERVER", "CA_FILE", "TOKEN", "ACCOUNT"];
/// The key id of tokens signed with `auth.development_secret`.
const DEVELOPMENT_KID: &str = "development";

/// What `sluice up` is set up with. Every setting has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `data`: the directory of database files and keys.
    pub data: PathBuf,
    /// `listen`: where the public services listen.
    pub listen: SocketAddr,
    /// `dev`: lets webhooks go to this machine and over http.
    pub dev: bool,
    /// `database`: a PostgreSQL URL instead of files; each service has a schema of its own in it.
    pub database: Option<Secret>,
    /// `reflection`: whether the server tells its contracts to whoever asks.
    pub reflection: bool,
    /// `origins`: web pages that may call from a browser (gRPC-Web), `["https://app.example.com"]`.
    pub origins: Vec<String>,
    /// `auth.…`: whose tokens are taken.
    pub auth: Auth,
    /// `egress.…`: where webhooks may go.
    pub egress: sluice_egress::Settings,
    /// `registry.…`.
    pub registry: Registry,
    /// `evaluator.…`.
    pub evaluator: sluice_evaluator::Config,
    /// `dispatcher.…`.
    pub dispatcher: Dispatcher,
    /// `telemetry.…`: what is told of the process, and to whom.
    pub telemetry: Telemetry,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: cli::DEFAULT_DATA.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7090)),
            dev: false,
            database: None,
            reflection: true,
            origins: Vec::new(),
            auth: Auth::default(),
            egress: sluice_egress::Settings::default(),
            registry: Registry::default(),
            evaluator: sluice_evaluator::Config::default(),
            dispatcher: Dispatcher::default(),
            telemetry: Telemetry::default(),
        }
    }
}

impl Settings {
    /// Reads the file (if one is named), the environment and the flags of `sluice up`.
    ///
    /// # Errors
    /// With the key named, when a setting is unknown or can't be read.
    pub fn load(flags: &cli::Up) -> Result<Self, ConfigError> {
        let mut given = Vec::new();
        let mut flag = |key: &str, value: String| given.push((key.to_owned(), value));
        if let Some(data) = &flags.data {
            flag("data", data.display().to_string());
        }
        if let Some(listen) = &flags.listen {
            flag("listen", listen.to_string());
        }
        if flags.dev {
            flag("dev", "true".to_owned());
        }
        Self::read(flags.config.as_deref(), ENVIRONMENT, &given)
    }

    fn read(file: Option<&Path>, prefix: &str, flags: &[(String, String)]) -> Result<Self, ConfigError> {
        config::load_beside(file, prefix, &OF_THE_COMMANDS, flags)
    }

    /// Where each service's database is.
    ///
    /// # Errors
    /// When `database` is no PostgreSQL URL, or names a schema.
    pub fn database_urls(&self, data: &DataDirectory) -> anyhow::Result<DatabaseUrls> {
        let url = |service: &str| match &self.database {
            None => Ok(data.database(service)),
            Some(text) => with_schema(text, service).context("database"),
        };
        Ok(DatabaseUrls {
            registry: url("registry")?,
            evaluator: url("evaluator")?,
            dispatcher: url("dispatcher")?,
        })
    }

    /// What tokens are verified with: the data directory's own key, those of `auth.keys`, and with `dev` the secret.
    ///
    /// # Errors
    /// When a key can't be read or used.
    pub fn verifier(&self, own: &SigningKey) -> anyhow::Result<Verifier> {
        let mut keys = vec![own.verifying()?];
        for trusted in &self.auth.keys {
            let path = &trusted.public_key_file;
            let pem =
                std::fs::read_to_string(path).with_context(|| format!("auth.keys: {}", path.display()))?;
            let key = Key::ed25519(&*trusted.kid, &pem);
            keys.push(key.with_context(|| format!("auth.keys: {}", path.display()))?);
        }
        if let Some(secret) = &self.auth.development_secret {
            if !self.dev {
                bail!("auth.development_secret: is for development only; add --dev, or use auth.keys");
            }
            keys.push(Key::hs256(DEVELOPMENT_KID, secret).context("auth.development_secret")?);
        }
        Verifier::new(&*self.auth.issuer, keys).context("auth")
    }

    /// The registry's settings, sealing with `own` keys unless others are set.
    pub fn registry(&self, own: Secret) -> sluice_registry::config::Config {
        let egress = self.egress_in_force();
        let mut config = self.registry.clone().into_config(egress);
        if config.sealing.keys.is_none() && config.sealing.keys_file.is_none() {
            config.sealing.keys = Some(own);
        }
        config
    }

    /// The dispatcher's settings.
    pub fn dispatcher(&self) -> sluice_dispatcher::config::Config {
        self.dispatcher.clone().into_config(self.egress_in_force())
    }

    /// What is told of the process.
    pub fn telemetry(&self) -> TelemetryConfig {
        TelemetryConfig {
            service_name: "sluice".to_owned(),
            filter: self.telemetry.filter.clone(),
            json: self.telemetry.json,
            otlp_endpoint: self.telemetry.otlp_endpoint.clone(),
            trace_ratio: self.telemetry.trace_ratio,
        }
    }

    /// `egress`, with what we listen on among our own addresses, and loopback and http added when `dev` is set.
    fn egress_in_force(&self) -> sluice_egress::Settings {
        let mut egress = self.egress.clone();
        let own = own::addresses(self.listen);
        egress.own_addresses.extend(own.into_iter().filter(|own| !self.egress.own_addresses.contains(own)));
        if self.dev {
            let development = Policy::development();
            egress.allow.extend(development.allow.iter().map(ToString::to_string));
            egress.allow_http |= development.allow_http;
        }
        egress
    }

    /// All settings, one line a section, secrets hidden.
    pub fn lines(&self) -> Vec<String> {
        let database = match &self.database {
            None => "SQLite files in the data directory".to_owned(),
            Some(text) => with_schema(text, "registry").map_or_else(
                |_| "[secret]".to_owned(),
                |url| {
                    format!("{}, a schema for each service", url.to_string().replace("?schema=registry", ""))
                },
            ),
        };
        let line = |name: &str, value: String| format!("{name:<11} {value}");
        vec![
            line("data", self.data.display().to_string()),
            line("listen", self.listen.to_string()),
            line("dev", self.dev.to_string()),
            line("database", database),
            line("reflection", self.reflection.to_string()),
            line("origins", format!("{:?}", self.origins)),
            line("auth", format!("{:?}", self.auth)),
            line("egress", format!("{:?}", self.egress_in_force())),
            line("registry", format!("{:?}", self.registry)),
            line("evaluator", format!("{:?}", self.evaluator)),
            line("dispatcher", format!("{:?}", self.dispatcher)),
            line("telemetry", format!("{:?}", self.telemetry)),
        ]
    }
}

/// The URL with the schema named.
fn with_schema(text: &Secret, schema: &str) -> anyhow::Result<DatabaseUrl> {
    let rule = "must look like postgres://user:password@host:port/database";
    let mut url = Url::parse(text.expose()).ok().context(rule)?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        bail!(rule);
    }
    if url.query_pairs().any(|(key, _)| key == "schema") {
        bail!("must name no schema: each service has its own (registry, evaluator, dispatcher)");
    }
    url.query_pairs_mut().append_pair("schema", schema);
    Ok(url.as_str().parse()?)
}

#[cfg(test)]
mod tests;
