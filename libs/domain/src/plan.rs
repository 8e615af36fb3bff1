//! The plan catalogue: what each plan's name stands for. A TOML file, so that a deployment can bring its own.

use std::collections::HashSet;

use serde::Deserialize;
use thiserror::Error;

use crate::{Allowance, Entitlements, Rate, Span, Timestamp};

const DAY: i64 = 24 * 60 * 60;

/// The catalogue can't be used; the text names the plan and the rule.
#[derive(Debug, Error)]
pub enum CatalogueError {
    /// The text is no TOML of this shape.
    #[error("the plan catalogue can't be read: {0}")]
    Shape(#[from] toml::de::Error),
    /// A number or name breaks a rule.
    #[error("plan `{plan}` in the catalogue: {rule}")]
    Rule {
        /// The plan's name.
        plan: String,
        /// What must hold.
        rule: &'static str,
    },
    /// There is no plan at all.
    #[error("the plan catalogue must hold at least one plan")]
    Empty,
}

/// A rate as the file has it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateEntry {
    units: u32,
    per_seconds: u32,
    burst: u32,
}

impl RateEntry {
    fn rate(self) -> Rate {
        Rate { units: self.units, per: Span::from_secs(i64::from(self.per_seconds)), burst: self.burst }
    }
}

/// One plan as the file has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The name billing uses, such as `advanced`.
    pub name: String,
    automations: bool,
    #[serde(default)]
    active_automations: u32,
    #[serde(default)]
    steps: u32,
    #[serde(default)]
    delays: u32,
    executions: Option<RateEntry>,
    executions_per_month: Option<i64>,
    notifications: RateEntry,
    max_waiting: i64,
    history_days: u32,
}

/// All plans, the humblest first.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    #[serde(rename = "plan")]
    plans: Vec<Plan>,
}

impl Catalogue {
    /// Reads and checks a catalogue.
    ///
    /// # Errors
    /// When the text has another shape or a plan breaks a rule.
    pub fn from_toml(text: &str) -> Result<Self, CatalogueError> {
        let catalogue: Self = toml::from_str(text)?;
        if catalogue.plans.is_empty() {
            return Err(CatalogueError::Empty);
        }
        let mut names = HashSet::new();
        for plan in &catalogue.plans {
            let rule =
                if !names.insert(&plan.name) { Some("names must be unique") } else { plan.broken_rule() };
            if let Some(rule) = rule {
                return Err(CatalogueError::Rule { plan: plan.name.clone(), rule });
            }
        }
        Ok(catalogue)
    }

    /// The plan of this name.
    pub fn get(&self, name: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.name == name)
    }

    /// The names of all plans, the humblest first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.plans.iter().map(|plan| plan.name.as_str())
    }

    /// The humblest plan that has automations: what a refusal tells the caller to get.
    pub fn first_with_automations(&self) -> Option<&str> {
        self.plans.iter().find(|plan| plan.automations).map(|plan| plan.name.as_str())
    }
}

impl Plan {
    /// What an account on this plan may do, with periods counted from `anchor`.
    pub fn entitlements(&self, version: i64, anchor: Timestamp) -> Entitlements {
        let nothing = Rate { units: 0, per: Span::from_secs(60), burst: 0 };
        Entitlements {
            version,
            plan: self.name.clone(),
            automations: self.automations,
            active_automations: self.active_automations,
            steps: self.steps,
            delays: self.delays,
            executions: self.executions.map_or(nothing, RateEntry::rate),
            allowance: self.executions_per_month.map(|amount| Allowance { amount, anchor }),
            notifications: self.notifications.rate(),
            max_waiting: self.max_waiting,
            history: Span::from_secs(i64::from(self.history_days) * DAY),
        }
    }

    fn broken_rule(&self) -> Option<&'static str> {
        let possible = |rate: RateEntry| {
            (1..=86_400).contains(&rate.per_seconds)
                && rate.units <= 1_000_000
                && rate.burst <= 1_000_000
                && (rate.units == 0) == (rate.burst == 0)
        };
        if self.name.is_empty()
            || !self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            return Some("names must be 1 or more characters out of A-Z a-z 0-9 - _");
        }
        if self.automations && (self.executions.is_none() || self.active_automations == 0 || self.steps == 0)
        {
            return Some("a plan with automations needs executions, active_automations and steps");
        }
        if self.executions.is_some_and(|rate| !possible(rate)) || !possible(self.notifications) {
            return Some(
                "rates need per_seconds 1 to 86,400, units and burst up to 1,000,000, both zero or neither",
            );
        }
        let countable = |rate: RateEntry| rate.units == 0 || rate.rate().cell().is_some();
        if self.executions.is_some_and(|rate| !countable(rate)) || !countable(self.notifications) {
            return Some("a rate's full burst must come back within ten years: burst * per_seconds / units");
        }
        if self.executions_per_month.is_some_and(|amount| !(0..=Allowance::MOST).contains(&amount)) {
            return Some("executions_per_month must be 0 to 1,000,000,000,000,000");
        }
        if !(1..=1_000_000_000).contains(&self.max_waiting) {
            return Some("max_waiting must be 1 to 1,000,000,000");
        }
        if !(1..=3_650).contains(&self.history_days) {
            return Some("history_days must be 1 to 3,650");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"
        [[plan]]
        name = "basic"
        automations = true
        active_automations = 5
        steps = 3
        executions = { units = 10, per_seconds = 60, burst = 10 }
        executions_per_month = 100
        notifications = { units = 60, per_seconds = 60, burst = 60 }
        max_waiting = 1000
        history_days = 7
    "#;

    #[test]
    fn a_plan_becomes_entitlements_with_its_numbers() {
        let catalogue = Catalogue::from_toml(ONE).unwrap();
        let entitlements = catalogue.get("basic").unwrap().entitlements(3, Timestamp::EPOCH);
        assert_eq!(entitlements.version, 3);
        assert_eq!(entitlements.executions, Rate { units: 10, per: Span::from_secs(60), burst: 10 });
        assert_eq!(entitlements.allowance.unwrap().amount, 100);
        assert_eq!(catalogue.first_with_automations(), Some("basic"));
    }

    #[test]
    fn a_broken_catalogue_is_refused_with_the_plan_and_the_rule() {
        for (from, to, word) in [
            ("per_seconds = 60, burst = 10", "per_seconds = 0, burst = 10", "per_seconds"),
            (
                "units = 10, per_seconds = 60, burst = 10",
                "units = 0, per_seconds = 60, burst = 1",
                "both zero",
            ),
            (
                "units = 10, per_seconds = 60, burst = 10",
                "units = 1, per_seconds = 60, burst = 0",
                "both zero",
            ),
            (
                "units = 10, per_seconds = 60, burst = 10",
                "units = 1, per_seconds = 86_401, burst = 1",
                "86,400",
            ),
            (
                "units = 10, per_seconds = 60, burst = 10",
                "units = 1_000_001, per_seconds = 60, burst = 1",
                "1,000,000",
            ),
            (
                "units = 10, per_seconds = 60, burst = 10",
                "units = 4_294_967_295, per_seconds = 1, burst = 1",
                "1,000,000",
            ),
            (
                "units = 10, per_seconds = 60, burst = 10",
                "units = 4_294_967_296, per_seconds = 1, burst = 1",
                "u32",
            ),
            (
                "units = 10, per_seconds = 60, burst = 10",
                "units = 1, per_seconds = 86_400, burst = 1_000_000",
                "ten years",
            ),
            ("executions_per_month = 100", "executions_per_month = -1", "executions_per_month"),
            (
                "executions_per_month = 100",
                "executions_per_month = 1_000_000_000_000_001",
                "executions_per_month",
            ),
            (
                "executions_per_month = 100",
                "executions_per_month = 9_223_372_036_854_775_807",
                "executions_per_month",
            ),
            ("max_waiting = 1000", "max_waiting = 0", "max_waiting"),
            ("max_waiting = 1000", "max_waiting = 9_223_372_036_854_775_807", "max_waiting"),
            ("steps = 3", "steps = 0", "steps"),
            ("history_days = 7", "history_days = 7\ncolour = 1", "colour"),
        ] {
            let text = ONE.replacen(from, to, 1);
            let error = Catalogue::from_toml(&text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        let twice = format!("{ONE}{ONE}");
        assert!(Catalogue::from_toml(&twice).unwrap_err().to_string().contains("unique"));
    }
}
