//! `sluice automation`: what events set off.

pub(super) mod condition;

use std::path::Path;

use anyhow::{Context, bail};
use prost_types::FieldMask;
use proto::evaluator::v1::{
    ActivateAutomationRequest, Automation, CreateAutomationRequest, DeactivateAutomationRequest,
    DeleteAutomationRequest, DeleteAutomationResponse, GetAutomationRequest, ListAutomationsRequest,
    UpdateAutomationRequest, step,
};

use crate::cli::{self, AutomationCreate, AutomationList, AutomationUpdate, Noun};
use crate::client::sheet::{self, Sheet, id_of, word};
use crate::client::{Connection, Part, Usage, text_in, wire};

const AUTOMATION: &str = "sluice.evaluator.v1.Automation";
/// What an update can change.
const CHANGEABLE: [&str; 5] = ["display_name", "trigger", "condition", "steps", "missing"];

/// Runs one command.
///
/// # Errors
/// Why it could not be done, and what to do next.
pub async fn run(Noun { client, verb }: Noun<cli::Automation>) -> anyhow::Result<()> {
    let named = match &verb {
        cli::Automation::Get { automation }
        | cli::Automation::Delete { automation }
        | cli::Automation::Activate { automation }
        | cli::Automation::Deactivate { automation } => Some(automation.as_str()),
        cli::Automation::Update(wish) => wish.automation.as_deref(),
        cli::Automation::Create(_) | cli::Automation::List(_) => None,
    };
    let connection = Connection::open(&client, Part::Admin, named)?;
    match &verb {
        cli::Automation::Create(wish) => create(&connection, wish).await,
        cli::Automation::Get { automation } => {
            let request = GetAutomationRequest { name: connection.automation_name(automation).await? };
            let answer = connection.answer(connection.automations().get_automation(request).await)?;
            connection.show(AUTOMATION, &answer.automation.unwrap_or_default(), text)
        }
        cli::Automation::List(wish) => list(&connection, wish).await,
        cli::Automation::Update(wish) => update(&connection, wish).await,
        cli::Automation::Delete { automation } => {
            let name = connection.automation_name(automation).await?;
            let request =
                DeleteAutomationRequest { name: name.clone(), ..DeleteAutomationRequest::default() };
            let answer = connection.answer(connection.automations().delete_automation(request).await)?;
            let deleted = |_: &DeleteAutomationResponse| format!("deleted {}\n", id_of(&name));
            connection.show("sluice.evaluator.v1.DeleteAutomationResponse", &answer, deleted)
        }
        cli::Automation::Activate { automation } => {
            let name = connection.automation_name(automation).await?;
            let active = activate(&connection, name).await?;
            connection.show(AUTOMATION, &active, text)
        }
        cli::Automation::Deactivate { automation } => {
            let request = DeactivateAutomationRequest { name: connection.automation_name(automation).await? };
            let answer = connection.answer(connection.automations().deactivate_automation(request).await)?;
            connection.show(AUTOMATION, &answer.automation.unwrap_or_default(), text)
        }
    }
}

async fn create(connection: &Connection, wish: &AutomationCreate) -> anyhow::Result<()> {
    let (mut automation, _) = file("--file", &wish.file)?;
    resolve_webhooks(connection, &mut automation).await?;
    let request = CreateAutomationRequest {
        parent: connection.account()?.to_string(),
        automation: Some(automation),
        request_id: wish.request_id.clone().unwrap_or_default(),
    };
    let answer = connection.answer(connection.automations().create_automation(request).await)?;
    let mut automation = answer.automation.unwrap_or_default();
    if wish.activate {
        let id = id_of(&automation.name).to_owned();
        let active = activate(connection, automation.name).await;
        automation = active.with_context(|| format!("{id} was created and is not active"))?;
    }
    connection.show(AUTOMATION, &automation, text)
}

async fn activate(connection: &Connection, name: String) -> anyhow::Result<Automation> {
    let request = ActivateAutomationRequest { name };
    let answer = connection.answer(connection.automations().activate_automation(request).await)?;
    Ok(answer.automation.unwrap_or_default())
}

async fn list(connection: &Connection, wish: &AutomationList) -> anyhow::Result<()> {
    let webhook = match &wish.webhook {
        Some(given) => connection.webhook_name(given).await?,
        None => String::new(),
    };
    let headings = ["ID", "NAME", "STATE", "TRIGGER", "STEPS"];
    let row = |automation: &Automation| {
        vec![
            id_of(&automation.name).to_owned(),
            automation.display_name.clone(),
            state(automation).to_owned(),
            sheet::subscription(automation.trigger.as_ref()),
            automation.steps.len().to_string(),
        ]
    };
    let page = async |page_size, page_token| {
        let request = ListAutomationsRequest {
            parent: connection.account()?.to_string(),
            page_size,
            page_token,
            state: wish.state.unwrap_or_default(),
            webhook: webhook.clone(),
        };
        let page = connection.answer(connection.automations().list_automations(request).await)?;
        Ok((page.automations, page.next_page_token))
    };
    connection.list(AUTOMATION, wish.limit, &headings, row, page).await
}

async fn update(connection: &Connection, wish: &AutomationUpdate) -> anyhow::Result<()> {
    let (mut automation, named) = file("--file", &wish.file)?;
    let which =
        wish.automation.clone().or_else(|| Some(automation.name.clone()).filter(|name| !name.is_empty()));
    let Some(which) = which else {
        bail!(Usage("which automation? Name it on the command line, or as `name` in the file".to_owned()));
    };
    let paths: Vec<_> = named.into_iter().filter(|field| CHANGEABLE.contains(&field.as_str())).collect();
    if paths.is_empty() {
        bail!(Usage(format!(
            "{} names nothing to change: displayName, trigger, condition, steps, missing",
            wish.file.display()
        )));
    }
    automation.name = connection.automation_name(&which).await?;
    resolve_webhooks(connection, &mut automation).await?;
    let request =
        UpdateAutomationRequest { automation: Some(automation), update_mask: Some(FieldMask { paths }) };
    let answer = connection.answer(connection.automations().update_automation(request).await)?;
    connection.show(AUTOMATION, &answer.automation.unwrap_or_default(), text)
}

/// Reads an automation and the names of the fields that the file names; `flag` is who asked for it.
pub(super) fn file(flag: &str, path: &Path) -> anyhow::Result<(Automation, Vec<String>)> {
    let text = text_in(path).context(flag.to_owned())?;
    Ok(wire::read(AUTOMATION, &text).map_err(|error| Usage(format!("{flag}: {} {error}", path.display())))?)
}

/// Puts resource names where the file has ids or names of webhooks.
pub(super) async fn resolve_webhooks(
    connection: &Connection,
    automation: &mut Automation,
) -> anyhow::Result<()> {
    for (at, step) in automation.steps.iter_mut().enumerate() {
        if let Some(step::Kind::Request(request)) = &mut step.kind
            && !request.webhook.is_empty()
            && !request.webhook.starts_with("accounts/")
        {
            let found = connection.webhook_name(&request.webhook).await;
            request.webhook = found.with_context(|| format!("steps[{at}].request.webhook"))?;
        }
    }
    Ok(())
}

fn state(automation: &Automation) -> &'static str {
    word(automation.state().as_str_name(), "AUTOMATION_STATE_")
}

fn text(automation: &Automation) -> String {
    let mut sheet = Sheet::default();
    sheet
        .field("automation", &automation.display_name)
        .field("id", id_of(&automation.name))
        .field("state", state(automation))
        .field("version", automation.version)
        .field("trigger", sheet::subscription(automation.trigger.as_ref()))
        .field("condition", automation.condition.as_ref().map_or_else(String::new, condition::text));
    for (at, step) in automation.steps.iter().enumerate() {
        sheet.field(
            &format!("step {}", at + 1),
            match &step.kind {
                Some(step::Kind::Request(request)) => {
                    let method = word(request.method().as_str_name(), "METHOD_");
                    let method = if method.is_empty() { "POST" } else { method };
                    format!("{method} {} to {}", request.path, id_of(&request.webhook))
                }
                Some(step::Kind::Delay(delay)) => format!("wait {}", sheet::length(delay.duration.as_ref())),
                None => "of a kind that this program does not know".to_owned(),
            },
        );
    }
    sheet
        .field("owner", &automation.owner)
        .field("created", sheet::instant(automation.create_time.as_ref()))
        .field("changed", sheet::instant(automation.update_time.as_ref()));
    sheet.text().to_owned()
}
