//! The evaluator's settings.

use serde::{Deserialize, Serialize};
use sluice_domain::Span;

/// What can be set; every setting has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long a call that names an account or webhook of which the registry's feed has not told waits for it, before it is
    /// refused. Default 500 ms.
    #[serde(with = "sluice_runtime::human_span")]
    pub catch_up: Span,
    /// How often the outbox of stop markers is looked through for what a crashed replica left behind. Default 5 s.
    #[serde(with = "sluice_runtime::human_span")]
    pub stops_interval: Span,
    /// How many automations an account may have, active or not; 1 to 100,000. Default 1,000.
    pub automations_per_account: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            catch_up: Span::from_millis(500),
            stops_interval: Span::from_secs(5),
            automations_per_account: 1_000,
        }
    }
}

impl Config {
    /// The rule that a setting breaks, its key first; `None` when all is well.
    pub fn broken_rule(&self) -> Option<&'static str> {
        if self.stops_interval < Span::from_millis(10) {
            return Some("stops_interval: must be at least 10ms");
        }
        if self.catch_up > Span::from_secs(10) {
            return Some("catch_up: must be at most 10s, callers wait for it");
        }
        if !(1..=100_000).contains(&self.automations_per_account) {
            return Some("automations_per_account: must be 1 to 100,000");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_defaults_and_rules_and_no_unknown_keys() {
        let read = |text: &str| serde_json::from_str::<Config>(text);
        assert_eq!(read("{}").unwrap(), Config::default());
        assert_eq!(read(r#"{"catch_up":"1s"}"#).unwrap().catch_up, Span::from_secs(1));
        assert!(read(r#"{"cach_up":"1s"}"#).is_err());
        assert_eq!(Config::default().broken_rule(), None);
        assert!(read(r#"{"stops_interval":"0s"}"#).unwrap().broken_rule().is_some());
        assert!(read(r#"{"catch_up":"1h"}"#).unwrap().broken_rule().is_some());
        assert!(read(r#"{"automations_per_account":0}"#).unwrap().broken_rule().is_some());
    }
}
