//! The claim loop: accounts with due work and free quota, the longest waiting first, some executions each.

use std::time::Duration;

use sluice_domain::Span;
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

/// Runs until shutdown.
pub async fn claiming(
    store: Store,
    slots: Slots,
    sending: Sending,
    alarm: Alarm,
    clock: Clock,
    shutdown: Shutdown,
) {
    let _may_claim = sending.token();
    while !shutdown.is_triggered() {
        let rest = match pass(&store, &slots, &sending, &clock, &shutdown).await {
            Ok(rest) => rest,
            Err(error) => {
                tracing::warn!(error = %error, cause = ?error, "claiming rests: the database does not answer");
                REST
            }
        };
        if rest > Duration::ZERO {
            tokio::select! {
                () = alarm.rung() => {}
                () = tokio::time::sleep(rest) => {}
                () = shutdown.triggered() => {}
            }
        }
    }
}

/// One look at what is due; says how long nothing will be.
async fn pass(
    store: &Store,
    slots: &Slots,
    sending: &Sending,
    clock: &Clock,
    shutdown: &Shutdown,
) -> Result<Duration, StorageError> {
    let (now, next) = store.next_wake().await?;
    match next {
        Some(at) if at <= now => {}
        Some(at) => return Ok(at.since(now).min(POLL).to_duration()),
        None => return Ok(POLL.to_duration()),
    }
    for account in store.due_accounts(ACCOUNTS).await? {
        let Some(seats) = shutdown.or(slots.wait(TURN)).await else { break };
        let since = clock.now();
        let claims = store.claim(&account, seats.count()).await?;
        sending.send(claims, seats, since);
    }
    Ok(Duration::ZERO)
}
