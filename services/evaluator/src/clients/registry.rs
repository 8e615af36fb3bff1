//! The registry: its feed of what accounts may do and which webhooks there are, and whether it has an account.

use proto::registry::v1 as wire;
use proto::registry::v1::account_service_client::AccountServiceClient;
use proto::registry::v1::feed_service_client::FeedServiceClient;
use sluice_domain::{AccountId, Reason};
use sluice_rpc::{Transport, fault_of};
use thiserror::Error;
use tonic::Streaming;

use super::{convert, refusal};
use crate::error::EvaluatorError;
use crate::snapshot::Change;

/// What refusals call it.
pub(crate) const NAME: &str = "the registry";

/// Why the feed ended.
#[derive(Debug, Error)]
pub(crate) enum FeedError {
    /// The registry no longer has what came after the cursor.
    #[error("the cursor is too old")]
    CursorTooOld,
    /// The connection failed or was refused.
    #[error("{0}")]
    Broken(Box<tonic::Status>),
    /// The registry ended the stream.
    #[error("the registry ended the stream")]
    Ended,
}

/// What the feed tells.
#[derive(Debug)]
pub(crate) enum Told {
    /// One change.
    Change(Change),
    /// The present state is complete.
    Synced,
}

/// The registry.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    feed: FeedServiceClient<Transport>,
    accounts: AccountServiceClient<Transport>,
}

/// One open stream of changes.
#[derive(Debug)]
pub(crate) struct Feed {
    stream: Streaming<wire::WatchChangesResponse>,
}

impl Registry {
    /// The registry at the other end of the transport.
    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            feed: FeedServiceClient::new(transport.clone()),
            accounts: AccountServiceClient::new(transport),
        }
    }

    /// Opens the feed after `cursor`; 0 brings the present state first.
    ///
    /// # Errors
    /// When the registry can't be reached or refuses.
    pub(crate) async fn watch(&self, cursor: i64) -> Result<Feed, FeedError> {
        let request = wire::WatchChangesRequest { cursor };
        let answer = self.feed.clone().watch_changes(request).await.map_err(broken)?;
        Ok(Feed { stream: answer.into_inner() })
    }

    /// Whether it has the account, now: with a default plan, an account comes into being when it is asked for.
    ///
    /// # Errors
    /// When it can't be reached or refuses.
    pub(crate) async fn has(&self, account: &AccountId) -> Result<bool, EvaluatorError> {
        let request = wire::GetAccountRequest { name: format!("accounts/{account}") };
        match self.accounts.clone().get_account(request).await {
            Ok(_) => Ok(true),
            Err(status) if fault_of(&status).is_some_and(|refusal| refusal.is(Reason::AccountUnknown)) => {
                Ok(false)
            }
            Err(status) => Err(refusal::of_status(NAME, &status)),
        }
    }
}

impl Feed {
    /// The next thing told, and the revision it stands at. What we can't read is logged and left out: the registry checks
    /// what it stores, so it can only be a newer kind of thing than this version knows.
    ///
    /// # Errors
    /// When the stream ends.
    pub(crate) async fn next(&mut self) -> Result<(i64, Told), FeedError> {
        loop {
            let message = self.stream.message().await.map_err(broken)?.ok_or(FeedError::Ended)?;
            let revision = message.revision;
            match convert::told(message) {
                Ok(told) => return Ok((revision, told)),
                Err(error) => {
                    tracing::error!(%error, feed.revision = revision, "a change of the registry can't be read")
                }
            }
        }
    }
}

fn broken(status: tonic::Status) -> FeedError {
    if status.code() == tonic::Code::OutOfRange {
        FeedError::CursorTooOld
    } else {
        FeedError::Broken(Box::new(status))
    }
}
