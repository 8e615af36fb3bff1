//! Answers what an event would come to, and leaves no trace of it: nothing is sent, kept or charged.

use std::sync::Arc;

use sluice_domain::{AccountId, AutomationId, UserId};
use sluice_runtime::Clock;

use super::{Accounts, Automations, Editor, NewAutomation};
use crate::automation::{Automation, AutomationState, CompiledAutomation, Draft};
use crate::error::EvaluatorError;
use crate::event_check::{EventDraft, check_event};
use crate::explanation::{Explanation, Subject, explain};

/// Explains events; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Explainer {
    pub(crate) accounts: Accounts,
    pub(crate) automations: Arc<Automations>,
    pub(crate) editor: Editor,
    pub(crate) clock: Clock,
}

impl Explainer {
    /// What the event would come to with an automation as it stands, and that automation's version.
    ///
    /// # Errors
    /// `NotFound`, then all that is wrong with the event.
    pub(crate) async fn stored(
        &self,
        account: &AccountId,
        id: AutomationId,
        event: EventDraft,
    ) -> Result<(Explanation, i64), EvaluatorError> {
        self.accounts.view(account).await?;
        let automation = self.editor.find(account, id).await?;
        let incoming = check_event(event, self.clock.now()).map_err(EvaluatorError::Invalid)?;
        let named = Draft::from(automation.definition.clone()).webhooks();
        let view = self.accounts.view_with(account, &named).await?;
        let active = self.automations.current(account).await?;
        let compiled = CompiledAutomation::compile(&automation)?;
        let subject = Subject {
            automation: &compiled,
            active: automation.state == AutomationState::Active,
            place: active.active().place(|other| other.id == id),
        };
        Ok((explain(&subject, &incoming, &view), automation.version))
    }

    /// What the event would come to with a draft, if it were saved and active.
    ///
    /// # Errors
    /// All that is wrong with the draft and the event.
    pub(crate) async fn draft(
        &self,
        account: &AccountId,
        author: &UserId,
        new: NewAutomation,
        event: EventDraft,
    ) -> Result<Explanation, EvaluatorError> {
        let NewAutomation { draft, mut found, .. } = new;
        let now = self.clock.now();
        let incoming = check_event(event, now);
        if let Err(violations) = &incoming {
            found.extend(violations.clone());
        }
        let definition = self.editor.checked(account, draft, found).await?;
        let incoming = incoming.map_err(EvaluatorError::Invalid)?;
        let view = self.accounts.view(account).await?;
        let id = AutomationId::from_bytes([0; 16]);
        let automation = Automation::create(id, account.clone(), definition, author.clone(), now);
        let compiled = CompiledAutomation::compile(&automation)?;
        Ok(explain(&Subject { automation: &compiled, active: true, place: None }, &incoming, &view))
    }
}
