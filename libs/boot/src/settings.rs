//! The settings that every service binary has.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use sluice_auth::{Key, Verifier};
use sluice_domain::{Secret, Span};
use sluice_rpc::{Transport, TransportError};
use sluice_storage::DatabaseUrl;
use url::{Host, Url};

use crate::BootError;

/// `process.…`: what a service binary is told beside the service's own settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// `process.listen`: where the public services are, `0.0.0.0:7071`.
    pub listen: SocketAddr,
    /// `process.internal_listen`: where the services for Sluice's own are; on loopback only, until mutual TLS is there.
    pub internal_listen: Option<SocketAddr>,
    /// `process.database`: `sqlite:<file>` or `postgres://…?schema=<name>`.
    #[serde(deserialize_with = "database_url")]
    pub database: DatabaseUrl,
    /// `process.tokens.…`: which callers' tokens are good.
    pub tokens: Tokens,
    /// `process.log.…`: what is told of the process.
    #[serde(default)]
    pub log: Log,
    /// `process.reflection`: whether the servers tell their contracts to whoever asks.
    #[serde(default = "yes")]
    pub reflection: bool,
    /// `process.origins`: web pages that may call the public services from a browser (gRPC-Web), `["https://app.example.com"]`.
    #[serde(default)]
    pub origins: Vec<String>,
    /// `process.drain_within`: how long what is under way may take to end after SIGTERM.
    #[serde(default = "half_a_minute", with = "sluice_runtime::human_span")]
    pub drain_within: Span,
}

/// Which tokens are good.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// `tokens.issuer`: the `iss` they must have.
    pub issuer: String,
    /// `tokens.keys`: what they may be signed with.
    pub keys: Vec<TokenKey>,
}

/// One key; exactly one of the two files is needed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenKey {
    /// The `kid` in a token's header.
    pub kid: String,
    /// A file with an Ed25519 public key in PEM.
    pub ed25519_file: Option<PathBuf>,
    /// A file with an HS256 secret: for development.
    pub hs256_file: Option<PathBuf>,
}

/// What is told of the process.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `log.filter`: directives such as `info` or `warn,sluice_dispatcher=debug`.
    pub filter: String,
    /// `log.json`: lines as JSON.
    pub json: bool,
    /// `log.otlp_endpoint`: where a collector takes spans.
    pub otlp_endpoint: Option<String>,
    /// `log.trace_ratio`: of the traces that begin here, the share that is recorded, 0 to 1; a caller's own decision stands.
    pub trace_ratio: f64,
}

/// Another of Sluice's services, asked over its internal listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Its address, `http://127.0.0.1:7171`; on loopback only, until mutual TLS is there: our token goes with every call.
    pub address: String,
    /// A file with our own token, scope `internal`.
    pub token_file: PathBuf,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), json: false, otlp_endpoint: None, trace_ratio: 1.0 }
    }
}

impl Process {
    /// Checks what the types can't.
    ///
    /// # Errors
    /// The rule that is broken, with its key.
    pub fn check(&self) -> Result<(), BootError> {
        match self.internal_listen {
            Some(address) if !address.ip().is_loopback() => Err(BootError::Rule(
                "process.internal_listen: must be a loopback address: credentials pass through it unencrypted".into(),
            )),
            _ => Ok(()),
        }
    }
}

impl Tokens {
    /// What verifies tokens.
    ///
    /// # Errors
    /// When a key can't be read or used.
    pub fn verifier(&self) -> Result<Verifier, BootError> {
        let key = |key: &TokenKey| match (&key.ed25519_file, &key.hs256_file) {
            (Some(file), None) => Ok(Key::ed25519(&key.kid, &read("process.tokens.keys", file)?)?),
            (None, Some(file)) => {
                let secret = Secret::new(read("process.tokens.keys", file)?.trim());
                Ok(Key::hs256(&key.kid, &secret)?)
            }
            _ => Err(BootError::Rule(format!(
                "process.tokens.keys: key {} needs exactly one of ed25519_file and hs256_file",
                key.kid
            ))),
        };
        let keys = self.keys.iter().map(key).collect::<Result<Vec<_>, BootError>>()?;
        Ok(Verifier::new(self.issuer.as_str(), keys)?)
    }
}

impl Upstream {
    /// The way to it. The section is where these settings stand, `registry`.
    ///
    /// # Errors
    /// When the token can't be read or used, or the address is none or not on loopback.
    pub fn transport(&self, section: &str) -> Result<Transport, BootError> {
        if !self.stays_here() {
            return Err(BootError::Rule(format!(
                "{section}.address: must be http on a loopback address or localhost: our token passes through it unencrypted"
            )));
        }
        let token = Secret::new(read(&format!("{section}.token_file"), &self.token_file)?.trim());
        Transport::connect(&self.address, Some(&token)).map_err(|cause| {
            let key = match cause {
                TransportError::Address { .. } | TransportError::Tls(_) => "address",
                TransportError::Token => "token_file",
            };
            BootError::Transport { setting: format!("{section}.{key}"), cause }
        })
    }
}

impl Upstream {
    /// Whether what is said to the address stays on this machine.
    fn stays_here(&self) -> bool {
        let url = Url::parse(&self.address).ok().filter(|url| url.scheme() == "http");
        match url.as_ref().and_then(Url::host) {
            None => false,
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
        }
    }
}

fn read(setting: &str, file: &Path) -> Result<String, BootError> {
    std::fs::read_to_string(file).map_err(|cause| BootError::File {
        setting: setting.to_owned(),
        path: file.to_owned(),
        cause,
    })
}

const fn yes() -> bool {
    true
}

const fn half_a_minute() -> Span {
    Span::from_secs(30)
}

fn database_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DatabaseUrl, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "listen = '127.0.0.1:0'\ndatabase = 'sqlite:x.db'\ntokens = { issuer = 'i', keys = [{ kid = 'k' }] }\n";

    fn load(text: &str) -> Result<Process, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("service.toml");
        std::fs::write(&file, text).unwrap();
        sluice_runtime::config::load(Some(&file), "SLUICE_BOOT_UNIT_", &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn unknown_settings_are_refused_with_their_name() {
        assert!(load(GOOD).is_ok());
        assert!(load(&format!("colour = 1\n{GOOD}")).unwrap_err().contains("colour"));
    }

    #[test]
    fn a_key_without_a_file_is_refused_with_its_name() {
        let refused = load(GOOD).unwrap().tokens.verifier().err().unwrap().to_string();
        assert!(refused.contains("key k needs exactly one"), "{refused}");
    }

    #[test]
    fn internal_services_stay_on_loopback() {
        let open = load(&format!("internal_listen = '0.0.0.0:1'\n{GOOD}")).unwrap();
        assert!(open.check().unwrap_err().to_string().contains("process.internal_listen"));
        assert!(load(&format!("internal_listen = '127.0.0.1:1'\n{GOOD}")).unwrap().check().is_ok());
    }

    #[tokio::test]
    async fn a_token_never_leaves_the_machine_in_clear() {
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, "t0k3n").unwrap();
        let to = |address: &str| {
            let upstream = Upstream { address: address.to_owned(), token_file: token_file.clone() };
            upstream.transport("registry").map_err(|error| error.to_string())
        };
        for near in ["http://127.0.0.1:7171", "http://[::1]:7171", "http://localhost:7171"] {
            assert!(to(near).is_ok(), "{near}");
        }
        for far in [
            "http://registry:7171",
            "http://10.0.0.1:7171",
            "http://[::ffff:10.0.0.1]:1",
            "http://localhost.example:1",
        ] {
            assert!(to(far).unwrap_err().starts_with("registry.address: must be"), "{far}");
        }
        for none in ["registry", "localhost:7171", "https://localhost:1"] {
            assert!(to(none).unwrap_err().starts_with("registry.address: "), "{none}");
        }
    }
}
