//! Explanations on their way out.

use proto::evaluator::v1 as wire;
use sluice_domain::AccountId;
use sluice_rpc::convert::to_duration;
use sluice_rules::{Explained, ExplainedComparison, Grounds, Rejection, Shown, ValueType};

use super::convert_condition::comparison_out;
use super::convert_step::method_out;
use crate::automation::in_automation;
use crate::explanation::{ExplainedRequest, Explanation, Obstacle, Readiness, ShownRequest};

/// What an event would come to; `version` is that of the automation that was asked about.
pub(super) fn explanation_out(
    account: &AccountId,
    explanation: Explanation,
    version: i64,
) -> wire::ExplainEventResponse {
    let Explanation { obstacles, condition, requests } = explanation;
    wire::ExplainEventResponse {
        fires: obstacles.is_empty(),
        obstacles: obstacles.iter().map(obstacle_out).collect(),
        condition: condition.map(condition_out),
        requests: requests.into_iter().map(|request| request_out(account, request)).collect(),
        automation_version: version,
    }
}

fn obstacle_out(obstacle: &Obstacle) -> wire::Obstacle {
    let reason = match obstacle {
        Obstacle::Suppressed => wire::ObstacleReason::Suppressed,
        Obstacle::Inactive => wire::ObstacleReason::Inactive,
        Obstacle::PlanRequired { .. } => wire::ObstacleReason::PlanRequired,
        Obstacle::PlanLimit { .. } => wire::ObstacleReason::PlanLimit,
        Obstacle::Trigger { .. } => wire::ObstacleReason::Trigger,
        Obstacle::Condition => wire::ObstacleReason::Condition,
    };
    wire::Obstacle { reason: reason.into(), message: obstacle.to_string() }
}

fn condition_out(explanation: sluice_rules::Explanation) -> wire::ConditionExplanation {
    use wire::condition_explanation::Kind;
    let list = |parts: Vec<sluice_rules::Explanation>| wire::ConditionExplanationList {
        conditions: parts.into_iter().map(condition_out).collect(),
    };
    let kind = match explanation.explained {
        Explained::All(parts) => Kind::All(list(parts)),
        Explained::Any(parts) => Kind::Any(list(parts)),
        Explained::Not(part) => Kind::Not(Box::new(condition_out(*part))),
        Explained::Comparison(comparison) => Kind::Comparison(compared_out(comparison)),
    };
    wire::ConditionExplanation {
        path: in_automation(&explanation.field),
        holds: explanation.holds,
        kind: Some(kind),
    }
}

fn compared_out(compared: ExplainedComparison) -> wire::ComparisonExplanation {
    let grounds = match compared.verdict.grounds {
        Grounds::Values => wire::ComparisonGrounds::Values,
        Grounds::Missing => wire::ComparisonGrounds::Missing,
        Grounds::WrongType => wire::ComparisonGrounds::WrongType,
        Grounds::NotComparable => wire::ComparisonGrounds::NotComparable,
        Grounds::Unchanged => wire::ComparisonGrounds::Unchanged,
        Grounds::NoPast => wire::ComparisonGrounds::NoPast,
    };
    wire::ComparisonExplanation {
        comparison: Some(comparison_out(&compared.written)),
        grounds: grounds.into(),
        value: compared.now.map(shown_out),
        previous: compared.before.map(shown_out),
        element: compared.verdict.element.and_then(|element| element.try_into().ok()),
    }
}

fn shown_out(shown: Shown) -> wire::ShownValue {
    let value_type = match shown.value_type {
        ValueType::Null => wire::ValueType::Null,
        ValueType::Boolean => wire::ValueType::Boolean,
        ValueType::Number => wire::ValueType::Number,
        ValueType::Text => wire::ValueType::Text,
        ValueType::List => wire::ValueType::List,
        ValueType::Object => wire::ValueType::Object,
    };
    wire::ShownValue { r#type: value_type.into(), json: shown.text, truncated: shown.truncated }
}

fn request_out(account: &AccountId, explained: ExplainedRequest) -> wire::RequestExplanation {
    use wire::request_explanation::Outcome;
    let readiness = match explained.readiness {
        Readiness::Ready => wire::WebhookReadiness::Ready,
        Readiness::Disabled => wire::WebhookReadiness::Disabled,
        Readiness::Deleted => wire::WebhookReadiness::Deleted,
        Readiness::UrlNotOpen => wire::WebhookReadiness::UrlNotOpen,
    };
    let outcome = match explained.outcome {
        Ok(shown) => Outcome::Request(rendered_out(shown)),
        Err(Rejection { field, reason }) => Outcome::Rejection(wire::TemplateRejection {
            path: in_automation(&field),
            message: reason.to_string(),
        }),
    };
    wire::RequestExplanation {
        path: in_automation(&explained.field),
        delay: Some(to_duration(explained.delay)),
        webhook: format!("accounts/{account}/webhooks/{}", explained.webhook),
        readiness: readiness.into(),
        outcome: Some(outcome),
    }
}

fn rendered_out(shown: ShownRequest) -> wire::RenderedRequest {
    let ShownRequest { request, body_bytes, truncated } = shown;
    let headers = request.headers.into_iter();
    wire::RenderedRequest {
        method: method_out(request.method),
        url_suffix: request.path_and_query_suffix,
        headers: headers.map(|(name, value)| wire::RenderedHeader { name, value }).collect(),
        content_type: request.content_type.unwrap_or_default(),
        body: request.body.into(),
        body_bytes: i64::try_from(body_bytes).unwrap_or(i64::MAX),
        truncated,
    }
}
