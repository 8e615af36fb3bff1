//! Steps, their requests and bodies between the wire and the language's own tree; what can't be one is noted with its field.

use proto::evaluator::v1 as wire;
use sluice_domain::{AccountId, Span, Violations, WebhookId};
use sluice_rpc::convert::{from_duration, to_duration};
use sluice_rpc::{NameFormatError, ResourceName};
use sluice_rules::{BodyTemplate, Encoding, Json, Method, PairValue, RequestTemplate, Step};

use super::convert_condition::number;

/// The shortest delay.
const MIN_DELAY_MICROS: i64 = 1_000_000;

/// The methods by their numbers on the wire.
const METHODS: [(wire::Method, Method); 5] = [
    (wire::Method::Post, Method::Post),
    (wire::Method::Put, Method::Put),
    (wire::Method::Patch, Method::Patch),
    (wire::Method::Delete, Method::Delete),
    (wire::Method::Get, Method::Get),
];

/// Steps whose webhooks belong to `account`, or to any if the request names none; `None` once something in them can't be one.
pub(super) fn steps(
    sent: Vec<wire::Step>,
    account: Option<&AccountId>,
    field: &str,
    found: &mut Violations,
) -> Option<Vec<Step>> {
    let each = |(index, sent)| step(sent, account, &format!("{field}[{index}]"), found);
    let parsed: Vec<Option<Step>> = sent.into_iter().enumerate().map(each).collect();
    parsed.into_iter().collect()
}

fn step(sent: wire::Step, account: Option<&AccountId>, field: &str, found: &mut Violations) -> Option<Step> {
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
    account: Option<&AccountId>,
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
pub(super) fn webhook(name: &str, account: Option<&AccountId>) -> Result<WebhookId, String> {
    let named: ResourceName<WebhookId> = name.parse().map_err(|error: NameFormatError| error.to_string())?;
    match account {
        Some(account) if *account != named.account => {
            Err(format!("must be accounts/{account}/webhooks/{{webhook}}"))
        }
        _ => Ok(named.id),
    }
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

/// The number of a method on the wire.
pub(super) fn method_out(method: Method) -> i32 {
    number(&METHODS, method, |number| number as i32)
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
        method: method_out(request.method),
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
    fn every_method_has_its_number() {
        assert!((1..=5).all(|number| METHODS.iter().any(|(known, _)| *known as i32 == number)));
    }

    #[test]
    fn steps_come_back_as_they_went() {
        let text = r#"[{"delay":{"micros":90500000}},{"request":{"webhook":"wh_01h455vb4pex5vsknk084sn02q","request":{"method":"PUT",
            "path":"x/{{ deal.id }}","query":[["q","1"]],"headers":[["X-A","b"]],"body":{"key_value":{"encoding":"form",
            "pairs":[["a",{"literal":1.10}],["b",{"field":"deal.id"}],["c",{"text":"t"}]]}}}}},
            {"request":{"webhook":"wh_01h455vb4pex5vsknk084sn02q","request":{"method":"GET"}}}]"#;
        let sent: Vec<Step> = serde_json::from_str(text).unwrap();
        let out = sent.iter().map(|step| step_out(&acme(), step)).collect();
        let mut found = Violations::new();
        assert_eq!(steps(out, Some(&acme()), "s", &mut found).unwrap(), sent);
        assert!(found.is_empty());
    }

    #[test]
    fn a_webhook_of_another_account_is_refused_unless_the_request_names_no_account() {
        let name = "accounts/other/webhooks/wh_01h455vb4pex5vsknk084sn02q";
        assert!(webhook(name, Some(&acme())).unwrap_err().starts_with("must be accounts/acme/webhooks/"));
        assert!(webhook(name, None).is_ok());
        assert!(webhook("webhooks/1", None).is_err());
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
            steps(vec![wire::Step { kind: None }, delay, foreign], Some(&acme()), "steps", &mut found),
            None
        );
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
            ]
        );
    }
}
