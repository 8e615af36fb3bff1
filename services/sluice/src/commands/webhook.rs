//! `sluice webhook`: registered targets.

use std::path::Path;

use anyhow::{Context, bail};
use prost_types::FieldMask;
use proto::event::v1::Subscription;
use proto::registry::v1::authentication::Kind;
use proto::registry::v1::{
    Authentication, CreateWebhookRequest, CreateWebhookResponse, DeleteWebhookRequest, DeleteWebhookResponse,
    DisableReason, GetWebhookRequest, ListWebhooksRequest, Rate, UpdateWebhookRequest, Webhook,
    WebhookOrdering,
};

use sluice_rpc::convert::to_duration;

use crate::cli::{self, Noun, WebhookCreate, WebhookList, WebhookUpdate};
use crate::client::sheet::{self, Sheet, id_of, word};
use crate::client::{Connection, Part, Usage, secret_in, text_in, wire};

const WEBHOOK: &str = "sluice.registry.v1.Webhook";

/// Runs one command.
///
/// # Errors
/// Why it could not be done, and what to do next.
pub async fn run(Noun { client, verb }: Noun<cli::Webhook>) -> anyhow::Result<()> {
    let named = match &verb {
        cli::Webhook::Get { webhook } | cli::Webhook::Delete { webhook } => Some(webhook.as_str()),
        cli::Webhook::Update(wish) => Some(wish.webhook.as_str()),
        cli::Webhook::Create(_) | cli::Webhook::List(_) => None,
    };
    let connection = Connection::open(&client, Part::Admin, named)?;
    match &verb {
        cli::Webhook::Create(wish) => create(&connection, wish).await,
        cli::Webhook::Get { webhook } => {
            let request = GetWebhookRequest { name: connection.webhook_name(webhook).await? };
            let answer = connection.answer(connection.webhooks().get_webhook(request).await)?;
            connection.show(WEBHOOK, &answer.webhook.unwrap_or_default(), text)
        }
        cli::Webhook::List(wish) => list(&connection, wish).await,
        cli::Webhook::Update(wish) => update(&connection, wish).await,
        cli::Webhook::Delete { webhook } => {
            let name = connection.webhook_name(webhook).await?;
            let request = DeleteWebhookRequest { name: name.clone(), ..DeleteWebhookRequest::default() };
            let answer: DeleteWebhookResponse =
                connection.answer(connection.webhooks().delete_webhook(request).await)?;
            let deleted = |_: &DeleteWebhookResponse| format!("deleted {}\n", id_of(&name));
            connection.show("sluice.registry.v1.DeleteWebhookResponse", &answer, deleted)
        }
    }
}

async fn create(connection: &Connection, wish: &WebhookCreate) -> anyhow::Result<()> {
    let secret = wish.signing_secret_file.as_deref().map(secret_in).transpose();
    let secret = secret.context("--signing-secret-file")?;
    let request = CreateWebhookRequest {
        parent: connection.account()?.to_string(),
        webhook: Some(Webhook {
            display_name: wish.name.clone(),
            kind: wish.kind,
            endpoint_url: wish.url.clone(),
            authentication: wish.credentials.as_deref().map(credentials).transpose()?,
            subscription: subscription(&wish.subscription),
            ordering: wish.ordering.unwrap_or_default(),
            max_in_flight: wish.limits.max_in_flight,
            rate: rate(&wish.limits),
            ..Webhook::default()
        }),
        signing_secret: secret.map(|secret| secret.expose().to_owned()).unwrap_or_default(),
        request_id: wish.request_id.clone().unwrap_or_default(),
    };
    let answer = connection.answer(connection.webhooks().create_webhook(request).await)?;
    connection.show("sluice.registry.v1.CreateWebhookResponse", &answer, |answer: &CreateWebhookResponse| {
        let mut sheet = Sheet::default();
        let secret = &answer.signing_secret;
        sheet.field("secret", format!("{secret}   (signs every request; shown this once, so keep it now)"));
        text(&answer.webhook.clone().unwrap_or_default()) + sheet.text()
    })
}

async fn list(connection: &Connection, wish: &WebhookList) -> anyhow::Result<()> {
    let headings = ["ID", "NAME", "KIND", "STATE", "ENDPOINT"];
    let row = |webhook: &Webhook| {
        vec![
            id_of(&webhook.name).to_owned(),
            webhook.display_name.clone(),
            kind(webhook).to_owned(),
            state(webhook).to_owned(),
            webhook.endpoint_url.clone(),
        ]
    };
    let page = async |page_size, page_token| {
        let request = ListWebhooksRequest {
            parent: connection.account()?.to_string(),
            page_size,
            page_token,
            kind: wish.kind.unwrap_or_default(),
            ..ListWebhooksRequest::default()
        };
        let page = connection.answer(connection.webhooks().list_webhooks(request).await)?;
        Ok((page.webhooks, page.next_page_token))
    };
    connection.list(WEBHOOK, wish.limit, &headings, row, page).await
}

async fn update(connection: &Connection, wish: &WebhookUpdate) -> anyhow::Result<()> {
    let mut webhook = Webhook { name: connection.webhook_name(&wish.webhook).await?, ..Webhook::default() };
    let mut paths = Vec::new();
    if let Some(name) = &wish.name {
        paths.push("display_name");
        webhook.display_name.clone_from(name);
    }
    if let Some(url) = &wish.url {
        paths.push("endpoint_url");
        webhook.endpoint_url.clone_from(url);
    }
    if let Some(subscription) = subscription(&wish.subscription) {
        paths.push("subscription");
        webhook.subscription = Some(subscription);
    }
    if wish.no_credentials || wish.credentials.is_some() {
        paths.push("authentication");
        webhook.authentication = wish.credentials.as_deref().map(credentials).transpose()?;
    }
    if let Some(state) = wish.state {
        paths.push("state");
        webhook.state = state;
    }
    if let Some(ordering) = wish.ordering {
        paths.push("ordering");
        webhook.ordering = ordering;
    }
    if wish.no_max_in_flight || wish.limits.max_in_flight.is_some() {
        paths.push("max_in_flight");
        webhook.max_in_flight = wish.limits.max_in_flight;
    }
    if wish.no_rate || wish.limits.rate.is_some() {
        paths.push("rate");
        webhook.rate = rate(&wish.limits);
    }
    let request = UpdateWebhookRequest {
        webhook: Some(webhook),
        update_mask: Some(FieldMask { paths: paths.into_iter().map(str::to_owned).collect() }),
    };
    let answer = connection.answer(connection.webhooks().update_webhook(request).await)?;
    connection.show(WEBHOOK, &answer.webhook.unwrap_or_default(), text)
}

fn credentials(path: &Path) -> anyhow::Result<Authentication> {
    let text = text_in(path).context("--credentials")?;
    let read = wire::read::<Authentication>("sluice.registry.v1.Authentication", &text);
    let (authentication, _) =
        read.map_err(|error| Usage(format!("--credentials: {} {error}", path.display())))?;
    if authentication.kind.is_none() {
        bail!(Usage(format!("--credentials: {} must have one of: basic, bearer, apiKey", path.display())));
    }
    Ok(authentication)
}

fn subscription(wish: &cli::Subscription) -> Option<Subscription> {
    let object = wish.object.clone()?;
    Some(Subscription { object, actions: wish.actions.clone() })
}

/// The rate that was asked for.
fn rate(wish: &cli::Limits) -> Option<Rate> {
    wish.rate.map(|pace| Rate {
        units: pace.units,
        per: Some(to_duration(pace.per)),
        burst: wish.burst.unwrap_or(pace.units),
    })
}

fn kind(webhook: &Webhook) -> &'static str {
    word(webhook.kind().as_str_name(), "WEBHOOK_KIND_")
}

fn state(webhook: &Webhook) -> &'static str {
    word(webhook.state().as_str_name(), "WEBHOOK_STATE_")
}

/// In which order it gets its requests, where that is not simply when they can be sent.
fn ordering(webhook: &Webhook) -> &'static str {
    match webhook.ordering() {
        WebhookOrdering::Record => "by record",
        WebhookOrdering::None | WebhookOrdering::Unspecified => "",
    }
}

/// How many requests may be under way to it, where that is limited.
fn in_flight(webhook: &Webhook) -> String {
    webhook.max_in_flight.map_or_else(String::new, |most| format!("at most {most} at once"))
}

/// Since when it is disabled, and why, if the system did it.
fn disabled(webhook: &Webhook) -> String {
    let Some(since) = &webhook.disable_time else { return String::new() };
    let since = sheet::instant(Some(since));
    match webhook.disable_reason() {
        DisableReason::Unspecified => format!("since {since}"),
        reason => format!("since {since}, {}", word(reason.as_str_name(), "DISABLE_REASON_")),
    }
}

fn text(webhook: &Webhook) -> String {
    let mut sheet = Sheet::default();
    sheet
        .field("webhook", &webhook.display_name)
        .field("id", id_of(&webhook.name))
        .field("kind", kind(webhook))
        .field("state", state(webhook))
        .field("disabled", disabled(webhook))
        .field("endpoint", &webhook.endpoint_url)
        .field("credentials", authentication(webhook.authentication.as_ref()))
        .field("ordering", ordering(webhook))
        .field("in flight", in_flight(webhook))
        .field("rate", sheet::rate(webhook.rate.as_ref()))
        .field("events", sheet::subscription(webhook.subscription.as_ref()))
        .field("owner", &webhook.owner)
        .field("created", sheet::instant(webhook.create_time.as_ref()))
        .field("changed", sheet::instant(webhook.update_time.as_ref()));
    sheet.text().to_owned()
}

/// The kind of credentials and what of them is no secret.
fn authentication(kept: Option<&Authentication>) -> String {
    match kept.and_then(|kept| kept.kind.as_ref()) {
        Some(Kind::Basic(basic)) => format!("basic, user {}", basic.username),
        Some(Kind::Bearer(_)) => "bearer".to_owned(),
        Some(Kind::ApiKey(key)) => format!("apiKey, header {}", key.header),
        None => String::new(),
    }
}
