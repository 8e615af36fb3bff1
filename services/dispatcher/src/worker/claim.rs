//! The claim loop: accounts with due work and free quota, the longest waiting first, some executions each.

use std::time::Duration;

use sluice_domain::{AccountId, Span};
use sluice_runtime::{Clock, Shutdown};
use sluice_storage::StorageError;

use super::send::Sending;
use super::{Alarm, Slots};
use crate::receiver::Share;
use crate::store::{Claimed, Store};

/// The longest sleep: how late a replica notices what another one left for it.
const POLL: Span = Span::from_secs(1);
/// How long the loop rests when the database does not answer.
const REST: Duration = Duration::from_millis(500);
/// How many accounts are looked at before time is read again.
const ACCOUNTS: usize = 64;
/// How many executions of one account are claimed before the next has its turn.
const TURN: usize = 256;

/// How long the loop rests when everything that is due is another replica's at the moment.
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

/// What the loop waits for when it has done what it could; in any case for the alarm.
enum Rest {
    /// Nothing.
    None,
    /// So long, or until a receiver that was full has room.
    For(Duration),
    /// Until a seat is freed, at most so long: those whose work is due have all the seats they may have.
    Seat(Duration),
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
                    Rest::For(REST)
                }
            };
            let (length, for_a_seat) = match rest {
                Rest::None => continue,
                Rest::For(length) => (length, false),
                Rest::Seat(length) => (length, true),
            };
            tokio::select! {
                () = self.alarm.rung() => {}
                () = self.slots.opened() => {}
                () = self.slots.freed(), if for_a_seat => {}
                () = tokio::time::sleep(length) => {}
                () = shutdown.triggered() => {}
            }
        }
    }

    /// One look at what is due; says how long nothing will be.
    async fn pass(&self, shutdown: &Shutdown) -> Result<Rest, StorageError> {
        let mut claimed = 0;
        for account in self.slots.openable() {
            let _turn = self.slots.turn([&account]).await;
            let share = Share { looks: true, ..self.slots.share(&account) };
            if share.seats > 0 && !shutdown.is_triggered() {
                claimed += self.claim(&account, share).await?;
            }
        }
        let (now, next) = self.store.next_wake().await?;
        match next {
            Some(at) if at <= now => {}
            _ if claimed > 0 => return Ok(Rest::None),
            Some(at) => return Ok(Rest::For(at.since(now).min(POLL).to_duration())),
            None => return Ok(Rest::For(POLL.to_duration())),
        }
        let mut tried = 0;
        for account in self.store.due_accounts(ACCOUNTS).await? {
            while self.slots.free() == 0 {
                if shutdown.or(self.slots.freed()).await.is_none() {
                    return Ok(Rest::None);
                }
            }
            if shutdown.is_triggered() {
                return Ok(Rest::None);
            }
            let _turn = self.slots.turn([&account]).await;
            let share = self.slots.share(&account);
            if share.seats > 0 {
                tried += 1;
                claimed += self.claim(&account, share).await?;
            }
        }
        Ok(match (claimed, tried) {
            (0, 0) => Rest::Seat(POLL.to_duration()),
            (0, _) => Rest::For(NOTHING_TO_HAVE),
            _ => Rest::None,
        })
    }

    /// Claims some work of an account. One whose work can't be claimed is left alone for a while, so that it keeps nobody else
    /// from theirs.
    async fn claim(&self, account: &AccountId, share: Share) -> Result<usize, StorageError> {
        let since = self.clock.now();
        let share = Share { seats: share.seats.min(TURN), ..share };
        match self.store.claim(account, share).await {
            Ok(Claimed { claims, held }) => {
                let count = claims.len();
                self.sending.send(claims, &self.slots, since);
                if let Some(held) = held {
                    self.slots.hold(account, &held);
                }
                Ok(count)
            }
            Err(error) if error.is_transient() => Err(error),
            Err(error) => {
                tracing::error!(account.id = %account, error = %error, cause = ?error, "an account's work can't be claimed");
                self.slots.forget(account);
                self.store.postpone(account, LEFT_ALONE).await?;
                Ok(0)
            }
        }
    }
}
