//! Conditions and steps between the wire and the language's own tree; what can't be one is noted with its field.

use proto::evaluator::v1 as wire;
use sluice_domain::{AccountId, Span, Violations, WebhookId};
use sluice_rpc::convert::{from_duration, to_duration};
use sluice_rules::{
    BodyTemplate, Comparison, Condition, Encoding, Json, Method, Operand, Operator, PairValue,
    RequestTemplate, Step,
};

/// The shortest delay.
const MIN_DELAY_MICROS: i64 = 1_000_000;

/// The operators by their numbers on the wire.
const OPERATORS: [(wire::Operator, Operator); 13] = [
    (wire::Operator::Is, Operator::Is),
    (wire::Operator::IsNot, Operator::IsNot),
    (wire::Operator::Contains, Operator::Contains),
    (wire::Operator::StartsWith, Operator::StartsWith),
    (wire::Operator::IsEmpty, Operator::IsEmpty),
    (wire::Operator::IsNotEmpty, Operator::IsNotEmpty),
    (wire::Operator::GreaterThan, Operator::GreaterThan),
    (wire::Operator::LessThan, Operator::LessThan),
    (wire::Operator::Between, Operator::Between),
    (wire::Operator::In, Operator::In),
    (wire::Operator::HasChanged, Operator::HasChanged),
    (wire::Operator::HasChangedTo, Operator::HasChangedTo),
    (wire::Operator::HasChangedFrom, Operator::HasChangedFrom),
];

/// The methods by their numbers on the wire.
const METHODS: [(wire::Method, Method); 5] = [
    (wire::Method::Post, Method::Post),
    (wire::Method::Put, Method::Put),
    (wire::Method::Patch, Method::Patch),
    (wire::Method::Delete, Method::Delete),
    (wire::Method::Get, Method::Get),
];

/// A condition; `None` once something in it can't be one. Its depth is bounded by the decoder.
pub(super) fn condition(sent: wire::Condition, field: &str, found: &mut Violations) -> Option<Condition> {
    use wire::condition::Kind;
    match sent.kind {
        None => {
            found.add(field, "one of all, any, not, comparison is required");
            None
        }
        Some(Kind::All(list)) => {
            conditions(list, &format!("{field}.all.conditions"), found).map(Condition::All)
        }
        Some(Kind::Any(list)) => {
            conditions(list, &format!("{field}.any.conditions"), found).map(Condition::Any)
        }
        Some(Kind::Not(inner)) => {
            condition(*inner, &format!("{field}.not"), found).map(|inner| Condition::Not(Box::new(inner)))
        }
        Some(Kind::Comparison(sent)) => {
            comparison(sent, &format!("{field}.comparison"), found).map(Condition::Comparison)
        }
    }
}

fn conditions(list: wire::ConditionList, field: &str, found: &mut Violations) -> Option<Vec<Condition>> {
    if list.conditions.is_empty() {
        // An empty list would mean "always", which is said by leaving the condition out.
        found.add(field, "at least one condition is needed");
        return None;
    }
    let each = |(index, sent)| condition(sent, &format!("{field}[{index}]"), found);
    let parsed: Vec<Option<Condition>> = list.conditions.into_iter().enumerate().map(each).collect();
    parsed.into_iter().collect()
}

fn comparison(sent: wire::Comparison, field: &str, found: &mut Violations) -> Option<Comparison> {
    let operator =
        OPERATORS.iter().find(|(number, _)| *number as i32 == sent.operator).map(|(_, operator)| *operator);
    let operator = found.keep(&format!("{field}.operator"), operator.ok_or("must be a known operator"));
    Some(Comparison {
        path: sent.path,
        operator: operator?,
        values: sent.operands.into_iter().map(operand).collect(),
        ignore_case: sent.ignore_case,
    })
}

fn operand(sent: wire::Operand) -> Operand {
    use wire::operand::Kind;
    match sent.kind {
        None => Operand::Null,
        Some(Kind::Text(text)) => Operand::Text(text),
        Some(Kind::Number(text)) => Operand::Decimal(text),
        Some(Kind::Boolean(value)) => Operand::Boolean(value),
    }
}

/// Steps whose webhooks belong to `account`; `None` once something in them can't be one.
pub(super) fn steps(
    sent: Vec<wire::Step>,
    account: &AccountId,
    field: &str,
    found: &mut Violations,
) -> Option<Vec<Step>> {
    let each = |(index, sent)| step(sent, account, &format!("{field}[{index}]"), found);
    let parsed: Vec<Option<Step>> = sent.into_iter().enumerate().map(each).collect();
    parsed.into_iter().collect()
}

fn step(sent: wire::Step, account: &AccountId, field: &str, found: &mut Violations) -> Option<Step> {
    use wire::step::Kind;
    match sent.kind {
        None => {
            found.add(field, "one of request, delay is required");
            None
        }
        Some(Kind::Delay(delay)) => {
            let field = format!("{field}.delay.duration");
            let span = delay.duration.and_then(|span| from_duration(&span).ok());
            let micros = span.map(Span::as_micros).filter(|micros| *micros >= MIN_DELAY_MICROS);
            let micros = found.keep(&field, micros.ok_or("must be at least 1 second"));
            // It is a delay all the same, so what is wrong with the other steps is still found.
            Some(Step::Delay { micros: micros.unwrap_or(MIN_DELAY_MICROS) })
        }
        Some(Kind::Request(sent)) => request(sent, account, &format!("{field}.request"), found),
    }
}

fn request(
    sent: wire::RequestStep,
    account: &AccountId,
    field: &str,
    found: &mut Violations,
) -> Option<Step> {
    let webhook = webhook(&sent.webhook, account);
    let webhook = found.keep(&format!("{field}.webhook"), webhook);
    let method = match sent.method {
        0 => Some(Method::Post),
        number => METHODS.iter().find(|(known, _)| *known as i32 == number).map(|(_, method)| *method),
    };
    let method =
        found.keep(&format!("{field}.method"), method.ok_or("must be POST, PUT, PATCH, DELETE or GET"));
    let body = body(sent.body, field, found);
    let request = RequestTemplate {
        method: method?,
        path: (!sent.path.is_empty()).then_some(sent.path),
        query: sent.query.into_iter().map(|part| (part.name, part.template)).collect(),
        headers: sent.headers.into_iter().map(|header| (header.name, header.template)).collect(),
        body: body?,
    };
    Some(Step::Request { webhook: webhook?.to_string(), request })
}

/// The id in `accounts/{account}/webhooks/{webhook}`.
pub(super) fn webhook(name: &str, account: &AccountId) -> Result<WebhookId, String> {
    let rule = || format!("must be accounts/{account}/webhooks/{{webhook}}");
    let id = name.strip_prefix(&format!("accounts/{account}/webhooks/")).ok_or_else(rule)?;
    id.parse().map_err(|_| rule())
}

fn body(sent: Option<wire::request_step::Body>, field: &str, found: &mut Violations) -> Option<BodyTemplate> {
    use wire::request_step::Body;
    match sent {
        None => Some(BodyTemplate::None),
        Some(Body::Raw(raw)) => {
            Some(BodyTemplate::Raw { content_type: raw.content_type, template: raw.template })
        }
        Some(Body::KeyValue(sent)) => {
            let encoding = match wire::BodyEncoding::try_from(sent.encoding) {
                Ok(wire::BodyEncoding::Unspecified | wire::BodyEncoding::Json) => Some(Encoding::Json),
                Ok(wire::BodyEncoding::Form) => Some(Encoding::Form),
                Err(_) => None,
            };
            let field = format!("{field}.key_value");
            let encoding = found.keep(&format!("{field}.encoding"), encoding.ok_or("must be JSON or FORM"));
            let each = |(index, sent)| pair(sent, &format!("{field}.pairs[{index}]"), found);
            let pairs: Vec<_> = sent.pairs.into_iter().enumerate().map(each).collect();
            Some(BodyTemplate::KeyValue {
                encoding: encoding?,
                pairs: pairs.into_iter().collect::<Option<_>>()?,
            })
        }
    }
}

fn pair(sent: wire::Pair, field: &str, found: &mut Violations) -> Option<(String, PairValue)> {
    use wire::pair::Value;
    let value = match sent.value {
        None => {
            found.add(field, "one of literal_json, field, template is required");
            None
        }
        Some(Value::LiteralJson(text)) => {
            found.keep(&format!("{field}.literal_json"), Json::parse(text.as_bytes())).map(PairValue::Literal)
        }
        Some(Value::Field(path)) => Some(PairValue::Field(path)),
        Some(Value::Template(template)) => Some(PairValue::Text(template)),
    };
    Some((sent.name, value?))
}

/// A condition as it goes out; the one that always holds is left out.
pub(super) fn condition_out(condition: &Condition) -> Option<wire::Condition> {
    match condition {
        Condition::All(list) if list.is_empty() => None,
        other => Some(one_out(other)),
    }
}

fn one_out(condition: &Condition) -> wire::Condition {
    use wire::condition::Kind;
    let list = |conditions: &[Condition]| wire::ConditionList {
        conditions: conditions.iter().map(one_out).collect(),
    };
    let kind = match condition {
        Condition::All(conditions) => Kind::All(list(conditions)),
        Condition::Any(conditions) => Kind::Any(list(conditions)),
        Condition::Not(inner) => Kind::Not(Box::new(one_out(inner))),
        Condition::Comparison(comparison) => Kind::Comparison(wire::Comparison {
            path: comparison.path.clone(),
            operator: number(&OPERATORS, comparison.operator, |number| number as i32),
            operands: comparison.values.iter().map(operand_out).collect(),
            ignore_case: comparison.ignore_case,
        }),
    };
    wire::Condition { kind: Some(kind) }
}

/// The number on the wire of a value that the table has; 0 if it has not.
fn number<W: Copy, T: PartialEq + Copy>(table: &[(W, T)], value: T, to_i32: impl Fn(W) -> i32) -> i32 {
    table.iter().find(|(_, known)| *known == value).map_or(0, |(number, _)| to_i32(*number))
}

fn operand_out(operand: &Operand) -> wire::Operand {
    use wire::operand::Kind;
    let kind = match operand {
        Operand::Null => None,
        Operand::Text(text) => Some(Kind::Text(text.clone())),
        Operand::Decimal(text) => Some(Kind::Number(text.clone())),
        Operand::Boolean(value) => Some(Kind::Boolean(*value)),
    };
    wire::Operand { kind }
}

/// A step as it goes out.
pub(super) fn step_out(account: &AccountId, step: &Step) -> wire::Step {
    use wire::step::Kind;
    let kind = match step {
        Step::Delay { micros } => {
            let duration = to_duration(Span::from_micros(*micros));
            Kind::Delay(wire::DelayStep { duration: Some(duration) })
        }
        Step::Request { webhook, request } => Kind::Request(request_out(account, webhook, request)),
    };
    wire::Step { kind: Some(kind) }
}

fn request_out(account: &AccountId, webhook: &str, request: &RequestTemplate) -> wire::RequestStep {
    use wire::request_step::Body;
    let named = |list: &[(String, String)]| {
        let one = |(name, template): &(String, String)| wire::NamedTemplate {
            name: name.clone(),
            template: template.clone(),
        };
        list.iter().map(one).collect()
    };
    wire::RequestStep {
        webhook: format!("accounts/{account}/webhooks/{webhook}"),
        method: number(&METHODS, request.method, |number| number as i32),
        path: request.path.clone().unwrap_or_default(),
        query: named(&request.query),
        headers: named(&request.headers),
        body: match &request.body {
            BodyTemplate::None => None,
            BodyTemplate::Raw { content_type, template } => Some(Body::Raw(wire::RawBody {
                content_type: content_type.clone(),
                template: template.clone(),
            })),
            BodyTemplate::KeyValue { encoding, pairs } => {
                let encoding = match encoding {
                    Encoding::Json => wire::BodyEncoding::Json,
                    Encoding::Form => wire::BodyEncoding::Form,
                };
                let pairs = pairs.iter().map(pair_out).collect();
                Some(Body::KeyValue(wire::KeyValueBody { encoding: encoding.into(), pairs }))
            }
        },
    }
}

fn pair_out((name, value): &(String, PairValue)) -> wire::Pair {
    use wire::pair::Value;
    let value = match value {
        PairValue::Literal(json) => Value::LiteralJson(json.to_string()),
        PairValue::Field(path) => Value::Field(path.clone()),
        PairValue::Text(template) => Value::Template(template.clone()),
    };
    wire::Pair { name: name.clone(), value: Some(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acme() -> AccountId {
        "acme".parse().unwrap()
    }

    #[test]
    fn every_operator_and_method_has_its_number() {
        assert!(
            Operator::ALL.iter().all(|operator| number(&OPERATORS, *operator, |number| number as i32) > 0)
        );
        assert!((1..=13).all(|number| OPERATORS.iter().any(|(known, _)| *known as i32 == number)));
        assert!((1..=5).all(|number| METHODS.iter().any(|(known, _)| *known as i32 == number)));
    }

    #[test]
    fn conditions_and_steps_come_back_as_they_went() {
        let text = r#"{"all":[{"not":{"comparison":{"path":"deal.a","operator":"in","values":[{"text":"x"},{"decimal":"1.10"},
            {"boolean":true},"null"],"ignore_case":true}}},{"any":[{"comparison":{"path":"deal.b","operator":"is_empty"}}]}]}"#;
        let sent: Condition = serde_json::from_str(text).unwrap();
        let mut found = Violations::new();
        let back = condition(condition_out(&sent).unwrap(), "c", &mut found).unwrap();
        assert_eq!(back, sent);
        assert_eq!(condition_out(&Condition::always()), None);

        let text = r#"[{"delay":{"micros":90500000}},{"request":{"webhook":"wh_01h455vb4pex5vsknk084sn02q","request":{"method":"PUT",
            "path":"x/{{ deal.id }}","query":[["q","1"]],"headers":[["X-A","b"]],"body":{"key_value":{"encoding":"form",
            "pairs":[["a",{"literal":1.10}],["b",{"field":"deal.id"}],["c",{"text":"t"}]]}}}}},
            {"request":{"webhook":"wh_01h455vb4pex5vsknk084sn02q","request":{"method":"GET"}}}]"#;
        let sent: Vec<Step> = serde_json::from_str(text).unwrap();
        let out = sent.iter().map(|step| step_out(&acme(), step)).collect();
        assert_eq!(steps(out, &acme(), "s", &mut found).unwrap(), sent);
        assert!(found.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_field() {
        let mut found = Violations::new();
        let request = |webhook: &str| wire::Step {
            kind: Some(wire::step::Kind::Request(wire::RequestStep {
                webhook: webhook.to_owned(),
                method: 99,
                body: Some(wire::request_step::Body::KeyValue(wire::KeyValueBody {
                    encoding: 9,
                    pairs: vec![wire::Pair { name: "a".to_owned(), value: None }],
                })),
                ..wire::RequestStep::default()
            })),
        };
        let delay = wire::Step { kind: Some(wire::step::Kind::Delay(wire::DelayStep { duration: None })) };
        let foreign = request("accounts/other/webhooks/wh_01h455vb4pex5vsknk084sn02q");
        assert_eq!(
            steps(vec![wire::Step { kind: None }, delay, foreign], &acme(), "steps", &mut found),
            None
        );
        let comparison = wire::Comparison { path: "deal.x".to_owned(), ..wire::Comparison::default() };
        let any = wire::ConditionList {
            conditions: vec![
                wire::Condition { kind: Some(wire::condition::Kind::Comparison(comparison)) },
                wire::Condition { kind: Some(wire::condition::Kind::All(wire::ConditionList::default())) },
            ],
        };
        let sent = wire::Condition { kind: Some(wire::condition::Kind::Any(any)) };
        assert_eq!(condition(sent, "condition", &mut found), None);
        let fields: Vec<&str> = found.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "steps[0]",
                "steps[1].delay.duration",
                "steps[2].request.webhook",
                "steps[2].request.method",
                "steps[2].request.key_value.encoding",
                "steps[2].request.key_value.pairs[0]",
                "condition.any.conditions[0].comparison.operator",
                "condition.any.conditions[1].all.conditions"
            ]
        );
    }
}
