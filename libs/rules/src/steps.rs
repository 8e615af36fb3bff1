//! The steps of an automation, and the flat plan they come to for one event.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::rejection::Rejection;
use crate::request::{CompiledRequest, RenderedRequest, RequestTemplate};
use crate::template::Setting;
use crate::violation::Violations;

/// How long all delays of an automation may take together: 90 days, in microseconds.
pub const MAX_TOTAL_DELAY_MICROS: i64 = 90 * 24 * 60 * 60 * 1_000_000;

/// A step, unchecked: `{"request": {"webhook": "wh_…", "request": {…}}}` or `{"delay": {"micros": 60000000}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Send a request to a webhook.
    Request {
        /// The webhook's id.
        webhook: String,
        /// The request.
        request: RequestTemplate,
    },
    /// Wait.
    Delay {
        /// How long, in microseconds; more than none.
        micros: i64,
    },
}

/// How many steps an account's plan allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepLimits {
    /// Steps in all, delays included.
    pub max_steps: usize,
    /// Delays among them.
    pub max_delays: usize,
    /// All delays together, in microseconds.
    pub max_total_delay_micros: i64,
}

/// Checked steps.
#[derive(Debug)]
pub struct CompiledSteps {
    requests: Vec<Request>,
}

#[derive(Debug)]
struct Request {
    delay_micros: i64,
    webhook: String,
    request: CompiledRequest,
}

/// One request of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The delays between the request before it (or the event) and this one, in microseconds.
    pub delay_micros: i64,
    /// The webhook's id.
    pub webhook: String,
    /// The request.
    pub request: RenderedRequest,
}

/// Checks the steps of an automation and makes them ready. `field` is their own path, like `steps`.
///
/// # Errors
/// Every broken rule at once, each with its field, like `steps[1].request.path`.
pub fn check_steps(
    steps: &[Step],
    setting: Setting<'_>,
    limits: StepLimits,
    field: &str,
) -> Result<CompiledSteps, Violations> {
    let mut violations = Violations::default();
    check_counts(steps, limits, field, &mut violations);
    let mut requests = Vec::new();
    let mut waited: i64 = 0;
    for (index, step) in steps.iter().enumerate() {
        let field = format!("{field}[{index}]");
        match step {
            Step::Delay { micros } => {
                if *micros <= 0 {
                    violations.add(format!("{field}.delay"), "a delay must be longer than nothing");
                }
                waited = waited.saturating_add(*micros);
            }
            Step::Request { webhook, request } => {
                if webhook.is_empty() {
                    violations.add(format!("{field}.webhook"), "a webhook is needed");
                }
                match request.compile(setting, &format!("{field}.request")) {
                    Ok(request) => {
                        requests.push(Request { delay_micros: waited, webhook: webhook.clone(), request });
                    }
                    Err(found) => violations.append(found),
                }
                waited = 0;
            }
        }
    }
    if violations.is_empty() { Ok(CompiledSteps { requests }) } else { Err(violations) }
}

fn check_counts(steps: &[Step], limits: StepLimits, field: &str, violations: &mut Violations) {
    let delays = || {
        steps.iter().filter_map(|step| match step {
            Step::Delay { micros } => Some(*micros),
            Step::Request { .. } => None,
        })
    };
    let (count, delayed) = (steps.len(), delays().count());
    if count == delayed {
        violations.add(field, "at least one request is needed");
    }
    if count > limits.max_steps {
        violations.add(field, format!("{count} steps; the plan allows {}", limits.max_steps));
    }
    if delayed > limits.max_delays {
        violations.add(field, format!("{delayed} delays; the plan allows {}", limits.max_delays));
    }
    let total = delays().fold(0, i64::saturating_add);
    if total > limits.max_total_delay_micros {
        let most = limits.max_total_delay_micros / 1_000_000;
        violations
            .add(field, format!("delays of {} s in all; at most {most} s are allowed", total / 1_000_000));
    }
    if matches!(steps.last(), Some(Step::Delay { .. })) && count > delayed {
        violations.add(format!("{field}[{}]", count - 1), "a delay with nothing after it");
    }
}

impl CompiledSteps {
    /// The webhooks that the steps name, each once, in order.
    pub fn webhooks(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        self.requests
            .iter()
            .map(|request| request.webhook.as_str())
            .filter(|webhook| seen.insert(*webhook))
            .collect()
    }

    /// The plan for this event: its requests in order, rendered.
    ///
    /// # Errors
    /// The first [`Rejection`] of a request.
    pub fn plan(&self, context: &Context<'_>) -> Result<Vec<Planned>, Rejection> {
        let planned = |step: &Request| {
            let request = step.request.render(context)?;
            Ok(Planned { delay_micros: step.delay_micros, webhook: step.webhook.clone(), request })
        };
        self.requests.iter().map(planned).collect()
    }
}
