//! The claim loop: accounts with due work and free quota, the longest waiting first, some executions each.

use std::time::Duration;

use sluice_domain::{AccountId, Span};
use sluice_runtime::{Clock, Shutdown};
use sluice_storage::StorageError;

use super::send::Sending;
use super::{Alarm, Slots};
use crate::store::Store;

/// The longest sleep: how late a replica notices what another one left for it.
const POLL: Span = Span::from_secs(1);
/// How long the loop rests when the database does not answer.
const REST: Duration = Duration::from_millis(500);
/// How many accounts are looked at before time is read again.
const ACCOUNTS: usize = 64;
/// How many executions of one account are claimed before the next has its turn.
const TURN: usize = 64;

/// How long the loop rests when everything that is due is another replica's at the moment, or waits for a seat.
const NOTHING_TO_HAVE: Duration = Duration::from_millis(20);
/// How long an account is left alone whose work can't be claimed.
const LEFT_ALONE: Span = Span::from_secs(30);

/// What claiming needs.
pub struct Claiming {
    /// Where from.
    pub store: Store,
    /// How much may be claimed.
    pub slots: Slots,
    /// Who sends it.
    pub sending: Sending,
    /// Rings when something may be due earlier than thought.
    pub alarm: Alarm,
    /// The process's time.
    pub clock: Clock,
}

impl Claiming {
    /// Runs until nothing more is to be claimed.
    pub async fn run(self, shutdown: Shutdown) {
        let _may_claim = self.sending.token();
        while !shutdown.is_triggered() {
            let rest = match self.pass(&shutdown).await {
                Ok(rest) => rest,
                Err(error) => {
                    tracing::warn!(error = %error, cause = ?error, "claiming rests: the database does not answer");
                    REST
                }
            };
            if rest > Duration::ZERO {
                tokio::select! {
                    () = self.alarm.rung() => {}
                    () = tokio::time::sleep(rest) => {}
                    () = shutdown.triggered() => {}
                }
            }
        }
    }

    /// One look at what is due; says how long nothing will be.
    async fn pass(&self, shutdown: &Shutdown) -> Result<Duration, StorageError> {
        let (now, next) = self.store.next_wake().await?;
        match next {
            Some(at) if at <= now => {}
            Some(at) => return Ok(at.since(now).min(POLL).to_duration()),
            None => return Ok(POLL.to_duration()),
        }
        let mut claimed = 0;
        for account in self.store.due_accounts(ACCOUNTS).await? {
            while self.slots.free() == 0 {
                if shutdown.or(self.slots.freed()).await.is_none() {
                    return Ok(Duration::ZERO);
                }
            }
            if shutdown.is_triggered() {
                return Ok(Duration::ZERO);
            }
            let room = self.slots.share(&account).min(TURN);
            if room > 0 {
                claimed += self.claim(&account, room).await?;
            }
        }
        Ok(if claimed > 0 { Duration::ZERO } else { NOTHING_TO_HAVE })
    }

    /// Claims some work of an account. One whose work can't be claimed is left alone for a while, so that it keeps nobody else
    /// from theirs.
    async fn claim(&self, account: &AccountId, room: usize) -> Result<usize, StorageError> {
        let since = self.clock.now();
        match self.store.claim(account, room).await {
            Ok(claims) => {
                let count = claims.len();
                self.sending.send(claims, &self.slots, since);
                Ok(count)
            }
            Err(error) if error.is_transient() => Err(error),
            Err(error) => {
                tracing::error!(account.id = %account, error = %error, cause = ?error, "an account's work can't be claimed");
                self.store.postpone(account, LEFT_ALONE).await?;
                Ok(0)
            }
        }
    }
}
