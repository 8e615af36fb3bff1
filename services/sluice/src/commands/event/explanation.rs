//! What an event would come to, for people: what stands in the way, how each condition came out, what would be sent.

use proto::evaluator::v1::{
    ComparisonExplanation, ComparisonGrounds, ConditionExplanation, ConditionExplanationList,
    ExplainEventResponse, RenderedRequest, RequestExplanation, ShownValue, WebhookReadiness,
    condition_explanation, request_explanation,
};

use crate::client::sheet::{self, Sheet, id_of, word};
use crate::commands::automation::condition;

/// The explanation.
pub(super) fn text(answer: &ExplainEventResponse) -> String {
    let mut sheet = Sheet::default();
    sheet.field("fires", if answer.fires { "yes" } else { "no" });
    for obstacle in &answer.obstacles {
        let reason = word(obstacle.reason().as_str_name(), "OBSTACLE_REASON_");
        sheet.field("because", format!("{} ({reason})", obstacle.message));
    }
    match answer.automation_version {
        0 => sheet.field("version", "a draft"),
        version => sheet.field("version", version),
    };
    if let Some(explained) = &answer.condition {
        sheet.line("").line("condition");
        outcome(&mut sheet, 1, explained);
    }
    for (at, request) in answer.requests.iter().enumerate() {
        self::request(&mut sheet, at + 1, request);
    }
    sheet.text().to_owned()
}

/// A line for each condition, whether it holds, indented as it is nested.
fn outcome(sheet: &mut Sheet, depth: usize, explained: &ConditionExplanation) {
    let holds = if explained.holds { "yes" } else { "no " };
    let mut line = |words: &str| {
        sheet.line(format_args!("{}{holds}  {words}", "  ".repeat(depth)));
    };
    match &explained.kind {
        Some(condition_explanation::Kind::All(list)) => {
            line("all of");
            each(sheet, depth + 1, list);
        }
        Some(condition_explanation::Kind::Any(list)) => {
            line("any of");
            each(sheet, depth + 1, list);
        }
        Some(condition_explanation::Kind::Not(inner)) => {
            line("not");
            outcome(sheet, depth + 1, inner);
        }
        Some(condition_explanation::Kind::Comparison(comparison)) => line(&compared(comparison)),
        None => line("of a kind that this program does not know"),
    }
}

fn each(sheet: &mut Sheet, depth: usize, list: &ConditionExplanationList) {
    list.conditions.iter().for_each(|inner| outcome(sheet, depth, inner));
}

/// The comparison, then what it saw: `deal.stage HAS_CHANGED_TO "won": is "won", was "won" (UNCHANGED)`.
fn compared(explained: &ComparisonExplanation) -> String {
    let comparison = explained.comparison.as_ref().map(condition::compared).unwrap_or_default();
    let mut seen =
        vec![format!("is {}", explained.value.as_ref().map_or_else(|| "not there".to_owned(), shown))];
    seen.extend(explained.previous.as_ref().map(|value| format!("was {}", shown(value))));
    seen.extend(explained.element.map(|at| format!("element {at} decided")));
    let grounds = match explained.grounds() {
        ComparisonGrounds::Unspecified | ComparisonGrounds::Values => String::new(),
        grounds => format!(" ({})", word(grounds.as_str_name(), "COMPARISON_GROUNDS_")),
    };
    format!("{comparison}: {}{grounds}", seen.join(", "))
}

fn shown(value: &ShownValue) -> String {
    if value.truncated { format!("{} …", value.json) } else { value.json.clone() }
}

fn request(sheet: &mut Sheet, number: usize, explained: &RequestExplanation) {
    let delay = sheet::length(explained.delay.as_ref());
    let delay = if delay.is_empty() || delay == "0s" { String::new() } else { format!(", {delay} later") };
    let to = id_of(&explained.webhook);
    let heading = format!("request {number}");
    match &explained.outcome {
        Some(request_explanation::Outcome::Request(rendered)) => {
            let method = word(rendered.method().as_str_name(), "METHOD_");
            sheet
                .line("")
                .field(&heading, format!("{method} {} to webhook {to}{delay}", rendered.url_suffix));
            self::rendered(sheet, rendered);
        }
        Some(request_explanation::Outcome::Rejection(rejection)) => {
            sheet.line("").field(&heading, format!("can't be made, to webhook {to}{delay}"));
            sheet.line(format_args!("  ! {}: {}", rejection.path, rejection.message));
        }
        None => {
            sheet.line("").field(&heading, "of a kind that this program does not know");
        }
    }
    if explained.readiness() != WebhookReadiness::Ready {
        let readiness = word(explained.readiness().as_str_name(), "WEBHOOK_READINESS_");
        sheet.line(format_args!("  ! the webhook is {readiness}"));
    }
}

fn rendered(sheet: &mut Sheet, rendered: &RenderedRequest) {
    for header in &rendered.headers {
        sheet.line(format_args!("  > {}: {}", header.name, header.value));
    }
    sheet.field("content-type", &rendered.content_type).body("  ", &rendered.body);
    if rendered.truncated {
        sheet.line(format_args!("  (not all is shown; the body has {} bytes)", rendered.body_bytes));
    }
}
