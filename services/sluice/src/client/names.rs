//! From what people call a thing to its resource name: an id, a resource name, or the exact name it was given.

use std::str::FromStr;

use anyhow::bail;
use proto::evaluator::v1::{Automation, ListAutomationsRequest};
use proto::registry::v1::ListWebhooksRequest;
use sluice_domain::{AutomationId, ExecutionId, WebhookId};
use sluice_rpc::{Collection, ResourceName};

use super::sheet::id_of;
use super::{Connection, Usage, every};

impl Connection {
    /// The resource name of a webhook.
    ///
    /// # Errors
    /// When the account has none that is called so, or the look-up is refused.
    pub async fn webhook_name(&self, given: &str) -> anyhow::Result<String> {
        if let Some(name) = self.by_id::<WebhookId>(given)? {
            return Ok(name);
        }
        let request = ListWebhooksRequest {
            parent: self.account()?.to_string(),
            display_name: given.to_owned(),
            ..ListWebhooksRequest::default()
        };
        let found = self.answer(self.webhooks().list_webhooks(request).await)?.webhooks;
        self.only("webhook", given, found.into_iter().map(|webhook| webhook.name).collect())
    }

    /// The resource name of an automation. Several may have one display name: then only an id will do.
    ///
    /// # Errors
    /// When the account has none or several that are called so, or the look-up is refused.
    pub async fn automation_name(&self, given: &str) -> anyhow::Result<String> {
        if let Some(name) = self.by_id::<AutomationId>(given)? {
            return Ok(name);
        }
        let mut found = Vec::new();
        let page = async |page_size, page_token| {
            let parent = self.account()?.to_string();
            let request =
                ListAutomationsRequest { parent, page_size, page_token, ..ListAutomationsRequest::default() };
            let page = self.answer(self.automations().list_automations(request).await)?;
            Ok((page.automations, page.next_page_token))
        };
        let note = |automation: Automation| {
            if automation.display_name == given {
                found.push(automation.name);
            }
            Ok(())
        };
        every(0, page, note).await?;
        self.only("automation", given, found)
    }

    /// The resource name of an execution, which has no name but its id.
    ///
    /// # Errors
    /// When it is none.
    pub fn execution_name(&self, given: &str) -> anyhow::Result<String> {
        match self.by_id::<ExecutionId>(given)? {
            Some(name) => Ok(name),
            None => Err(Usage(format!(
                "`{}` is no execution: it must be an id (ex_…) or a resource name (accounts/…/executions/ex_…)",
                super::printable::line(given)
            ))
            .into()),
        }
    }

    /// `None` when it is neither an id nor a resource name.
    fn by_id<I: Collection>(&self, given: &str) -> anyhow::Result<Option<String>>
    where
        ResourceName<I>: FromStr<Err: std::fmt::Display>,
    {
        if given.starts_with("accounts/") {
            return match given.parse::<ResourceName<I>>() {
                Ok(name) => Ok(Some(name.to_string())),
                Err(error) => Err(Usage(format!("`{}`: {error}", super::printable::line(given))).into()),
            };
        }
        match given.parse::<I>() {
            Ok(id) => Ok(Some(ResourceName { account: self.account()?.0, id }.to_string())),
            Err(_) => Ok(None),
        }
    }

    fn only(&self, noun: &str, given: &str, found: Vec<String>) -> anyhow::Result<String> {
        let (given, account) = (super::printable::line(given), self.account()?.0);
        let next = format!("next: see what there is: sluice {noun} list --account {account}");
        match found.as_slice() {
            [name] => Ok(name.clone()),
            [] => bail!("account {account} has no {noun} called `{given}`\n{next}"),
            several => {
                let ids: Vec<_> = several.iter().map(|name| id_of(name)).collect();
                bail!("several are called `{given}`: {}\nnext: name one by its id", ids.join(", "))
            }
        }
    }
}
