//! The settings that every service binary has.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer};
use sluice_domain::Span;
use sluice_storage::DatabaseUrl;

use crate::BootError;
use crate::tls::{InternalTls, PublicTls};
use crate::tokens::Tokens;

/// The least and the most that `process.reload_interval` may be.
const RELOAD_INTERVALS: (Span, Span) = (Span::from_millis(100), Span::from_secs(3_600));

/// `process.…`: what a service binary is told beside the service's own settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// `process.listen`: where the public services are, `0.0.0.0:7071`.
    pub listen: SocketAddr,
    /// `process.tls.…`: the certificate shown there; without it they are spoken to in clear.
    pub tls: Option<PublicTls>,
    /// `process.internal_listen`: where the services for Sluice's own are.
    pub internal_listen: Option<SocketAddr>,
    /// `process.internal_tls.…`: mutual TLS there; needed unless it is a loopback address.
    pub internal_tls: Option<InternalTls>,
    /// `process.probe_listen`: where the public services' health alone is told, always in clear: kubelets speak no TLS.
    pub probe_listen: Option<SocketAddr>,
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
    /// `process.reload_interval`: how often files with certificates, keys and tokens are looked at, so that new ones come into
    /// force without a restart; 100ms to 1h.
    #[serde(default = "five_seconds", with = "sluice_runtime::human_span")]
    pub reload_interval: Span,
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
        let rule = |text: &str| Err(BootError::Rule(text.to_owned()));
        match (self.internal_listen, &self.internal_tls) {
            (Some(address), None) if !address.ip().is_loopback() => rule(
                "process.internal_listen: must be a loopback address without process.internal_tls: credentials pass through it",
            ),
            (None, Some(_)) => rule("process.internal_tls: is of use only with process.internal_listen"),
            _ if self.reload_interval < RELOAD_INTERVALS.0 || self.reload_interval > RELOAD_INTERVALS.1 => {
                rule("process.reload_interval: must be 100ms to 1h")
            }
            _ if self.drain_within < Span::from_secs(1) || self.drain_within > Span::from_secs(3_600) => {
                rule("process.drain_within: must be 1s to 1h")
            }
            _ => self.tokens.check(),
        }
    }
}

const fn yes() -> bool {
    true
}

const fn half_a_minute() -> Span {
    Span::from_secs(30)
}

const fn five_seconds() -> Span {
    Span::from_secs(5)
}

fn database_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DatabaseUrl, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "listen = '127.0.0.1:0'\ndatabase = 'sqlite:x.db'\ntokens = { issuer = 'i', keys = [{ kid = 'k', ed25519_file = 'k' }] }\n";

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
        let refused =
            load(&GOOD.replace(", ed25519_file = 'k'", "")).unwrap().check().unwrap_err().to_string();
        assert!(refused.contains("key k needs exactly one"), "{refused}");
    }

    #[test]
    fn internal_services_stay_on_loopback_or_behind_mutual_tls() {
        let said = |lines: &str| {
            load(&format!("{lines}\n{GOOD}")).unwrap().check().map_err(|error| error.to_string())
        };
        let tls = "internal_tls = { cert_file = 'c', key_file = 'k', client_ca_file = 'a' }";
        let open = "internal_listen = '0.0.0.0:1'";
        assert!(said(open).unwrap_err().starts_with("process.internal_listen: must be a loopback address"));
        assert!(said(tls).unwrap_err().starts_with("process.internal_tls: "));
        for good in
            ["internal_listen = '127.0.0.1:1'", "internal_listen = '[::1]:1'", &format!("{open}\n{tls}")]
        {
            assert!(said(good).is_ok(), "{good}");
        }
        assert!(
            load(&format!("{open}\ninternal_tls = {{ cert_file = 'c', key_file = 'k' }}\n{GOOD}")).is_err()
        );
    }

    #[test]
    fn numbers_out_of_range_are_refused_with_their_name() {
        for (line, key) in [
            ("reload_interval = '1ms'", "process.reload_interval: "),
            ("reload_interval = '1d'", "process.reload_interval: "),
            ("drain_within = '0s'", "process.drain_within: "),
        ] {
            let refused = load(&format!("{line}\n{GOOD}")).unwrap().check().unwrap_err().to_string();
            assert!(refused.starts_with(key), "{refused}");
        }
    }

    #[test]
    fn printed_settings_show_no_password() {
        let settings = load(&GOOD.replace("sqlite:x.db", "postgres://sluice:s3cret@db/x?schema=y")).unwrap();
        let printed = format!("{settings:?}");
        assert!(printed.contains("db") && !printed.contains("s3cret"), "{printed}");
    }
}
