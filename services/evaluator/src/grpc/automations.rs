//! AutomationService: written by global admins on plans with automations, read by members too.
//!
//! Deactivating and deleting ask nothing of the plan or of the registry: what fires can always be stopped.

use std::sync::Arc;

use prost::Message as _;
use proto::evaluator::v1 as wire;
use proto::evaluator::v1::automation_service_server::AutomationService;
use sha2::{Digest as _, Sha256};
use sluice_auth::Principal;
use sluice_domain::{AccountId, AutomationId, Cursor, Entitlements, PageSize, Violations};
use sluice_runtime::{Clock, Entropy};
use tonic::{Request, Response, Status};

use super::convert_automation::{WRITABLE, automation_out, draft, edited, wire_field};
use super::{answer, opened, request};
use crate::access::with_automations;
use crate::automation::{Automation, AutomationState, Definition, Draft, check_draft};
use crate::error::EvaluatorError;
use crate::snapshot::AccountView;
use crate::store::{Change, Changed, CreateRequest, Created, Filter, Page, Store};
use crate::worker::{Accounts, Automations, Stops};

/// How often a change is made anew when others keep coming between.
const TRIES: usize = 5;

/// The door to automations.
#[derive(Debug, Clone)]
pub(crate) struct AutomationDoor {
    pub(crate) store: Store,
    pub(crate) accounts: Accounts,
    pub(crate) automations: Arc<Automations>,
    pub(crate) stops: Stops,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    /// How many automations an account may have.
    pub(crate) most: u32,
}

impl AutomationDoor {
    async fn create(
        &self,
        caller: &Principal,
        sent: wire::CreateAutomationRequest,
    ) -> Result<wire::CreateAutomationResponse, EvaluatorError> {
        let account = request::parent("parent", &sent.parent, caller)?;
        request::admin(caller)?;
        let automation = sent.automation.ok_or_else(|| request::invalid("automation", "is required"))?;
        let asked = create_request(sent.request_id, &automation)?;
        let mut found = Violations::new();
        let draft = draft(automation, &account, &mut found);
        let now = self.clock.now();
        if let Some(asked) = &asked
            && let Some(before) = self.store.created_before(&account, asked, now).await?
        {
            return as_before(before, account, draft);
        }
        let view = self.view_for(&account, &draft).await?;
        let entitlements = with_automations(&account, &view)?;
        let definition = checked(draft.clone(), found, entitlements, &view)?;
        let id = AutomationId::mint(now, self.entropy.bytes());
        let automation = Automation::create(id, account.clone(), definition, caller.user().clone(), now);
        match self.store.create(&automation, asked.as_ref(), self.most).await? {
            Created::Done(revision) => {
                self.automations.saved(&account, revision);
                Ok(wire::CreateAutomationResponse { automation: Some(automation_out(&automation)) })
            }
            Created::LimitReached(present) => Err(limit_reached("automations", present, self.most)),
            before => as_before(before, account, draft),
        }
    }

    async fn get(
        &self,
        caller: &Principal,
        sent: wire::GetAutomationRequest,
    ) -> Result<wire::GetAutomationResponse, EvaluatorError> {
        let (account, id) = request::automation("name", &sent.name, caller)?;
        self.accounts.view(&account).await?;
        let automation = self.find(&account, id).await?;
        Ok(wire::GetAutomationResponse { automation: Some(automation_out(&automation)) })
    }

    async fn list(
        &self,
        caller: &Principal,
        sent: wire::ListAutomationsRequest,
    ) -> Result<wire::ListAutomationsResponse, EvaluatorError> {
        let account = request::parent("parent", &sent.parent, caller)?;
        let listing = format!("automations|{account}|{}|{}", sent.state, sent.webhook);
        let mut found = Violations::new();
        let size = found.keep("page_size", PageSize::from_wire(sent.page_size));
        let after = found.keep("page_token", after(&sent.page_token, &listing));
        let state = found.keep("state", state(sent.state));
        let webhook = match sent.webhook.as_str() {
            "" => Some(None),
            name => found.keep("webhook", super::convert_condition::webhook(name, &account)).map(Some),
        };
        found.into_result().map_err(EvaluatorError::Invalid)?;
        self.accounts.view(&account).await?;
        let filter = Filter { state: state.flatten(), webhook: webhook.flatten() };
        let size = size.map_or(0, PageSize::get);
        let Page { automations, more } = self.store.list(&account, filter, after.flatten(), size).await?;
        let last = automations.last().filter(|_| more);
        Ok(wire::ListAutomationsResponse {
            next_page_token: last
                .map_or_else(String::new, |last| Cursor::after(last.id.to_bytes()).to_token(&listing)),
            automations: automations.iter().map(automation_out).collect(),
        })
    }

    async fn update(
        &self,
        caller: &Principal,
        sent: wire::UpdateAutomationRequest,
    ) -> Result<wire::UpdateAutomationResponse, EvaluatorError> {
        let wanted = sent.automation.ok_or_else(|| request::invalid("automation", "is required"))?;
        let (account, id) = request::automation("automation.name", &wanted.name, caller)?;
        request::admin(caller)?;
        let mask = sent.update_mask.unwrap_or_default().paths;
        if mask.is_empty() || mask.iter().any(|path| !WRITABLE.contains(&path.as_str())) {
            let rule = format!("must name at least one of {}, and nothing else", WRITABLE.join(", "));
            return Err(request::invalid("update_mask", &rule));
        }
        let etag = wanted.etag.clone();
        let wish = Wish::Edit { sent: Box::new(wanted), mask };
        let after = self.change(&account, id, &etag, &wish).await?;
        Ok(wire::UpdateAutomationResponse { automation: after.as_ref().map(automation_out) })
    }

    async fn delete(
        &self,
        caller: &Principal,
        sent: wire::DeleteAutomationRequest,
    ) -> Result<wire::DeleteAutomationResponse, EvaluatorError> {
        let (account, id) = request::automation("name", &sent.name, caller)?;
        request::admin(caller)?;
        self.change(&account, id, &sent.etag, &Wish::Delete).await?;
        Ok(wire::DeleteAutomationResponse {})
    }

    async fn activate(
        &self,
        caller: &Principal,
        sent: wire::ActivateAutomationRequest,
    ) -> Result<wire::ActivateAutomationResponse, EvaluatorError> {
        let (account, id) = request::automation("name", &sent.name, caller)?;
        request::admin(caller)?;
        let after = self.change(&account, id, "", &Wish::Activate).await?;
        Ok(wire::ActivateAutomationResponse { automation: after.as_ref().map(automation_out) })
    }

    async fn deactivate(
        &self,
        caller: &Principal,
        sent: wire::DeactivateAutomationRequest,
    ) -> Result<wire::DeactivateAutomationResponse, EvaluatorError> {
        let (account, id) = request::automation("name", &sent.name, caller)?;
        request::admin(caller)?;
        let after = self.change(&account, id, "", &Wish::Deactivate).await?;
        Ok(wire::DeactivateAutomationResponse { automation: after.as_ref().map(automation_out) })
    }

    async fn find(&self, account: &AccountId, id: AutomationId) -> Result<Automation, EvaluatorError> {
        let missing = || EvaluatorError::NotFound(format!("accounts/{account}/automations/{id}"));
        self.store.get(account, id).await?.ok_or_else(missing)
    }

    /// The account's view, with the draft's webhooks as far as they exist.
    async fn view_for(&self, account: &AccountId, draft: &Draft) -> Result<Arc<AccountView>, EvaluatorError> {
        self.accounts.view_with(account, &draft.webhooks()).await
    }

    /// What the automation becomes by the wish, if the plan and the account's webhooks allow it.
    async fn wanted(&self, before: &Automation, wish: &Wish) -> Result<Wanted, EvaluatorError> {
        let now = self.clock.now();
        let account = &before.account;
        match wish {
            Wish::Delete => Ok(Wanted { after: None, most_active: None }),
            Wish::Deactivate => {
                Ok(Wanted { after: Some(before.clone().deactivated(now)), most_active: None })
            }
            Wish::Edit { sent, mask } => {
                let mut found = Violations::new();
                let draft = edited(sent, mask, before, &mut found);
                let view = self.view_for(account, &draft).await?;
                let definition = checked(draft, found, with_automations(account, &view)?, &view)?;
                Ok(Wanted { after: Some(before.clone().edited(definition, now)), most_active: None })
            }
            Wish::Activate => {
                let draft = Draft::from(before.definition.clone());
                let view = self.view_for(account, &draft).await?;
                let entitlements = with_automations(account, &view)?;
                if before.state == AutomationState::Inactive {
                    checked(draft, Violations::new(), entitlements, &view)?;
                }
                let after = before.clone().activated(now);
                Ok(Wanted { after: Some(after), most_active: Some(entitlements.active_automations) })
            }
        }
    }

    /// Reads, decides and writes, anew when another change came between and no etag forbids it. What fired and fires no
    /// more afterwards is stopped.
    async fn change(
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
            let wanted = self.wanted(&before, wish).await?;
            if wanted.after.as_ref() == Some(&before) {
                return Ok(wanted.after);
            }
            let fires_on = wanted.after.as_ref().is_some_and(|after| after.state == AutomationState::Active);
            let stop = before.stop().filter(|_| !fires_on);
            let change = Change {
                before: &before,
                after: wanted.after.as_ref(),
                stop: stop.as_ref(),
                most_active: wanted.most_active,
            };
            match self.store.change(change).await? {
                Changed::Overtaken => {}
                Changed::LimitReached(active) => {
                    let most = wanted.most_active.unwrap_or(0);
                    return Err(limit_reached("active_automations", active, most));
                }
                Changed::Done(revision) => {
                    self.automations.saved(account, revision);
                    if let Some(stop) = &stop {
                        self.stops.hand_over(stop).await;
                    }
                    return Ok(wanted.after);
                }
            }
        }
        Err(EvaluatorError::EtagMismatch)
    }
}

/// The refusal of one more.
fn limit_reached(limit: &'static str, present: i64, of: u32) -> EvaluatorError {
    let used = u64::try_from(present).unwrap_or(0);
    EvaluatorError::PlanLimit { limit, used, of, violations: Violations::new() }
}

/// What a caller wishes of an automation that exists.
enum Wish {
    /// These fields as sent.
    Edit { sent: Box<wire::Automation>, mask: Vec<String> },
    /// That it fires.
    Activate,
    /// That it fires no more.
    Deactivate,
    /// That it is gone.
    Delete,
}

/// What an automation is to become, and how many active ones there may be with it.
struct Wanted {
    after: Option<Automation>,
    most_active: Option<u32>,
}

fn checked(
    draft: Draft,
    found: Violations,
    entitlements: &Entitlements,
    view: &AccountView,
) -> Result<Definition, EvaluatorError> {
    check_draft(draft, found, entitlements, view).map_err(|findings| {
        EvaluatorError::of_findings(findings, |field| format!("automation.{}", wire_field(field)))
    })
}

/// What the request id stands for: the digest of all that a caller writes.
fn create_request(
    id: String,
    automation: &wire::Automation,
) -> Result<Option<CreateRequest>, EvaluatorError> {
    if id.is_empty() {
        return Ok(None);
    }
    if id.chars().count() > 128 || id.chars().any(char::is_control) {
        return Err(request::invalid(
            "request_id",
            "must be 1 to 128 characters, none of them a control character",
        ));
    }
    let written = wire::Automation {
        display_name: automation.display_name.clone(),
        trigger: automation.trigger.clone(),
        condition: automation.condition.clone(),
        steps: automation.steps.clone(),
        missing: automation.missing,
        ..wire::Automation::default()
    };
    Ok(Some(CreateRequest { id, digest: Sha256::digest(written.encode_to_vec()).into() }))
}

/// The first answer to a repeated request: made anew of the same content, whatever became of the automation since.
fn as_before(
    before: Created,
    account: AccountId,
    draft: Draft,
) -> Result<wire::CreateAutomationResponse, EvaluatorError> {
    match (before, draft.into_definition()) {
        (Created::Before(id, owner, at), Some(definition)) => {
            let automation = Automation::create(id, account, definition, owner, at);
            Ok(wire::CreateAutomationResponse { automation: Some(automation_out(&automation)) })
        }
        _ => Err(EvaluatorError::RequestIdReused),
    }
}

fn after(token: &str, listing: &str) -> Result<Option<AutomationId>, sluice_domain::CursorError> {
    let Some(cursor) = Cursor::from_token(token, listing)? else { return Ok(None) };
    let key = cursor.key().try_into().map_err(|_| sluice_domain::CursorError)?;
    Ok(Some(AutomationId::from_bytes(key)))
}

fn state(number: i32) -> Result<Option<AutomationState>, &'static str> {
    match wire::AutomationState::try_from(number) {
        Ok(wire::AutomationState::Unspecified) => Ok(None),
        Ok(wire::AutomationState::Active) => Ok(Some(AutomationState::Active)),
        Ok(wire::AutomationState::Inactive) => Ok(Some(AutomationState::Inactive)),
        Err(_) => Err("must be ACTIVE, INACTIVE or unspecified"),
    }
}

#[tonic::async_trait]
impl AutomationService for AutomationDoor {
    async fn create_automation(
        &self,
        request: Request<wire::CreateAutomationRequest>,
    ) -> Result<Response<wire::CreateAutomationResponse>, Status> {
        let (caller, sent) = opened(request)?;
        answer(self.create(&caller, sent).await)
    }

    async fn get_automation(
        &self,
        request: Request<wire::GetAutomationRequest>,
    ) -> Result<Response<wire::GetAutomationResponse>, Status> {
        let (caller, sent) = opened(request)?;
        answer(self.get(&caller, sent).await)
    }

    async fn list_automations(
        &self,
        request: Request<wire::ListAutomationsRequest>,
    ) -> Result<Response<wire::ListAutomationsResponse>, Status> {
        let (caller, sent) = opened(request)?;
        answer(self.list(&caller, sent).await)
    }

    async fn update_automation(
        &self,
        request: Request<wire::UpdateAutomationRequest>,
    ) -> Result<Response<wire::UpdateAutomationResponse>, Status> {
        let (caller, sent) = opened(request)?;
        answer(self.update(&caller, sent).await)
    }

    async fn delete_automation(
        &self,
        request: Request<wire::DeleteAutomationRequest>,
    ) -> Result<Response<wire::DeleteAutomationResponse>, Status> {
        let (caller, sent) = opened(request)?;
        answer(self.delete(&caller, sent).await)
    }

    async fn activate_automation(
        &self,
        request: Request<wire::ActivateAutomationRequest>,
    ) -> Result<Response<wire::ActivateAutomationResponse>, Status> {
        let (caller, sent) = opened(request)?;
        answer(self.activate(&caller, sent).await)
    }

    async fn deactivate_automation(
        &self,
        request: Request<wire::DeactivateAutomationRequest>,
    ) -> Result<Response<wire::DeactivateAutomationResponse>, Status> {
        let (caller, sent) = opened(request)?;
        answer(self.deactivate(&caller, sent).await)
    }
}
