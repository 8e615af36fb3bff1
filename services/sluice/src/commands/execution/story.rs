//! The whole history of one execution for people: its event, its requests, every attempt and answer.

use proto::dispatcher::v1::{Answer, Attempt, Delivery, Execution, Header};

use crate::client::sheet::{self, Sheet, id_of, word};

/// Where it stands, and why: `PAUSED, QUOTA until 2026-…`.
pub(super) fn standing(execution: &Execution) -> String {
    let mut words = vec![word(execution.state().as_str_name(), "EXECUTION_STATE_").to_owned()];
    if let Some(pause) = &execution.pause {
        words.push(word(pause.reason().as_str_name(), "PAUSE_REASON_").to_owned());
    }
    if let Some(end) = &execution.end {
        words.push(word(end.reason().as_str_name(), "END_REASON_").to_owned());
    }
    words.retain(|word| !word.is_empty());
    // An execution that was cancelled has CANCELLED as its reason, too.
    words.dedup();
    let until =
        execution.wait_until.as_ref().or_else(|| execution.pause.as_ref()?.expected_end_time.as_ref());
    let until = sheet::instant(until);
    let until = if until.is_empty() { String::new() } else { format!(" until {until}") };
    words.join(", ") + &until
}

/// The history.
pub(super) fn text(execution: &Execution) -> String {
    let event = execution.event.clone().unwrap_or_default();
    let mut sheet = Sheet::default();
    sheet.field("execution", id_of(&execution.name)).field("state", standing(execution));
    if let Some(end) = &execution.end {
        sheet.field("ended", sheet::instant(end.end_time.as_ref())).field("because", &end.message);
    }
    if !execution.automation.is_empty() {
        let version = execution.automation_version;
        sheet.field("automation", format!("{} (version {version})", id_of(&execution.automation)));
    }
    let what =
        [&event.object, &event.record_id, &sheet::action(event.action())].map(String::as_str).join(" ");
    sheet
        .field("event", format!("{} ({what})", event.id))
        .field("occurred", sheet::instant(event.occurred_at.as_ref()))
        .field("actor", &event.actor)
        .field("cause", &event.cause)
        .field("accepted", sheet::instant(execution.create_time.as_ref()))
        .field("started", sheet::instant(execution.start_time.as_ref()))
        .field("trace", &execution.trace_id);
    for (at, delivery) in execution.deliveries.iter().enumerate() {
        request(&mut sheet, at + 1, delivery);
    }
    sheet.text().to_owned()
}

fn request(sheet: &mut Sheet, number: usize, delivery: &Delivery) {
    let delay = sheet::length(delivery.delay.as_ref());
    let delay = if delay.is_empty() || delay == "0s" { String::new() } else { format!(", {delay} later") };
    let Delivery { method, url_suffix, webhook, .. } = delivery;
    let to = id_of(webhook);
    sheet
        .line("")
        .field(&format!("request {number}"), format!("{method} {url_suffix} to webhook {to}{delay}"));
    sheet.field("webhook-id", &delivery.id).field("content-type", &delivery.content_type);
    sheet.body("  ", &delivery.body);
    for attempt in &delivery.attempts {
        self::attempt(sheet, method, attempt);
    }
}

/// One attempt, as `curl --verbose` shows a request (`>`) and its answer (`<`).
fn attempt(sheet: &mut Sheet, method: &str, attempt: &Attempt) {
    let outcome = word(attempt.outcome().as_str_name(), "ATTEMPT_OUTCOME_");
    let duration = sheet::length(attempt.duration.as_ref());
    let duration = if duration.is_empty() { String::new() } else { format!(" after {duration}") };
    let at = sheet::instant(attempt.start_time.as_ref());
    sheet.line("").field(&format!("attempt {}", attempt.number), format!("{outcome}{duration}, begun {at}"));
    if !attempt.error.is_empty() {
        sheet.line(format_args!("  ! {}", attempt.error));
    }
    sheet.line(format_args!("  > {method} {}", attempt.url_path));
    headers(sheet, "  >", &attempt.request_headers);
    if let Some(answer) = &attempt.answer {
        self::answer(sheet, answer);
    }
}

fn answer(sheet: &mut Sheet, answer: &Answer) {
    sheet.line(format_args!("  < {}", answer.status));
    headers(sheet, "  <", &answer.headers);
    sheet.body("  < | ", &answer.body);
    if answer.body_truncated {
        sheet.line("  < (the body goes on; no more of it is kept)");
    }
}

fn headers(sheet: &mut Sheet, margin: &str, headers: &[Header]) {
    for header in headers {
        let value = if header.redacted { "(kept back)" } else { &header.value };
        sheet.line(format_args!("{margin} {}: {value}", header.name));
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use proto::dispatcher::v1::{AttemptOutcome, End, EndReason, ExecutionState, Pause, PauseReason};

    use super::*;

    #[test]
    fn where_it_stands_has_the_reason_and_until_when() {
        let paused = Execution {
            state: ExecutionState::Paused.into(),
            pause: Some(Pause {
                reason: PauseReason::Quota.into(),
                expected_end_time: Some(Timestamp { seconds: 60, nanos: 0 }),
            }),
            ..Execution::default()
        };
        assert_eq!(standing(&paused), "PAUSED, QUOTA until 1970-01-01T00:01:00Z");
        let end = End { reason: EndReason::Cancelled.into(), ..End::default() };
        let cancelled =
            Execution { state: ExecutionState::Cancelled.into(), end: Some(end), ..Execution::default() };
        assert_eq!(standing(&cancelled), "CANCELLED");
    }

    #[test]
    fn what_a_receiver_answered_can_not_act_on_the_terminal() {
        let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}1m\r";
        let answer = Answer {
            status: 500,
            headers: vec![Header { name: "x".to_owned(), value: hostile.to_owned(), redacted: false }],
            body: format!("one\n{hostile}\u{202e}two").into_bytes().into(),
            body_truncated: true,
        };
        let attempt = Attempt {
            number: 1,
            outcome: AttemptOutcome::FailedRetryable.into(),
            answer: Some(answer),
            error: hostile.to_owned(),
            url_path: hostile.to_owned(),
            ..Attempt::default()
        };
        let delivery = Delivery { attempts: vec![attempt], method: "POST".to_owned(), ..Delivery::default() };
        let shown = text(&Execution { deliveries: vec![delivery], ..Execution::default() });
        assert!(
            shown.chars().all(|letter| letter == '\n' || !(letter.is_control() || letter == '\u{202e}')),
            "{shown:?}"
        );
        assert!(shown.contains("\n  < | one\n  < | \\u{1b}]0;owned"), "{shown}");
    }
}
