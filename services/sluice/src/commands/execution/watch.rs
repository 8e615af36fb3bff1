//! `sluice execution watch`: what happens, a line each.

use anyhow::bail;
use proto::dispatcher::v1::watch_executions_request::Start;
use proto::dispatcher::v1::watch_executions_response::Event;
use proto::dispatcher::v1::{
    ExecutionChange, GateChange, PauseReason, WatchExecutionsRequest, WatchExecutionsResponse, gate_change,
};

use super::story;
use crate::cli::ExecutionWatch;
use crate::client::Connection;
use crate::client::printable::Printable;
use crate::client::sheet::{self, id_of, word};

const RESPONSE: &str = "sluice.dispatcher.v1.WatchExecutionsResponse";

/// Follows until interrupted, until enough was told, or until the server goes away.
///
/// # Errors
/// Why it ended, with where to go on.
pub(super) async fn run(connection: &Connection, wish: &ExecutionWatch) -> anyhow::Result<()> {
    let start = match &wish.cursor {
        Some(cursor) => Some(Start::Cursor(cursor.clone())),
        None => wish.oldest.then_some(Start::Oldest(true)),
    };
    let request = WatchExecutionsRequest { parent: connection.account()?.to_string(), start };
    let mut answers = connection.answer(connection.executions().watch_executions(request).await)?;
    let (mut cursor, mut told) = (None, 0);
    loop {
        match answers.message().await {
            Ok(Some(answer)) => {
                cursor = Some(answer.cursor.clone());
                connection.show(RESPONSE, &answer, text)?;
                told += usize::from(matches!(answer.event, Some(Event::Change(_) | Event::Gate(_))));
                if told > 0 && told == wish.limit {
                    return Ok(());
                }
            }
            Ok(None) => bail!("the server ended the watch\n{}", go_on(cursor.as_deref())),
            Err(status) => {
                let refused = connection.refused(&status);
                bail!("{refused}\n{}", go_on(cursor.as_deref()));
            }
        }
    }
}

fn go_on(cursor: Option<&str>) -> String {
    let from = cursor.map_or_else(String::new, |cursor| format!(" --cursor {}", Printable(cursor)));
    format!("to go on where it ended: sluice execution watch{from}")
}

fn text(answer: &WatchExecutionsResponse) -> String {
    match &answer.event {
        Some(Event::Change(change)) => changed(change) + "\n",
        Some(Event::Gate(gate)) => gated(gate) + "\n",
        // How far it has come is for programs.
        Some(Event::Progress(_)) | None => String::new(),
    }
}

fn changed(change: &ExecutionChange) -> String {
    let execution = change.execution.clone().unwrap_or_default();
    let kind = word(change.kind().as_str_name(), "EXECUTION_CHANGE_KIND_");
    let number = match change.attempt_number {
        0 => String::new(),
        number => format!(" {number}"),
    };
    let answered = change.attempt.as_ref().and_then(|attempt| attempt.answer.as_ref());
    let answered = answered.map_or_else(String::new, |answer| format!(", answered {}", answer.status));
    let event = execution.event.clone().unwrap_or_default();
    format!(
        "{}  {}  {kind}{number}{answered}: {} ({})",
        sheet::instant(change.change_time.as_ref()),
        id_of(&execution.name),
        story::standing(&execution),
        Printable(&event.id),
    )
}

fn gated(gate: &GateChange) -> String {
    let before = match &gate.before {
        Some(gate_change::Before::Account(_)) => "everything of the account".to_owned(),
        Some(gate_change::Before::Automations(_)) => "executions of automations".to_owned(),
        Some(gate_change::Before::Notifications(_)) => "notifications".to_owned(),
        Some(gate_change::Before::Webhook(name)) => format!("requests to {}", id_of(name)),
        None => "something".to_owned(),
    };
    let Some(pause) = &gate.pause else { return format!("gate open: {before}") };
    let reason = PauseReason::try_from(pause.reason).unwrap_or_default();
    let until = sheet::instant(pause.expected_end_time.as_ref());
    let until = if until.is_empty() { until } else { format!(" until {until}") };
    format!("gate closed: {before}, {}{until}", word(reason.as_str_name(), "PAUSE_REASON_"))
}
