//! AutomationService: written by global admins on plans with automations, read by members too.

use proto::evaluator::v1 as wire;
use proto::evaluator::v1::automation_service_server::AutomationService;
use sluice_auth::Principal;
use sluice_domain::{AutomationId, Cursor};
use sluice_rpc::{AccountName, Fault, ResourceName};
use tonic::{Request, Response, Status};

use super::convert_automation::automation_out;
use super::convert_explanation::explanation_out;
use super::question::{Question, question};
use super::request::{self, Listing};
use super::{answer, opened, opened_by_admin};
use crate::automation::Automation;
use crate::error::EvaluatorError;
use crate::store::{Page, Store};
use crate::worker::{Accounts, Editor, Explainer, Wish};

/// The door to automations.
#[derive(Debug, Clone)]
pub(crate) struct AutomationDoor {
    pub(crate) store: Store,
    pub(crate) accounts: Accounts,
    pub(crate) editor: Editor,
    pub(crate) explainer: Explainer,
}

impl AutomationDoor {
    async fn create(
        &self,
        caller: &Principal,
        sent: wire::CreateAutomationRequest,
    ) -> Result<wire::CreateAutomationResponse, Fault> {
        let (parent, new) = request::creation(sent);
        let parent = parent.ok_or_else(|| request::unnamed(&new.draft, &new.found))?;
        parent.open_to(caller)?;
        let AccountName(account) = parent;
        let automation = self.editor.create(account, caller.user(), new).await?;
        Ok(wire::CreateAutomationResponse { automation: Some(automation_out(&automation)) })
    }

    async fn get(
        &self,
        caller: &Principal,
        sent: wire::GetAutomationRequest,
    ) -> Result<wire::GetAutomationResponse, Fault> {
        let name = ResourceName::<AutomationId>::in_field("name", &sent.name)?;
        name.open_to(caller)?;
        self.accounts.view(&name.account).await?;
        let automation = self.editor.find(&name.account, name.id).await?;
        Ok(wire::GetAutomationResponse { automation: Some(automation_out(&automation)) })
    }

    async fn list(
        &self,
        caller: &Principal,
        sent: &wire::ListAutomationsRequest,
    ) -> Result<wire::ListAutomationsResponse, Fault> {
        let Listing { parent, filter, size, after, key } = request::listing(sent, caller)?;
        let AccountName(account) = parent;
        self.accounts.view(&account).await?;
        let page = self.store.list(&account, filter, after, size).await;
        let Page { automations, more } = page.map_err(EvaluatorError::from)?;
        let last = automations.last().filter(|_| more);
        Ok(wire::ListAutomationsResponse {
            next_page_token: last
                .map_or_else(String::new, |last| Cursor::after(last.id.to_bytes()).to_token(&key)),
            automations: automations.iter().map(automation_out).collect(),
        })
    }

    async fn update(
        &self,
        caller: &Principal,
        sent: wire::UpdateAutomationRequest,
    ) -> Result<wire::UpdateAutomationResponse, Fault> {
        let (name, etag, edit, found) = request::edit(sent);
        let name = name.ok_or_else(|| request::unnamed(&edit.draft, &found))?;
        let automation = self.change(caller, &name, &etag, Wish::Edit(Box::new(edit), found)).await?;
        Ok(wire::UpdateAutomationResponse { automation })
    }

    async fn delete(
        &self,
        caller: &Principal,
        sent: wire::DeleteAutomationRequest,
    ) -> Result<wire::DeleteAutomationResponse, Fault> {
        let name = ResourceName::in_field("name", &sent.name)?;
        self.change(caller, &name, &sent.etag, Wish::Delete).await?;
        Ok(wire::DeleteAutomationResponse {})
    }

    async fn activate(
        &self,
        caller: &Principal,
        sent: wire::ActivateAutomationRequest,
    ) -> Result<wire::ActivateAutomationResponse, Fault> {
        let name = ResourceName::in_field("name", &sent.name)?;
        let automation = self.change(caller, &name, "", Wish::Activate).await?;
        Ok(wire::ActivateAutomationResponse { automation })
    }

    async fn deactivate(
        &self,
        caller: &Principal,
        sent: wire::DeactivateAutomationRequest,
    ) -> Result<wire::DeactivateAutomationResponse, Fault> {
        let name = ResourceName::in_field("name", &sent.name)?;
        let automation = self.change(caller, &name, "", Wish::Deactivate).await?;
        Ok(wire::DeactivateAutomationResponse { automation })
    }

    async fn explain(
        &self,
        caller: &Principal,
        sent: wire::ExplainEventRequest,
    ) -> Result<wire::ExplainEventResponse, Fault> {
        match question(sent, caller, self.explainer.clock.now())? {
            Question::Stored(name, event) => {
                let (explanation, version) = self.explainer.stored(&name.account, name.id, event).await?;
                Ok(explanation_out(&name.account, explanation, version))
            }
            Question::Draft(parent, new, event) => {
                let AccountName(account) = parent;
                let explanation = self.explainer.draft(&account, caller.user(), *new, event).await?;
                Ok(explanation_out(&account, explanation, 0))
            }
        }
    }

    /// Authorizes, acts and converts for all that change an automation.
    async fn change(
        &self,
        caller: &Principal,
        name: &ResourceName<AutomationId>,
        etag: &str,
        wish: Wish,
    ) -> Result<Option<wire::Automation>, Fault> {
        name.open_to(caller)?;
        let after: Option<Automation> = self.editor.change(&name.account, name.id, etag, &wish).await?;
        Ok(after.as_ref().map(automation_out))
    }
}

#[tonic::async_trait]
impl AutomationService for AutomationDoor {
    async fn create_automation(
        &self,
        request: Request<wire::CreateAutomationRequest>,
    ) -> Result<Response<wire::CreateAutomationResponse>, Status> {
        let (caller, sent) = opened_by_admin(request)?;
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
        answer(self.list(&caller, &sent).await)
    }

    async fn update_automation(
        &self,
        request: Request<wire::UpdateAutomationRequest>,
    ) -> Result<Response<wire::UpdateAutomationResponse>, Status> {
        let (caller, sent) = opened_by_admin(request)?;
        answer(self.update(&caller, sent).await)
    }

    async fn delete_automation(
        &self,
        request: Request<wire::DeleteAutomationRequest>,
    ) -> Result<Response<wire::DeleteAutomationResponse>, Status> {
        let (caller, sent) = opened_by_admin(request)?;
        answer(self.delete(&caller, sent).await)
    }

    async fn activate_automation(
        &self,
        request: Request<wire::ActivateAutomationRequest>,
    ) -> Result<Response<wire::ActivateAutomationResponse>, Status> {
        let (caller, sent) = opened_by_admin(request)?;
        answer(self.activate(&caller, sent).await)
    }

    async fn deactivate_automation(
        &self,
        request: Request<wire::DeactivateAutomationRequest>,
    ) -> Result<Response<wire::DeactivateAutomationResponse>, Status> {
        let (caller, sent) = opened_by_admin(request)?;
        answer(self.deactivate(&caller, sent).await)
    }

    async fn explain_event(
        &self,
        request: Request<wire::ExplainEventRequest>,
    ) -> Result<Response<wire::ExplainEventResponse>, Status> {
        let (caller, sent) = opened(request)?;
        answer(self.explain(&caller, sent).await)
    }
}
