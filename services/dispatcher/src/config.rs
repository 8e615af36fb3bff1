//! The dispatcher's settings. Every one has a default.

use std::time::Duration;

use serde::Deserialize;
use sluice_domain::Span;
use sluice_egress::{BodyCaps, Timeouts};
use thiserror::Error;

use crate::breaker::Policy;
use crate::claim::Lease;
use crate::retry::Schedule;

/// What a drain takes beyond the longest request: a look-up of the target before it, and the report after it.
const DRAIN_MARGIN: Span = Span::from_secs(10);

/// What a dispatcher is set up with; the keys of the TOML file are the names of the fields.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `retry.…`: when a delivery is tried again.
    pub retry: Schedule,
    /// `breaker.…`: when a webhook that fails is held back, and when it is disabled.
    pub breaker: Policy,
    /// `delivery.…`: how requests are sent.
    pub delivery: Delivery,
    /// `receipts`: how long the answer to an event is kept, for when it comes again; at least 1h.
    #[serde(with = "sluice_runtime::human_span")]
    pub receipts: Span,
    /// `watch.…`: those who watch executions.
    pub watch: Watch,
    /// `egress.…`: where requests may go; the registry judges by its own settings of the same names when a webhook is saved.
    pub egress: sluice_egress::Settings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retry: Schedule::default(),
            breaker: Policy::default(),
            delivery: Delivery::default(),
            receipts: Span::from_secs(7 * 86_400),
            watch: Watch::default(),
            egress: sluice_egress::Settings::default(),
        }
    }
}

/// How requests are sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// `delivery.in_flight`: how many requests this process has under way at most; 1 to 100,000.
    pub in_flight: usize,
    /// `delivery.connect_timeout`: the look-up, the connection and the TLS handshake together.
    #[serde(with = "sluice_runtime::human_span")]
    pub connect_timeout: Span,
    /// `delivery.first_byte_timeout`: until the answer's head is there.
    #[serde(with = "sluice_runtime::human_span")]
    pub first_byte_timeout: Span,
    /// `delivery.timeout`: until the answer's body is there. The lease of a claim is derived from it.
    #[serde(with = "sluice_runtime::human_span")]
    pub timeout: Span,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            in_flight: 1_024,
            connect_timeout: Span::from_secs(5),
            first_byte_timeout: Span::from_secs(15),
            timeout: Span::from_secs(20),
        }
    }
}

/// Those who watch executions.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Watch {
    /// `watch.per_account`: how many watches one account may have in this process at once; 1 to 10,000.
    pub per_account: usize,
    /// `watch.changes`: how long what happened is kept, and so how old a cursor may be; at least 1m.
    #[serde(with = "sluice_runtime::human_span")]
    pub changes: Span,
}

impl Default for Watch {
    fn default() -> Self {
        Self { per_account: 32, changes: Span::from_secs(86_400) }
    }
}

/// A setting can't be used; the text names it and its rule.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A number is out of range or does not fit another.
    #[error("{0}")]
    Rule(&'static str),
}

impl Config {
    /// Checks the numbers, also against one another.
    ///
    /// # Errors
    /// The first rule that is broken, with its key.
    pub fn check(&self) -> Result<(), ConfigError> {
        if let Some(rule) = self.retry.broken_rule().or_else(|| self.breaker.broken_rule()) {
            return Err(ConfigError::Rule(rule));
        }
        if self.receipts < Span::from_secs(3_600) {
            return Err(ConfigError::Rule("receipts must be at least 1h: producers repeat events meanwhile"));
        }
        if !(1..=10_000).contains(&self.watch.per_account) {
            return Err(ConfigError::Rule("watch.per_account must be 1 to 10,000"));
        }
        if self.watch.changes < Span::from_secs(60) {
            return Err(ConfigError::Rule("watch.changes must be at least 1m: watchers come back meanwhile"));
        }
        let delivery = &self.delivery;
        if !(1..=100_000).contains(&delivery.in_flight) {
            return Err(ConfigError::Rule("delivery.in_flight must be 1 to 100,000"));
        }
        if delivery.connect_timeout < Span::from_millis(10) || delivery.timeout > Span::from_secs(300) {
            return Err(ConfigError::Rule(
                "delivery.connect_timeout must be at least 10ms, delivery.timeout at most 5m",
            ));
        }
        if delivery.connect_timeout > delivery.first_byte_timeout
            || delivery.first_byte_timeout > delivery.timeout
        {
            return Err(ConfigError::Rule(
                "delivery.connect_timeout must not exceed delivery.first_byte_timeout, nor that delivery.timeout",
            ));
        }
        Ok(())
    }

    /// The lease that claims get.
    pub const fn lease(&self) -> Lease {
        Lease::for_timeout(self.delivery.timeout)
    }

    /// How long the parts of an exchange may take.
    pub fn timeouts(&self) -> Timeouts {
        Timeouts {
            connect: self.delivery.connect_timeout.to_duration(),
            first_byte: self.delivery.first_byte_timeout.to_duration(),
            total: self.delivery.timeout.to_duration(),
        }
    }

    /// How long a drain may take: what is dialled ends, and is recorded.
    pub fn drain_within(&self) -> Duration {
        self.delivery.timeout.plus(DRAIN_MARGIN).to_duration()
    }

    /// How much of an answer is read and kept.
    pub fn body_caps() -> BodyCaps {
        BodyCaps { keep: 64 * 1024, read: 1024 * 1024 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_in_order_and_the_lease_outlasts_a_request() {
        let config = Config::default();
        config.check().unwrap();
        let lease = config.lease();
        assert!(lease.length > config.delivery.timeout.plus(lease.send_within));
    }

    #[test]
    fn numbers_that_do_not_fit_one_another_are_named() {
        let mut config = Config::default();
        config.delivery.connect_timeout = Span::from_secs(60);
        assert!(config.check().unwrap_err().to_string().contains("delivery.first_byte_timeout"));
        let breaker = Policy { failures: 0, ..Policy::default() };
        let said = Config { breaker, ..Config::default() }.check().unwrap_err().to_string();
        assert!(said.contains("breaker.failures"), "{said}");
    }
}
