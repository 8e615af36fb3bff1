//! An automation: a trigger, a condition and steps, written by a global admin.
//!
//! ```text
//! created ──▶ INACTIVE ──activate──▶ ACTIVE (generation + 1) ──deactivate──▶ INACTIVE …
//!                 └────────────────── delete ◀──────┘
//! ```
//! Leaving `ACTIVE` (deactivate, delete) goes with a [`Stop`] at the generation that fired until then: the dispatcher stops
//! what was enqueued at or below it. An activation has a higher generation, so an old stop never reaches it.

use serde::{Deserialize, Serialize};
use sluice_domain::{AccountId, AutomationId, Subscription, Timestamp, UserId};
use sluice_rules::{Condition, Missing, Scope, Step};

mod check;
mod compiled;
mod edit;
mod field;

pub use check::{Draft, Finding, Findings, check_draft, check_fields};
pub use compiled::{CompileError, CompiledAutomation};
pub use edit::{Edit, Part};
pub use field::in_automation;

/// The longest display name, in characters.
pub const MAX_NAME_CHARS: usize = 120;

/// The largest definition, in bytes of its stored form: pages and what is held of an account stay bounded.
pub const MAX_DEFINITION_BYTES: usize = 256 * 1024;

/// Whether an automation fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutomationState {
    /// It does not; an activation moves it on.
    Inactive,
    /// It does, on events that arrive from now on; a deactivation moves it back.
    Active,
}

/// What its author wrote; stored as JSON, whose form is stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// 1 to 120 characters.
    pub display_name: String,
    /// Which events set it off.
    pub trigger: Subscription,
    /// What must hold.
    pub condition: Condition,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What a placeholder without a value is.
    pub missing: Missing,
}

/// One automation of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Automation {
    /// Its id.
    pub id: AutomationId,
    /// Whose it is.
    pub account: AccountId,
    /// What its author wrote.
    pub definition: Definition,
    /// Whether it fires.
    pub state: AutomationState,
    /// Grows with every change, from 1.
    pub version: i64,
    /// Grows with every activation, from 0.
    pub generation: i64,
    /// The user who created it.
    pub owner: UserId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The mark that stops an automation's executions up to a generation; kept until the dispatcher has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Whose automation it is.
    pub account: AccountId,
    /// The automation, which may be gone by now.
    pub automation: AutomationId,
    /// Executions at or below it are stopped.
    pub generation: i64,
}

impl Automation {
    /// A new one: inactive, version 1, never activated.
    pub fn create(
        id: AutomationId,
        account: AccountId,
        definition: Definition,
        owner: UserId,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            account,
            definition,
            state: AutomationState::Inactive,
            version: 1,
            generation: 0,
            owner,
            created_at: now,
            updated_at: now,
        }
    }

    /// The same with another definition.
    #[must_use]
    pub fn edited(self, definition: Definition, now: Timestamp) -> Self {
        Self { definition, version: self.version + 1, updated_at: now, ..self }
    }

    /// The same, firing from now on; itself when it does already.
    #[must_use]
    pub fn activated(self, now: Timestamp) -> Self {
        match self.state {
            AutomationState::Active => self,
            AutomationState::Inactive => Self {
                state: AutomationState::Active,
                version: self.version + 1,
                generation: self.generation + 1,
                updated_at: now,
                ..self
            },
        }
    }

    /// The same, firing no more; itself when it did not.
    #[must_use]
    pub fn deactivated(self, now: Timestamp) -> Self {
        match self.state {
            AutomationState::Inactive => self,
            AutomationState::Active => {
                Self { state: AutomationState::Inactive, version: self.version + 1, updated_at: now, ..self }
            }
        }
    }

    /// The stop that has to reach the dispatcher when it fires no more; `None` when it did not fire.
    pub fn stop(&self) -> Option<Stop> {
        (self.state == AutomationState::Active).then(|| Stop {
            account: self.account.clone(),
            automation: self.id,
            generation: self.generation,
        })
    }

    /// Changes with every change.
    pub fn etag(&self) -> String {
        format!("v{}", self.version)
    }
}

impl Definition {
    /// What its paths and placeholders may read.
    pub fn scope(&self) -> Scope {
        scope(&self.trigger)
    }

    /// The ids of the webhooks that its steps name, as stored, each once.
    pub fn webhooks(&self) -> Vec<&str> {
        let mut named: Vec<&str> = Vec::new();
        for step in &self.steps {
            if let Step::Request { webhook, .. } = step
                && !named.contains(&webhook.as_str())
            {
                named.push(webhook);
            }
        }
        named
    }
}

fn scope(trigger: &Subscription) -> Scope {
    trigger.object.as_ref().map_or(Scope::AnyObject, |object| Scope::Object(object.as_str().to_owned()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An automation on updated deals that posts their title.
    pub(crate) fn definition() -> Definition {
        serde_json::from_str(
            r#"{"display_name":"Won deals","trigger":{"object":"deal","actions":["updated"]},
                "condition":{"comparison":{"path":"deal.stage","operator":"has_changed_to","values":[{"text":"won"}]}},
                "steps":[{"request":{"webhook":"wh_01h455vb4pex5vsknk084sn02q","request":{"method":"POST",
                    "body":{"raw":{"content_type":"application/json","template":"{\"title\":{{ deal.title }}}"}}}}}],
                "missing":"error"}"#,
        )
        .unwrap()
    }

    fn automation() -> Automation {
        let id = AutomationId::from_bytes([1; 16]);
        Automation::create(id, "acme".parse().unwrap(), definition(), "u1".parse().unwrap(), Timestamp::EPOCH)
    }

    #[test]
    fn the_stored_form_stays() {
        let text = serde_json::to_string(&definition()).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"display_name":"Won deals","trigger":{"object":"deal","actions":["updated"]},"#,
                r#""condition":{"comparison":{"path":"deal.stage","operator":"has_changed_to","values":[{"text":"won"}]}},"#,
                r#""steps":[{"request":{"webhook":"wh_01h455vb4pex5vsknk084sn02q","request":{"method":"POST","#,
                r#""body":{"raw":{"content_type":"application/json","template":"{\"title\":{{ deal.title }}}"}}}}}],"missing":"error"}"#
            )
        );
        assert_eq!(serde_json::from_str::<Definition>(&text).unwrap(), definition());
    }

    #[test]
    fn a_stop_never_reaches_a_later_activation() {
        let now = Timestamp::from_micros(1);
        let first = automation().activated(now);
        let stop = first.stop().unwrap();
        let again = first.deactivated(now).activated(now);
        assert!(again.generation > stop.generation);
        assert_eq!(again.version, 4);
    }

    #[test]
    fn repeating_a_change_of_state_changes_nothing() {
        let now = Timestamp::from_micros(1);
        assert_eq!(automation().deactivated(now), automation());
        let active = automation().activated(now);
        assert_eq!(active.clone().activated(Timestamp::from_micros(2)), active);
        assert_eq!(automation().stop(), None);
    }

    #[test]
    fn every_change_has_another_etag_and_an_edit_keeps_the_generation() {
        let now = Timestamp::from_micros(1);
        let active = automation().activated(now);
        let edited = active.clone().edited(definition(), now);
        assert_ne!(edited.etag(), active.etag());
        assert_eq!(edited.generation, active.generation);
    }
}
