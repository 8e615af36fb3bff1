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

/// What one request comes to for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendering<'s> {
    /// The request's own path, like `steps[1].request`.
    pub field: &'s str,
    /// The delays between the request before it (or the event) and this one, in microseconds.
    pub delay_micros: i64,
    /// The webhook's id.
    pub webhook: &'s str,
    /// The request, or why it can't be made.
    pub request: Result<RenderedRequest, Rejection>,
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
    if steps.len() > limits.max_steps {
        violations.add(field, format!("{} steps; the plan allows {}", steps.len(), limits.max_steps));
        return Err(violations);
    }
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
        let planned = |step: Rendering<'_>| {
            let Rendering { delay_micros, webhook, request, .. } = step;
            Ok(Planned { delay_micros, webhook: webhook.to_owned(), request: request? })
        };
        self.renderings(context).map(planned).collect()
    }

    /// The requests in order, each rendered when its turn comes; one that is rejected keeps no other back.
    pub fn renderings<'s>(&'s self, context: &'s Context<'_>) -> impl Iterator<Item = Rendering<'s>> {
        self.requests.iter().map(|step| Rendering {
            field: step.request.field(),
            delay_micros: step.delay_micros,
            webhook: &step.webhook,
            request: step.request.render(context),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;
    use crate::records::{Action, EventView, Records};
    use crate::scope::Scope;
    use crate::template::Missing;

    const LIMITS: StepLimits =
        StepLimits { max_steps: 5, max_delays: 2, max_total_delay_micros: MAX_TOTAL_DELAY_MICROS };

    fn compile(steps: &str) -> Result<CompiledSteps, Violations> {
        let steps: Vec<Step> = serde_json::from_str(steps).unwrap();
        let setting = Setting { scope: &Scope::Object("deal".to_owned()), missing: Missing::Error };
        check_steps(&steps, setting, LIMITS, "steps")
    }

    fn fields(steps: &str) -> Vec<String> {
        compile(steps).unwrap_err().into_vec().into_iter().map(|violation| violation.field).collect()
    }

    fn request(webhook: &str, path: &str) -> String {
        format!(r#"{{"request":{{"webhook":"{webhook}","request":{{"method":"POST","path":"{path}"}}}}}}"#)
    }

    fn delay(micros: i64) -> String {
        format!(r#"{{"delay":{{"micros":{micros}}}}}"#)
    }

    fn records() -> Records {
        Records::new(EventView {
            object: "deal".to_owned(),
            action: Action::Added,
            current: Some(Json::object([("id", Json::from(7))])),
            previous: None,
            previous_partial: false,
            event: Json::object([("id", Json::from("e1"))]),
        })
    }

    fn plan(steps: &str) -> Result<Vec<Planned>, Rejection> {
        let records = records();
        let nothing = Json::object::<String>([]);
        compile(steps).unwrap().plan(&Context::new(&records, &nothing, &nothing))
    }

    #[test]
    fn delays_go_to_the_request_behind_them() {
        let steps = [
            request("wh_1", "a"),
            delay(2),
            delay(3),
            request("wh_2", "{{ deal.id }}"),
            request("wh_1", "b"),
        ];
        let steps = format!("[{}]", steps.join(","));
        let planned: Vec<(i64, String, String)> = plan(&steps)
            .unwrap()
            .into_iter()
            .map(|planned| (planned.delay_micros, planned.webhook, planned.request.path_and_query_suffix))
            .collect();
        let expected = [(0, "wh_1", "a"), (5, "wh_2", "7"), (0, "wh_1", "b")];
        assert_eq!(
            planned,
            expected.map(|(delay, webhook, path)| (delay, webhook.to_owned(), path.to_owned()))
        );
        assert_eq!(compile(&steps).unwrap().webhooks(), ["wh_1", "wh_2"]);
    }

    #[test]
    fn a_rejected_request_hides_none_behind_it() {
        let steps = [request("wh_1", "{{ deal.nope }}"), delay(3), request("wh_2", "b")];
        let compiled = compile(&format!("[{}]", steps.join(","))).unwrap();
        let records = records();
        let nothing = Json::object::<String>([]);
        let context = Context::new(&records, &nothing, &nothing);
        let seen: Vec<_> = compiled
            .renderings(&context)
            .map(|step| (step.field, step.delay_micros, step.webhook, step.request.is_ok()))
            .collect();
        assert_eq!(seen, [("steps[0].request", 0, "wh_1", false), ("steps[2].request", 3, "wh_2", true)]);
    }

    #[test]
    fn a_rejection_names_its_step() {
        let steps = format!("[{},{}]", request("wh_1", "a"), request("wh_1", "{{ deal.nope }}"));
        assert_eq!(
            plan(&steps).unwrap_err().to_string(),
            "steps[1].request.path: deal.nope is missing in this event"
        );
    }

    #[test]
    fn steps_have_limits() {
        assert_eq!(fields("[]"), ["steps"]);
        assert_eq!(fields(&format!("[{}]", delay(1))), ["steps"]);
        let many = vec![request("wh_1", "a"); 6].join(",");
        assert_eq!(fields(&format!("[{many}]")), ["steps"]);
        let last = request("wh_1", "a");
        assert_eq!(fields(&format!("[{},{},{},{last}]", delay(1), delay(1), delay(1))), ["steps"]);
        assert_eq!(fields(&format!("[{},{},{last}]", delay(MAX_TOTAL_DELAY_MICROS), delay(1))), ["steps"]);
        assert_eq!(fields(&format!("[{},{},{last}]", delay(i64::MAX), delay(i64::MAX))), ["steps"]);
        assert_eq!(fields(&format!("[{},{last}]", delay(0))), ["steps[0].delay"]);
        assert_eq!(fields(&format!("[{last},{}]", delay(1))), ["steps[1]"]);
    }

    #[test]
    fn every_mistake_of_all_steps_is_reported_at_once() {
        let steps = format!("[{},{},{}]", delay(-1), request("", "/a"), request("wh_1", "{{ x.y }}"));
        assert_eq!(
            fields(&steps),
            ["steps[0].delay", "steps[1].webhook", "steps[1].request.path", "steps[2].request.path"]
        );
    }

    #[test]
    fn too_many_steps_are_counted_and_not_looked_at() {
        let setting = Setting { scope: &Scope::Object("deal".to_owned()), missing: Missing::Error };
        let steps = vec![Step::Delay { micros: 0 }; 500_000];
        let found = check_steps(&steps, setting, LIMITS, "steps").unwrap_err().into_vec();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].description, "500000 steps; the plan allows 5");
    }
}
