//! The checks before an automation is saved or activated: everything that is wrong with it, at once.

use sluice_domain::{Entitlements, Subscription, Violations, WebhookId};
use sluice_rules::{Condition, Missing, RequestTemplate, Setting, Step, check, check_steps};

use super::compiled::HOUSE_LIMITS;
use super::field::written;
use super::{Definition, MAX_DEFINITION_BYTES, MAX_NAME_CHARS, scope};
use crate::snapshot::AccountView;
use crate::webhook::WebhookKind;

/// A definition as far as it could be read: `None` where the request said something that can't be one.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// The display name, unchecked.
    pub display_name: Option<String>,
    /// The trigger.
    pub trigger: Option<Subscription>,
    /// The condition.
    pub condition: Option<Condition>,
    /// The steps.
    pub steps: Option<Vec<Step>>,
    /// What a placeholder without a value is.
    pub missing: Missing,
}

/// What kind of rule is broken beside the fields' own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The account has no such webhook.
    WebhookUnknown(String),
    /// The webhook is not for automations.
    WebhookKind(WebhookId),
    /// More than the plan allows.
    PlanLimit {
        /// What is limited: `steps` or `delays`.
        limit: &'static str,
        /// How many there are.
        used: usize,
        /// How many the plan allows.
        of: u32,
    },
}

/// Everything that is wrong with an automation.
#[derive(Debug, Default)]
pub struct Findings {
    /// Broken rules of fields alone.
    pub violations: Violations,
    /// The others, each with its field and its words.
    pub found: Vec<(Finding, String, String)>,
}

impl Findings {
    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.violations.is_empty() && self.found.is_empty()
    }

    fn add(&mut self, finding: Finding, field: String, words: String) {
        self.found.push((finding, field, words));
    }
}

impl Draft {
    /// The draft as a definition, unchecked; `None` when a part of it could not be read.
    pub fn into_definition(self) -> Option<Definition> {
        Some(Definition {
            display_name: self.display_name?,
            trigger: self.trigger?,
            condition: self.condition?,
            steps: self.steps?,
            missing: self.missing,
        })
    }

    /// The ids of the webhooks that its steps name.
    pub fn webhooks(&self) -> Vec<WebhookId> {
        let steps = self.steps.as_deref().unwrap_or_default();
        let named = steps.iter().filter_map(|step| match step {
            Step::Request { webhook, .. } => webhook.parse().ok(),
            Step::Delay { .. } => None,
        });
        named.collect()
    }
}

impl From<Definition> for Draft {
    fn from(definition: Definition) -> Self {
        let Definition { display_name, trigger, condition, steps, missing } = definition;
        Self {
            display_name: Some(display_name),
            trigger: Some(trigger),
            condition: Some(condition),
            steps: Some(steps),
            missing,
        }
    }
}

/// Checks the fields of a draft, as far as they were read, by the rules that hold for every account. Fields are named from the
/// request: `automation.steps[0].request.path`.
pub fn check_fields(draft: &Draft, found: &mut Violations) {
    if let Some(name) = &draft.display_name {
        let chars = name.chars().count();
        if chars == 0 || chars > MAX_NAME_CHARS || name.chars().any(char::is_control) {
            let rule = format!("must be 1 to {MAX_NAME_CHARS} characters, none of them a control character");
            found.add(written("display_name"), rule);
        }
    }
    let scope = draft.trigger.as_ref().map_or(sluice_rules::Scope::AnyObject, scope);
    let setting = Setting { scope: &scope, missing: draft.missing };
    if let Some(condition) = &draft.condition {
        take(found, check(condition, &scope, "condition").err());
    }
    if let Some(steps) = &draft.steps {
        take(found, check_steps(steps, setting, HOUSE_LIMITS, "steps").err());
    }
}

/// Checks a whole draft: its fields, the plan and the account's webhooks. `found` is what reading the request found already.
///
/// # Errors
/// Everything that is wrong, when something is.
pub fn check_draft(
    draft: Draft,
    found: Violations,
    entitlements: &Entitlements,
    view: &AccountView,
) -> Result<Definition, Findings> {
    let mut findings = Findings { violations: found, found: Vec::new() };
    check_fields(&draft, &mut findings.violations);
    if let Some(steps) = &draft.steps {
        check_plan(steps, entitlements, &mut findings);
        check_webhooks(steps, view, &mut findings);
    }
    let definition = draft.into_definition();
    if let Some(bytes) = definition.as_ref().map(stored_bytes)
        && bytes > MAX_DEFINITION_BYTES
    {
        let rule = format!(
            "the automation is too large: {bytes} bytes as stored; at most {MAX_DEFINITION_BYTES} are allowed"
        );
        findings.violations.add(written("steps"), rule);
    }
    match definition {
        Some(definition) if findings.is_empty() => Ok(definition),
        _ => Err(findings),
    }
}

fn stored_bytes(definition: &Definition) -> usize {
    serde_json::to_vec(definition).map_or(usize::MAX, |stored| stored.len())
}

fn take(violations: &mut Violations, found: Option<sluice_rules::Violations>) {
    for violation in found.map(sluice_rules::Violations::into_vec).into_iter().flatten() {
        violations.add(written(&violation.field), violation.description);
    }
}

fn check_plan(steps: &[Step], entitlements: &Entitlements, findings: &mut Findings) {
    let delays = steps.iter().filter(|step| matches!(step, Step::Delay { .. })).count();
    for (limit, used, of) in
        [("steps", steps.len(), entitlements.steps), ("delays", delays, entitlements.delays)]
    {
        if used > of as usize {
            let words = format!("{used} {limit}; plan {} allows {of}", entitlements.plan);
            findings.add(Finding::PlanLimit { limit, used, of }, written("steps"), words);
        }
    }
}

fn check_webhooks(steps: &[Step], view: &AccountView, findings: &mut Findings) {
    for (index, step) in steps.iter().enumerate() {
        let Step::Request { webhook: id, request } = step else { continue };
        let field = written(&format!("steps[{index}].request.webhook"));
        let Some(webhook) = id.parse().ok().and_then(|id| view.webhook(id)) else {
            findings.add(
                Finding::WebhookUnknown(id.clone()),
                field,
                format!("the account has no webhook {id}"),
            );
            continue;
        };
        if webhook.kind != WebhookKind::Automation {
            let words = format!("{id} is an EVENT webhook; steps need one of kind AUTOMATION");
            findings.add(Finding::WebhookKind(webhook.id), field, words);
        } else if appends(request) && !webhook.appendable {
            findings
                .violations
                .add(field, "its URL must end in `/`, `&`, `?` or `=` for a path or query to be appended");
        }
    }
}

fn appends(request: &RequestTemplate) -> bool {
    request.path.as_ref().is_some_and(|path| !path.is_empty()) || !request.query.is_empty()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::super::tests::definition;
    use super::*;
    use crate::evaluate::tests::entitlements;
    use crate::webhook::{Owner, Webhook};

    fn view(kind: WebhookKind, appendable: bool) -> AccountView {
        let id: WebhookId = "wh_01h455vb4pex5vsknk084sn02q".parse().unwrap();
        let webhook = Webhook {
            id,
            kind,
            enabled: true,
            appendable,
            subscription: None,
            owner: Owner::Admin,
            ordered: false,
        };
        AccountView::new(None, BTreeMap::from([(id, Arc::new(webhook))]))
    }

    fn draft() -> Draft {
        definition().into()
    }

    fn findings(draft: Draft, view: &AccountView) -> Findings {
        check_draft(draft, Violations::new(), &entitlements(), view).unwrap_err()
    }

    #[test]
    fn a_sound_draft_becomes_its_definition() {
        let view = view(WebhookKind::Automation, false);
        let checked = check_draft(draft(), Violations::new(), &entitlements(), &view).unwrap();
        assert_eq!(checked, definition());
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let mut bad = draft();
        bad.display_name = Some(String::new());
        bad.condition =
            Some(serde_json::from_str(r#"{"comparison":{"path":"person.x","operator":"is"}}"#).unwrap());
        let steps = bad.steps.as_mut().unwrap();
        let again = steps[0].clone();
        steps.extend(vec![Step::Delay { micros: 1_000_000 }; 3]);
        steps.extend(vec![again; 8]);
        let found = findings(bad, &AccountView::default());
        let fields: Vec<&str> = found.violations.iter().map(|violation| violation.field.as_str()).collect();
        assert!(
            fields.contains(&"automation.display_name")
                && fields.contains(&"automation.condition.comparison.path"),
            "{fields:?}"
        );
        let limits =
            found.found.iter().filter(|(finding, ..)| matches!(finding, Finding::PlanLimit { .. })).count();
        let unknown =
            found.found.iter().filter(|(finding, ..)| matches!(finding, Finding::WebhookUnknown(_))).count();
        assert_eq!((limits, unknown), (1, 9));
    }

    #[test]
    fn a_definition_has_a_largest_size() {
        let with = |steps: usize| {
            let text = serde_json::to_string(&definition()).unwrap();
            let filler = format!(r#""template":"[\"{}\"]""#, "x".repeat(60 * 1024));
            let text = text.replace(r#""template":"{\"title\":{{ deal.title }}}""#, &filler);
            let mut wide = serde_json::from_str::<Definition>(&text).unwrap();
            wide.steps = vec![wide.steps[0].clone(); steps];
            Draft::from(wide)
        };
        let view = view(WebhookKind::Automation, false);
        let plan = Entitlements { steps: 10, ..entitlements() };
        let checked = |steps| check_draft(with(steps), Violations::new(), &plan, &view);
        assert!(checked(4).is_ok());
        let found = checked(5).unwrap_err();
        let said = &found.violations.iter().next().unwrap().description;
        assert!(said.contains("at most 262144"), "{said}");
    }

    #[test]
    fn webhooks_must_exist_be_for_automations_and_take_what_is_appended() {
        let found = findings(draft(), &AccountView::default());
        assert!(matches!(found.found[0].0, Finding::WebhookUnknown(_)));
        let found = findings(draft(), &view(WebhookKind::Event, true));
        assert!(matches!(found.found[0].0, Finding::WebhookKind(_)));
        let mut appending = draft();
        if let Some(Step::Request { request, .. }) = appending.steps.as_mut().unwrap().first_mut() {
            request.path = Some("deals/{{ deal.id }}".to_owned());
        }
        let found = findings(appending.clone(), &view(WebhookKind::Automation, false));
        assert_eq!(found.violations.iter().next().unwrap().field, "automation.steps[0].request.webhook");
        let open = view(WebhookKind::Automation, true);
        assert!(check_draft(appending, Violations::new(), &entitlements(), &open).is_ok());
    }
}
