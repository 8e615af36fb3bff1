//! An automation made ready to judge events: checked, its templates parsed, nothing left to look up.

use sluice_domain::{AutomationId, Subscription};
use sluice_rules::{
    Compiled, CompiledSteps, Json, MAX_TOTAL_DELAY_MICROS, Setting, StepLimits, Violations, check,
    check_steps,
};
use thiserror::Error;

use super::Automation;

/// What a plan doesn't decide: plans limit what is saved, not what fires.
pub(super) const HOUSE_LIMITS: StepLimits = StepLimits {
    max_steps: usize::MAX,
    max_delays: usize::MAX,
    max_total_delay_micros: MAX_TOTAL_DELAY_MICROS,
};

/// A stored automation no longer passes the checks it once passed: the rules became stricter without a migration.
#[derive(Debug, Error)]
#[error("automation {automation} can't be compiled: {violations}")]
pub struct CompileError {
    automation: AutomationId,
    violations: Violations,
}

/// An active automation, ready.
#[derive(Debug)]
pub struct CompiledAutomation {
    /// Its id; ids sort by creation.
    pub id: AutomationId,
    /// The version that fires.
    pub version: i64,
    /// The generation that fires.
    pub generation: i64,
    /// Which events set it off.
    pub trigger: Subscription,
    /// What must hold.
    pub condition: Compiled,
    /// What is done.
    pub steps: CompiledSteps,
    /// What the placeholder root `automation` reads: `id`, `name` and `version`.
    pub shown: Json,
}

impl CompiledAutomation {
    /// Makes an automation ready.
    ///
    /// # Errors
    /// When its definition breaks a rule, which saving it would have refused.
    pub fn compile(automation: &Automation) -> Result<Self, CompileError> {
        let broken = |violations| CompileError { automation: automation.id, violations };
        let definition = &automation.definition;
        let scope = definition.scope();
        let setting = Setting { scope: &scope, missing: definition.missing };
        Ok(Self {
            id: automation.id,
            version: automation.version,
            generation: automation.generation,
            trigger: definition.trigger.clone(),
            condition: check(&definition.condition, &scope, "condition").map_err(broken)?,
            steps: check_steps(&definition.steps, setting, HOUSE_LIMITS, "steps").map_err(broken)?,
            shown: Json::object([
                ("id", Json::from(automation.id.to_string())),
                ("name", Json::from(definition.display_name.as_str())),
                ("version", Json::from(automation.version)),
            ]),
        })
    }
}
