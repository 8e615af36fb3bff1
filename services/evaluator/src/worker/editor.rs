//! The one way in which automations come and change: read, decide, write.
//!
//! Deactivating and deleting ask nothing of the plan or of the registry: what fires can always be stopped.

use std::sync::Arc;

use sluice_domain::{AccountId, AutomationId, Entitlements, UserId, Violations};
use sluice_runtime::{Clock, Entropy};

use super::{Accounts, Automations, Stops};
use crate::access::with_automations;
use crate::automation::{Automation, AutomationState, Definition, Draft, Edit, Stop, check_draft};
use crate::error::EvaluatorError;
use crate::snapshot::AccountView;
use crate::store::{Change, Changed, CreateRequest, Created, Store};

/// How often a change is made anew when others keep coming between.
const TRIES: usize = 5;

/// Creates and changes automations; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Editor {
    pub(crate) store: Store,
    pub(crate) accounts: Accounts,
    pub(crate) automations: Arc<Automations>,
    pub(crate) stops: Stops,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    /// How many automations an account may have.
    pub(crate) most: u32,
}

/// An automation that shall be.
#[derive(Debug)]
pub(crate) struct NewAutomation {
    /// What it is to be.
    pub(crate) draft: Draft,
    /// What reading the request found.
    pub(crate) found: Violations,
    /// What makes a repeated call answer as the first one did.
    pub(crate) request: Option<CreateRequest>,
}

/// What a caller wishes of an automation that exists.
#[derive(Debug)]
pub(crate) enum Wish {
    /// That some parts of it change, with what reading the request found.
    Edit(Box<Edit>, Violations),
    /// That it fires.
    Activate,
    /// That it fires no more.
    Deactivate,
    /// That it is gone.
    Delete,
}

/// What an automation is to become.
enum Outcome {
    /// This.
    Becomes(Automation),
    /// This, if the account then has no more active ones than that.
    Fires(Automation, u32),
    /// Nothing.
    Gone,
}

impl Editor {
    /// Creates an automation, inactive; the same request answers as it did before, whatever became of the automation since.
    ///
    /// # Errors
    /// All that is wrong with it, or what is in the way.
    pub(crate) async fn create(
        &self,
        account: AccountId,
        author: &UserId,
        new: NewAutomation,
    ) -> Result<Automation, EvaluatorError> {
        let NewAutomation { draft, found, request } = new;
        let now = self.clock.now();
        if let Some(request) = &request
            && let Some(before) = self.store.created_before(&account, request, now).await?
        {
            return self.made(before, account, draft);
        }
        let definition = self.checked(&account, draft.clone(), found).await?;
        let id = AutomationId::mint(now, self.entropy.bytes());
        let automation = Automation::create(id, account.clone(), definition, author.clone(), now);
        match self.store.create(&automation, request.as_ref(), self.most).await? {
            Created::Done(revision) => {
                self.automations.saved(&account, revision);
                Ok(automation)
            }
            other => self.made(other, account, draft),
        }
    }

    /// The answer when nothing was made now.
    fn made(&self, created: Created, account: AccountId, draft: Draft) -> Result<Automation, EvaluatorError> {
        match (created, draft.into_definition()) {
            (Created::Before(id, owner, at), Some(definition)) => {
                Ok(Automation::create(id, account, definition, owner, at))
            }
            (Created::LimitReached(present), _) => Err(limit_reached("automations", present, self.most)),
            _ => Err(EvaluatorError::RequestIdReused),
        }
    }

    /// Fulfils the wish, anew when another change came between and no etag forbids it. What fired and fires no more afterwards
    /// is stopped. The automation as it stands then; `None` when it is gone.
    ///
    /// # Errors
    /// `NotFound`, `EtagMismatch`, or what else is in the way.
    pub(crate) async fn change(
        &self,
        account: &AccountId,
        id: AutomationId,
        etag: &str,
        wish: &Wish,
    ) -> Result<Option<Automation>, EvaluatorError> {
        for _ in 0..TRIES {
            let before = self.find(account, id).await?;
            if !etag.is_empty() && etag != before.etag() {
                return Err(EvaluatorError::EtagMismatch);
            }
            let (after, most_active) = match self.decide(&before, wish).await? {
                Outcome::Becomes(after) => (Some(after), None),
                Outcome::Fires(after, most) => (Some(after), Some(most)),
                Outcome::Gone => (None, None),
            };
            if after.as_ref() == Some(&before) {
                return Ok(after);
            }
            let stop = needed_stop(&before, after.as_ref());
            let change = Change { before: &before, after: after.as_ref(), stop: stop.as_ref(), most_active };
            match self.store.change(change).await? {
                Changed::Overtaken => {}
                Changed::LimitReached(active) => {
                    return Err(limit_reached("active_automations", active, most_active.unwrap_or(0)));
                }
                Changed::Done(revision) => {
                    self.automations.saved(account, revision);
                    if let Some(stop) = &stop {
                        self.stops.hand_over(stop).await;
                    }
                    return Ok(after);
                }
            }
        }
        Err(EvaluatorError::EtagMismatch)
    }

    /// The automation.
    ///
    /// # Errors
    /// `NotFound`, or when the database fails.
    pub(crate) async fn find(
        &self,
        account: &AccountId,
        id: AutomationId,
    ) -> Result<Automation, EvaluatorError> {
        let none = || EvaluatorError::NotFound(account.clone(), id);
        self.store.get(account, id).await?.ok_or_else(none)
    }

    /// What the automation becomes by the wish, if the plan and the account's webhooks allow it.
    async fn decide(&self, before: &Automation, wish: &Wish) -> Result<Outcome, EvaluatorError> {
        let now = self.clock.now();
        let account = &before.account;
        match wish {
            Wish::Delete => Ok(Outcome::Gone),
            Wish::Deactivate => Ok(Outcome::Becomes(before.clone().deactivated(now))),
            Wish::Edit(edit, found) => {
                let draft = edit.of(&before.definition);
                let definition = self.checked(account, draft, found.clone()).await?;
                Ok(Outcome::Becomes(before.clone().edited(definition, now)))
            }
            Wish::Activate => {
                let draft = Draft::from(before.definition.clone());
                let view = self.view_for(account, &draft).await?;
                let entitlements = with_automations(account, &view)?;
                if before.state == AutomationState::Inactive {
                    checked(draft, Violations::new(), entitlements, &view)?;
                }
                Ok(Outcome::Fires(before.clone().activated(now), entitlements.active_automations))
            }
        }
    }

    /// The draft as a definition of an account that may have it. `found` is what reading the request found.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(crate) async fn checked(
        &self,
        account: &AccountId,
        draft: Draft,
        found: Violations,
    ) -> Result<Definition, EvaluatorError> {
        let view = self.view_for(account, &draft).await?;
        checked(draft, found, with_automations(account, &view)?, &view)
    }

    /// The account's view, with the draft's webhooks as far as they exist.
    async fn view_for(&self, account: &AccountId, draft: &Draft) -> Result<Arc<AccountView>, EvaluatorError> {
        self.accounts.view_with(account, &draft.webhooks()).await
    }
}

fn checked(
    draft: Draft,
    found: Violations,
    entitlements: &Entitlements,
    view: &AccountView,
) -> Result<Definition, EvaluatorError> {
    check_draft(draft, found, entitlements, view).map_err(EvaluatorError::of_findings)
}

/// The stop of what fired, if it fires no more.
fn needed_stop(before: &Automation, after: Option<&Automation>) -> Option<Stop> {
    let fires_on = after.is_some_and(|after| after.state == AutomationState::Active);
    before.stop().filter(|_| !fires_on)
}

/// The refusal of one more.
fn limit_reached(limit: &'static str, present: i64, of: u32) -> EvaluatorError {
    let used = u64::try_from(present).unwrap_or(0);
    EvaluatorError::PlanLimit { limit, used, of, violations: Violations::new() }
}
