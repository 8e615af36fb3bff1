//! The public API of one server, for one caller and one account.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use proto::dispatcher::v1::execution_service_client::ExecutionServiceClient;
use proto::dispatcher::v1::quota_service_client::QuotaServiceClient;
use proto::evaluator::v1::automation_service_client::AutomationServiceClient;
use proto::evaluator::v1::event_service_client::EventServiceClient;
use proto::registry::v1::account_service_client::AccountServiceClient;
use proto::registry::v1::webhook_service_client::WebhookServiceClient;
use sluice_domain::AccountId;
use sluice_rpc::{AccountName, Authorities, BearerToken, ClientTls, Credentials, Transport};
use tonic::{Response, Status};

use super::advice::Situation;
use super::{Caller, Part, Refused, Server, Usage, text_in};
use crate::cli;

/// A way to a server, as somebody.
#[derive(Debug)]
pub struct Connection {
    transport: Transport,
    account: Option<AccountId>,
    situation: Situation,
    json: bool,
}

impl Connection {
    /// Makes ready to call, in this part. The account is that of the flags, else that of `name` if it is a resource name. Nothing is sent
    /// yet: a server that does not answer shows in the calls.
    ///
    /// # Errors
    /// When the address can't be used, or there is no token.
    pub fn open(flags: &cli::Client, part: Part, name: Option<&str>) -> anyhow::Result<Self> {
        let server = Server::parse(&flags.server)?;
        let account = flags.account.clone().or_else(|| name.and_then(account_of));
        let caller = Caller::find(flags, &server, account.as_ref(), part)?;
        let situation = Situation {
            server: server.to_string(),
            account: account.as_ref().map(ToString::to_string),
            part: caller.part,
            minted_from: caller.minted_from,
        };
        let transport = Transport::connect_with(
            server.address(),
            Credentials {
                token: Some(BearerToken::new(&caller.token)?.into()),
                tls: flags.ca_file.as_deref().map(believing).transpose()?.map(Into::into),
            },
        )?;
        Ok(Self { transport, account, situation, json: flags.json })
    }

    /// The account that is acted for.
    ///
    /// # Errors
    /// When none was named.
    pub fn account(&self) -> Result<AccountName, Usage> {
        let missing = || Usage("which account? Give --account ACCOUNT, or set SLUICE_ACCOUNT".to_owned());
        self.account.clone().map(AccountName).ok_or_else(missing)
    }

    /// The answer, or the refusal as people read it.
    ///
    /// # Errors
    /// The refusal.
    pub fn answer<T>(&self, answered: Result<Response<T>, Status>) -> Result<T, Refused> {
        answered.map(Response::into_inner).map_err(|status| self.refused(&status))
    }

    /// A refusal as people read it.
    pub fn refused(&self, status: &Status) -> Refused {
        Refused::read(status, self.situation.clone())
    }

    /// Prints the message called `full_name` for programs, or what `text` makes of it for people.
    ///
    /// # Errors
    /// When standard output is gone.
    pub fn show<M: prost::Message>(
        &self,
        full_name: &str,
        message: &M,
        text: impl FnOnce(&M) -> String,
    ) -> anyhow::Result<()> {
        let text = match self.json {
            true => super::wire::write(full_name, message)? + "\n",
            false => text(message),
        };
        Ok(print(&text)?)
    }

    /// Whether programs read what is printed.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Accounts.
    pub fn accounts(&self) -> AccountServiceClient<Transport> {
        AccountServiceClient::new(self.transport.clone())
    }

    /// Webhooks.
    pub fn webhooks(&self) -> WebhookServiceClient<Transport> {
        WebhookServiceClient::new(self.transport.clone())
    }

    /// Automations.
    pub fn automations(&self) -> AutomationServiceClient<Transport> {
        AutomationServiceClient::new(self.transport.clone())
    }

    /// Events.
    pub fn events(&self) -> EventServiceClient<Transport> {
        EventServiceClient::new(self.transport.clone())
    }

    /// Executions.
    pub fn executions(&self) -> ExecutionServiceClient<Transport> {
        ExecutionServiceClient::new(self.transport.clone())
    }

    /// Quotas.
    pub fn quotas(&self) -> QuotaServiceClient<Transport> {
        QuotaServiceClient::new(self.transport.clone())
    }
}

/// Writes to standard output.
///
/// # Errors
/// When it is gone.
pub fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

fn believing(file: &Path) -> anyhow::Result<ClientTls> {
    let authorities = Authorities::from_pem(&text_in(file).context("--ca-file")?);
    let authorities = authorities.map_err(|error| Usage(format!("--ca-file: {} {error}", file.display())))?;
    Ok(ClientTls::trusting(&authorities)?)
}

fn account_of(name: &str) -> Option<AccountId> {
    name.strip_prefix("accounts/")?.split('/').next()?.parse().ok()
}
