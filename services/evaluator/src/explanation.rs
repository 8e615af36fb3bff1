//! The explanation: whether one event would set one automation off, why, and what would be sent. Pure, and made of the parts that
//! [`evaluate`](crate::evaluate) judges by.

use std::fmt;

use sluice_domain::{Action, ObjectName, Span, Subscription, WebhookId};
use sluice_rules::{Context, Explained, Rejection, RenderedRequest, Rendering};

use crate::automation::CompiledAutomation;
use crate::evaluate::{account_shown, allowed};
use crate::event_check::IncomingEvent;
use crate::snapshot::AccountView;
use crate::webhook::Webhook;

/// How many bytes of paths, headers and bodies all requests of an explanation show together.
pub const MAX_SHOWN_REQUEST_BYTES: usize = 2 * 1024 * 1024;

/// The automation that is asked about.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The automation, ready.
    pub automation: &'a CompiledAutomation,
    /// Whether it is active.
    pub active: bool,
    /// Its place among the account's active ones, oldest first, as far as it is known to have one.
    pub place: Option<usize>,
}

/// What keeps an automation from firing; as text it is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The event is an import.
    Suppressed,
    /// The automation is inactive.
    Inactive,
    /// The plan has no automations.
    PlanRequired {
        /// The plan that the account holds.
        held: String,
    },
    /// Too many older ones are active.
    PlanLimit {
        /// Its place among the active ones, from 1.
        place: usize,
        /// How many the plan allows.
        of: usize,
    },
    /// The trigger takes other events.
    Trigger {
        /// What it takes.
        wanted: Subscription,
        /// The event's object.
        object: ObjectName,
        /// What was done to it.
        action: Action,
    },
    /// The condition does not hold.
    Condition,
}

/// What an event would come to.
#[derive(Debug)]
pub struct Explanation {
    /// Everything that keeps the automation from firing; without any it fires.
    pub obstacles: Vec<Obstacle>,
    /// How the condition came out; `None` when there is none.
    pub condition: Option<sluice_rules::Explanation>,
    /// The requests in order.
    pub requests: Vec<ExplainedRequest>,
}

/// Whether a webhook takes a request, as far as is known before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Nothing is known against it.
    Ready,
    /// It is disabled: the execution pauses.
    Disabled,
    /// There is no such webhook: the execution fails.
    Deleted,
    /// Nothing can be appended to its URL, and something has to be: the execution fails.
    UrlNotOpen,
}

/// What one request comes to.
#[derive(Debug)]
pub struct ExplainedRequest {
    /// Where it stands, in the words of the language of rules: `steps[1].request`.
    pub field: String,
    /// How long it waits after the one before it, or after the event.
    pub delay: Span,
    /// The webhook's id, as stored.
    pub webhook: String,
    /// Whether the webhook takes it.
    pub readiness: Readiness,
    /// The request, or why it can't be made.
    pub outcome: Result<ShownRequest, Rejection>,
}

/// A rendered request as far as there is room for it.
#[derive(Debug)]
pub struct ShownRequest {
    /// The request, without what is left out.
    pub request: RenderedRequest,
    /// How many bytes the whole body has.
    pub body_bytes: usize,
    /// Whether something is left out.
    pub truncated: bool,
}

/// Explains what the event would come to with this automation, by this state of the account.
///
/// There is no obstacle exactly when [`evaluate`](crate::evaluate::evaluate) lets the automation fire.
pub fn explain(subject: &Subject<'_>, incoming: &IncomingEvent, view: &AccountView) -> Explanation {
    let automation = subject.automation;
    let condition = automation.condition.explain(&incoming.records, "condition");
    let mut obstacles = standing_obstacles(subject, incoming, view);
    if !condition.holds {
        obstacles.push(Obstacle::Condition);
    }
    let always = matches!(&condition.explained, Explained::All(parts) if parts.is_empty());
    let account = account_shown(incoming);
    let context = Context::new(&incoming.records, &account, &automation.shown);
    let mut room = MAX_SHOWN_REQUEST_BYTES;
    Explanation {
        obstacles,
        condition: (!always).then_some(condition),
        requests: automation
            .steps
            .renderings(&context)
            .map(|rendering| explained_request(rendering, view, &mut room))
            .collect(),
    }
}

/// All that is in the way but the condition.
fn standing_obstacles(subject: &Subject<'_>, incoming: &IncomingEvent, view: &AccountView) -> Vec<Obstacle> {
    let event = &incoming.event;
    let mut obstacles = Vec::new();
    if event.suppress {
        obstacles.push(Obstacle::Suppressed);
    }
    if !subject.active {
        obstacles.push(Obstacle::Inactive);
    }
    let allowed = allowed(view);
    match view.entitlements() {
        Some(entitlements) if entitlements.automations => {
            if let Some(place) = subject.place.filter(|place| *place >= allowed) {
                obstacles.push(Obstacle::PlanLimit { place: place + 1, of: allowed });
            }
        }
        other => {
            let held = other.map(|entitlements| entitlements.plan.clone()).unwrap_or_default();
            obstacles.push(Obstacle::PlanRequired { held });
        }
    }
    let trigger = &subject.automation.trigger;
    if !trigger.wants(&event.object, event.action) {
        let (wanted, object) = (trigger.clone(), event.object.clone());
        obstacles.push(Obstacle::Trigger { wanted, object, action: event.action });
    }
    obstacles
}

fn explained_request(rendering: Rendering<'_>, view: &AccountView, room: &mut usize) -> ExplainedRequest {
    let Rendering { field, delay_micros, webhook, request } = rendering;
    let known = webhook.parse().ok().and_then(|id: WebhookId| view.webhook(id));
    let appends = request.as_ref().is_ok_and(|request| !request.path_and_query_suffix.is_empty());
    ExplainedRequest {
        field: field.to_owned(),
        delay: Span::from_micros(delay_micros),
        webhook: webhook.to_owned(),
        readiness: readiness(known, appends),
        outcome: request.map(|request| shown(request, room)),
    }
}

fn readiness(webhook: Option<&Webhook>, appends: bool) -> Readiness {
    match webhook {
        None => Readiness::Deleted,
        Some(webhook) if appends && !webhook.appendable => Readiness::UrlNotOpen,
        Some(webhook) if !webhook.enabled => Readiness::Disabled,
        Some(_) => Readiness::Ready,
    }
}

/// As much of the request as there is room for: all of it, or its beginning and then nothing more of any.
fn shown(mut request: RenderedRequest, room: &mut usize) -> ShownRequest {
    let body_bytes = request.body.len();
    let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let content_type = request.content_type.as_ref().map_or(0, String::len);
    let head = request.path_and_query_suffix.len() + headers + content_type;
    if head + body_bytes <= *room {
        *room -= head + body_bytes;
        return ShownRequest { request, body_bytes, truncated: false };
    }
    if head <= *room {
        request.body.truncate(whole_characters(&request.body, *room - head));
    } else {
        request = RenderedRequest {
            method: request.method,
            path_and_query_suffix: String::new(),
            headers: Vec::new(),
            content_type: None,
            body: Vec::new(),
        };
    }
    *room = 0;
    ShownRequest { request, body_bytes, truncated: true }
}

/// The largest length up to `limit` at which no character of the text is cut; of bytes that are no text, `limit`.
fn whole_characters(bytes: &[u8], limit: usize) -> usize {
    std::str::from_utf8(bytes).map_or(limit.min(bytes.len()), |text| text.floor_char_boundary(limit))
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suppressed => f.write_str("the event is marked `suppress`, so it sets nothing off"),
            Self::Inactive => f.write_str("the automation is inactive"),
            Self::PlanRequired { held } => write!(f, "plan {held} has no automations"),
            Self::PlanLimit { place, of } => {
                write!(f, "the plan lets the {of} oldest active automations fire; this is number {place}")
            }
            Self::Trigger { wanted, object, action } => {
                f.write_str("the trigger takes ")?;
                match &wanted.object {
                    Some(object) => write!(f, "{object}")?,
                    None => f.write_str("any object")?,
                }
                for (index, action) in wanted.actions.iter().enumerate() {
                    write!(f, "{}{}", if index == 0 { " " } else { " or " }, action.as_str())?;
                }
                write!(f, "; the event is {object} {}", action.as_str())
            }
            Self::Condition => f.write_str("the condition does not hold"),
        }
    }
}

#[cfg(test)]
mod tests;
