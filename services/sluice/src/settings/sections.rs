//! The groups of settings that are not a service's own.

use std::path::PathBuf;

use serde::Deserialize;
use sluice_dispatcher::config as dispatcher;
use sluice_domain::Secret;
use sluice_registry::config as registry;

use crate::data_directory::ISSUER;

/// Whose tokens are taken.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// `auth.issuer`: what a token's `iss` must be.
    pub issuer: String,
    /// `auth.keys`: ed25519 keys that tokens may be signed with besides the data directory's own.
    pub keys: Vec<TrustedKey>,
    /// `auth.development_secret`: a shared secret of at least 32 bytes for HS256 tokens with key id `development`; with `dev` only.
    pub development_secret: Option<Secret>,
}

/// A public key of a token issuer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedKey {
    /// `kid`: the id that tokens name it by.
    pub kid: String,
    /// `public_key_file`: its PEM.
    pub public_key_file: PathBuf,
}

impl Default for Auth {
    fn default() -> Self {
        Self { issuer: ISSUER.to_owned(), keys: Vec::new(), development_secret: None }
    }
}

/// The registry's settings, but for `egress`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registry {
    /// `registry.sealing.…`: the keys that secrets are sealed with; the data directory's own when none are set.
    pub sealing: registry::Sealing,
    /// `registry.plans_file`: a catalogue of plans in place of the one that comes with Sluice.
    pub plans_file: Option<PathBuf>,
    /// `registry.accounts.…`: accounts that billing has not told us of.
    pub accounts: registry::Accounts,
    /// `registry.feed.…`: how changes are told to the other services.
    pub feed: registry::Feed,
    /// `registry.limits.…`: how many webhooks an account may have.
    pub limits: sluice_registry::limits::Limits,
}

impl Registry {
    /// Callers and operators are the same people here, so refused targets explain themselves.
    pub(super) fn into_config(self, egress: sluice_egress::Settings) -> registry::Config {
        let Self { sealing, plans_file, accounts, feed, limits } = self;
        registry::Config { sealing, plans_file, accounts, egress, explain_targets: true, feed, limits }
    }
}

/// The dispatcher's settings, but for `egress`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dispatcher {
    /// `dispatcher.receipts`: how long the answer to an event is kept, for when it comes again.
    #[serde(with = "sluice_runtime::human_span")]
    pub receipts: sluice_domain::Span,
    /// `dispatcher.retry.…`: when a delivery is tried again.
    pub retry: sluice_dispatcher::retry::Schedule,
    /// `dispatcher.breaker.…`: when a webhook that fails is held back, and when it is disabled.
    pub breaker: sluice_dispatcher::breaker::Policy,
    /// `dispatcher.delivery.…`: how requests are sent.
    pub delivery: dispatcher::Delivery,
    /// `dispatcher.watch.…`: those who watch executions.
    pub watch: dispatcher::Watch,
}

impl Default for Dispatcher {
    fn default() -> Self {
        let dispatcher::Config { receipts, retry, breaker, delivery, watch, .. } =
            dispatcher::Config::default();
        Self { receipts, retry, breaker, delivery, watch }
    }
}

impl Dispatcher {
    pub(super) fn into_config(self, egress: sluice_egress::Settings) -> dispatcher::Config {
        let Self { receipts, retry, breaker, delivery, watch } = self;
        dispatcher::Config { receipts, retry, breaker, delivery, watch, egress }
    }
}

/// What is told of the process, and to whom.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// `telemetry.filter`: which lines are written, `info` or `warn,sluice_dispatcher=debug`.
    pub filter: String,
    /// `telemetry.json`: lines as JSON objects instead of text.
    pub json: bool,
    /// `telemetry.otlp_endpoint`: where an OpenTelemetry collector listens for gRPC, `http://localhost:4317`.
    pub otlp_endpoint: Option<String>,
    /// `telemetry.trace_ratio`: of the traces that begin here, the share that is recorded, 0 to 1; a caller's own decision stands.
    pub trace_ratio: f64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { filter: "info".to_owned(), json: false, otlp_endpoint: None, trace_ratio: 1.0 }
    }
}
