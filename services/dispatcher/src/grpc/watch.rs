//! Watches as callers ask for them, and what they are told.

use std::pin::Pin;

use futures_util::{Stream, stream};
use proto::dispatcher::v1 as wire;
use proto::dispatcher::v1::watch_executions_request::Start as WireStart;
use proto::dispatcher::v1::watch_executions_response::Event;
use sluice_auth::Principal;
use sluice_domain::{AccountId, Cursor, CursorError, Violations};
use sluice_rpc::convert::to_timestamp;
use sluice_rpc::{AccountName, Fault, ResourceName};
use sluice_runtime::Shutdown;
use tonic::Status;

use super::show;
use crate::change::{Place, Then, Told, What};
use crate::error::Error;
use crate::execution::{Snapshot, State};
use crate::pause::{Before, Pause};
use crate::worker::{Start, Watch, WatchItem};

/// The answers to one watcher.
pub(super) type Answers = Pin<Box<dyn Stream<Item = Result<wire::WatchExecutionsResponse, Status>> + Send>>;

/// A watch that was asked for.
pub(super) struct Asked {
    pub(super) account: AccountName,
    pub(super) start: Start,
}

impl Asked {
    pub(super) fn parse(request: &wire::WatchExecutionsRequest, caller: &Principal) -> Result<Self, Fault> {
        let mut broken = Violations::new();
        let account = broken.keep("parent", request.parent.parse::<AccountName>());
        if let Some(account) = &account {
            account.open_to(caller)?;
        }
        let start = match &request.start {
            Some(WireStart::Cursor(token)) if !token.is_empty() => {
                broken.keep("cursor", place(token, &request.parent)).map(Start::At)
            }
            Some(WireStart::Oldest(true)) => Some(Start::Oldest),
            Some(WireStart::Cursor(_) | WireStart::Oldest(false)) | None => Some(Start::Now),
        };
        match (account, start) {
            (Some(account), Some(start)) => Ok(Self { account, start }),
            _ => Err(Error::Invalid(broken).into()),
        }
    }
}

/// Cursors are of one account's watch, and of nothing else that has tokens.
fn tie(account: &str) -> String {
    format!("watch|{account}")
}

fn place(token: &str, account: &str) -> Result<Place, CursorError> {
    let cursor = Cursor::from_token(token, &tie(account))?.ok_or(CursorError)?;
    Place::from_bytes(cursor.key()).ok_or(CursorError)
}

/// The answers of a watch until the server goes away. The next one is read when the caller has room for it.
pub(super) fn answers(watch: Watch, account: AccountName, shutdown: Shutdown) -> Answers {
    let tie = tie(&account.to_string());
    Box::pin(stream::unfold(Some(watch), move |watch| {
        let (shutdown, account, tie) = (shutdown.clone(), account.0.clone(), tie.clone());
        async move {
            let mut watch = watch?;
            match shutdown.or(watch.next()).await? {
                Ok((place, item)) => {
                    let cursor = Cursor::after(place.to_bytes()).to_token(&tie);
                    let event = Some(event(&account, item));
                    Some((Ok(wire::WatchExecutionsResponse { cursor, event }), Some(watch)))
                }
                Err(error) => Some((Err(Fault::from(error).into()), None)),
            }
        }
    }))
}

fn event(account: &AccountId, item: WatchItem) -> Event {
    match item {
        WatchItem::Change(told) => Event::Change(change(*told)),
        WatchItem::Gate(before, pause) => Event::Gate(gate(account, before, pause)),
        WatchItem::Progress => Event::Progress(wire::WatchProgress {}),
    }
}

fn change(told: Told) -> wire::ExecutionChange {
    let next = told.stands_at();
    let Told { change, at, execution, attempt, end } = told;
    let delivery = |step: usize| {
        execution.plan.deliveries.get(step).map(|delivery| delivery.id.to_string()).unwrap_or_default()
    };
    let (delivery, next_delivery) = (delivery(change.step), next.map(delivery).unwrap_or_default());
    let state = match (change.then, end) {
        (_, Some((end, at))) => State::Ended(end, at),
        (Then::Runs, None) => State::Running,
        (Then::Waits(until), None) if until > at => State::Waiting(until),
        (Then::Waits(_) | Then::Queues | Then::Ended(_), None) => State::Queued,
    };
    let snapshot = Snapshot { execution, state, started_at: None, attempt_count: 0, attempts: Vec::new() };
    let mut shown = wire::ExecutionChange {
        change_time: Some(to_timestamp(at)),
        execution: Some(show::execution(snapshot, false)),
        next_delivery,
        delivery,
        attempt_number: i32::try_from(change.attempt).unwrap_or(i32::MAX),
        attempt: attempt.as_ref().map(show::attempt),
        ..wire::ExecutionChange::default()
    };
    shown.set_kind(kind(change.what));
    shown
}

const fn kind(what: What) -> wire::ExecutionChangeKind {
    match what {
        What::Accepted => wire::ExecutionChangeKind::Accepted,
        What::Started => wire::ExecutionChangeKind::AttemptStarted,
        What::Tried => wire::ExecutionChangeKind::AttemptEnded,
        What::HandedBack => wire::ExecutionChangeKind::HandedBack,
        What::Ended => wire::ExecutionChangeKind::Ended,
        What::Reopened => wire::ExecutionChangeKind::Reopened,
        What::Turn => wire::ExecutionChangeKind::Turn,
    }
}

fn gate(account: &AccountId, before: Before, pause: Option<Pause>) -> wire::GateChange {
    use wire::gate_change::Before as Shown;
    let before = match before {
        Before::Account => Shown::Account(true),
        Before::Automations => Shown::Automations(true),
        Before::Notifications => Shown::Notifications(true),
        Before::Webhook(id) => Shown::Webhook(ResourceName { account: account.clone(), id }.to_string()),
    };
    wire::GateChange { before: Some(before), pause: pause.map(show::pause) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_the_account_that_it_was_told_to_and_for_nothing_else() {
        let own = Cursor::after(Place::behind(7).to_bytes()).to_token(&tie("accounts/acme"));
        assert_eq!(place(&own, "accounts/acme"), Ok(Place::behind(7)));
        assert!(place(&own, "accounts/globex").is_err() && place("x", "accounts/acme").is_err());
        let page = Cursor::after(Place::behind(7).to_bytes()).to_token("accounts/acme|0|||");
        assert!(place(&page, "accounts/acme").is_err());
    }
}
