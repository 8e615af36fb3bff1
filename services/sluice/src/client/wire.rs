//! Messages as protobuf's canonical JSON. What can't be read is told field by field, by path; never with the value that stands
//! there, which may be a secret.

use anyhow::Context;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value as Field,
};
use serde_json::{Map, Value};
use sluice_domain::Violations;

/// Why JSON is not the message that it should be.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not JSON. The position is told, not the text.
    #[error("is not JSON: line {line}, column {column}: {what}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// Fields that do not fit, all of them.
    #[error("{}", lines(.0))]
    Fields(Violations),
    /// Our own descriptors do not fit our own types.
    #[error("can't be read: {0}")]
    Contract(String),
}

fn lines(violations: &Violations) -> String {
    let each = violations.iter().map(|violation| {
        let field = if violation.field.is_empty() { "the file" } else { &violation.field };
        format!("\n  {}: {}", super::printable::line(field), super::printable::line(&violation.description))
    });
    format!("does not fit:{}", each.collect::<String>())
}

/// The message called `full_name` as one line of canonical JSON.
///
/// # Errors
/// When the contract has no such message.
pub fn write(full_name: &str, message: &impl Message) -> anyhow::Result<String> {
    let descriptor = descriptor(full_name)?;
    let message =
        DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).context("the answer")?;
    Ok(super::printable::json(&serde_json::to_string(&message)?))
}

/// Reads the message called `full_name`, and the names of the fields that the text names at its top, as the contract has them.
///
/// # Errors
/// Everything that does not fit, at once.
pub fn read<M: Message + Default>(full_name: &str, text: &str) -> Result<(M, Vec<String>), ReadError> {
    let value: Value = serde_json::from_str(text).map_err(|error| syntax(&error))?;
    let contract = |error: String| ReadError::Contract(error);
    let descriptor = descriptor(full_name).map_err(|error| contract(error.to_string()))?;
    let mut found = Violations::new();
    let message = object(&descriptor, &value, "", &mut found);
    found.into_result().map_err(ReadError::Fields)?;
    let named = value.as_object().into_iter().flatten();
    let named = named.filter_map(|(key, _)| field_of(&descriptor, key)).map(|field| field.name().to_owned());
    let named = named.collect();
    let message =
        M::decode(message.encode_to_vec().as_slice()).map_err(|error| contract(error.to_string()))?;
    Ok((message, named))
}

/// What is wrong with a text that is no JSON.
pub fn syntax(error: &serde_json::Error) -> ReadError {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "a JSON object is expected",
        _ => "this can't stand here",
    };
    ReadError::Syntax { line: error.line(), column: error.column(), what }
}

fn descriptor(full_name: &str) -> anyhow::Result<MessageDescriptor> {
    let pool = DescriptorPool::decode(proto::DESCRIPTORS).context("the contracts")?;
    pool.get_message_by_name(full_name).with_context(|| format!("{full_name} is not in the contracts"))
}

fn field_of(descriptor: &MessageDescriptor, key: &str) -> Option<FieldDescriptor> {
    descriptor.get_field_by_json_name(key).or_else(|| descriptor.get_field_by_name(key))
}

/// The message at `path`, as far as it fits.
fn object(
    descriptor: &MessageDescriptor,
    value: &Value,
    path: &str,
    found: &mut Violations,
) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    let Value::Object(members) = value else {
        found.add(path, format!("must be an object with some of: {}", names(descriptor)));
        return message;
    };
    for (key, value) in members {
        let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let Some(field) = field_of(descriptor, key) else {
            found.add(at, format!("no such field; here can stand: {}", names(descriptor)));
            continue;
        };
        if value.is_null() {
            continue;
        }
        if let Some(choice) = field.containing_oneof()
            && choice.fields().any(|other| message.has_field(&other))
        {
            let all: Vec<_> = choice.fields().map(|field| field.json_name().to_owned()).collect();
            found.add(at, format!("only one of these can be given: {}", all.join(", ")));
            continue;
        }
        if message.has_field(&field) {
            found.add(at, "is given twice");
            continue;
        }
        if let Some(value) = self::field(&field, value, &at, found) {
            message.set_field(&field, value);
        }
    }
    message
}

fn field(field: &FieldDescriptor, value: &Value, at: &str, found: &mut Violations) -> Option<Field> {
    match (field.is_list(), field.kind(), value) {
        (true, _, Value::Array(elements)) => {
            let elements = elements.iter().enumerate();
            let read = elements.filter_map(|(n, value)| element(field, value, &format!("{at}[{n}]"), found));
            Some(Field::List(read.collect()))
        }
        (true, ..) => {
            found.add(at, "must be a list");
            None
        }
        _ => element(field, value, at, found),
    }
}

/// A message of ours by its own fields; everything else as prost-reflect reads it.
fn element(field: &FieldDescriptor, value: &Value, at: &str, found: &mut Violations) -> Option<Field> {
    match field.kind() {
        Kind::Message(inner) if !field.is_map() && inner.package_name().starts_with("sluice.") => {
            Some(Field::Message(object(&inner, value, at, found)))
        }
        kind => leaf(field, value).or_else(|| {
            found.add(at, rule(&kind));
            None
        }),
    }
}

fn leaf(field: &FieldDescriptor, value: &Value) -> Option<Field> {
    let value = if field.is_list() { Value::Array(vec![value.clone()]) } else { value.clone() };
    let alone = Value::Object(Map::from_iter([(field.json_name().to_owned(), value)]));
    let message = DynamicMessage::deserialize(field.parent_message().clone(), alone).ok()?;
    match message.get_field(field).into_owned() {
        Field::List(mut one) if field.is_list() => one.pop(),
        one => Some(one),
    }
}

fn rule(kind: &Kind) -> String {
    match kind {
        Kind::String => "must be a string".to_owned(),
        Kind::Bool => "must be true or false".to_owned(),
        Kind::Bytes => "must be a string of base64".to_owned(),
        Kind::Enum(words) => {
            let known =
                words.values().filter(|value| value.number() != 0).map(|value| value.name().to_owned());
            format!("must be one of {}", known.collect::<Vec<_>>().join(", "))
        }
        Kind::Message(inner) => match inner.full_name() {
            "google.protobuf.Duration" => {
                "must be a number of seconds such as \"90s\" or \"0.5s\"".to_owned()
            }
            "google.protobuf.Timestamp" => "must be an instant such as \"2026-11-24T08:00:00Z\"".to_owned(),
            other => format!("must be the JSON of a {other}"),
        },
        _ => "must be a whole number in its range".to_owned(),
    }
}

fn names(descriptor: &MessageDescriptor) -> String {
    descriptor.fields().map(|field| field.json_name().to_owned()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proto::evaluator::v1 as evaluator;
    use proto::registry::v1 as registry;

    use super::*;

    const AUTOMATION: &str = "sluice.evaluator.v1.Automation";

    fn refusal(text: &str) -> String {
        read::<evaluator::Automation>(AUTOMATION, text).unwrap_err().to_string()
    }

    #[test]
    fn an_automation_survives_its_json() {
        let text = r#"{"display_name": "Tell", "trigger": {"object": "deal", "actions": ["ACTION_UPDATED"]},
          "condition": {"all": {"conditions": [{"comparison": {"path": "deal.stage", "operator": "OPERATOR_IS",
            "operands": [{"text": "won"}, {"boolean": true}, {}], "ignoreCase": true}}]}},
          "steps": [{"delay": {"duration": "90s"}}, {"request": {"webhook": "w", "keyValue": {"pairs":
            [{"name": "a", "literalJson": "1.10"}]}}}], "missing": null, "version": 7}"#;
        let (automation, named) = read::<evaluator::Automation>(AUTOMATION, text).unwrap();
        assert_eq!(named, ["display_name", "trigger", "condition", "steps", "missing", "version"]);
        assert_eq!(automation.version, 7);
        let written = write(AUTOMATION, &automation).unwrap();
        let (again, _) = read::<evaluator::Automation>(AUTOMATION, &written).unwrap();
        assert_eq!(again, automation);
        assert!(written.contains(r#""duration":"90s""#) && written.contains(r#""version":"7""#), "{written}");
    }

    #[test]
    fn everything_that_does_not_fit_is_told_by_its_path_at_once() {
        let said = refusal(
            r#"{"displayName": 1, "colour": "red", "trigger": {"object": "deal", "actions": ["UPDATED"]},
              "steps": [{"request": {"webhok": "x", "path": "a"}}, {"delay": {"duration": "soon"}}, 3,
                {"delay": {}, "request": {}}], "condition": []}"#,
        );
        for line in [
            "  displayName: must be a string",
            "  colour: no such field; here can stand: name, displayName, trigger",
            "  trigger.actions[0]: must be one of ACTION_ADDED, ACTION_UPDATED, ACTION_DELETED",
            "  steps[0].request.webhok: no such field; here can stand: webhook, method",
            "  steps[1].delay.duration: must be a number of seconds",
            "  steps[2]: must be an object with some of: request, delay",
            "  steps[3].request: only one of these can be given: request, delay",
            "  condition: must be an object",
        ] {
            assert!(said.contains(line), "{line}\nin {said}");
        }
        assert_eq!(said.lines().count(), 9, "{said}");
    }

    #[test]
    fn no_value_is_repeated_since_it_may_be_a_secret() {
        for text in [
            r#"{"bearer": {"token": 7713}}"#,
            r#"{"bearer": "canary7713"}"#,
            r#""canary7713""#,
            "canary7713",
            r#"{"bearer": {"token": "canary7713"#,
        ] {
            let read = read::<registry::Authentication>("sluice.registry.v1.Authentication", text);
            let said = read.unwrap_err().to_string();
            assert!(!said.contains("7713"), "{said}");
        }
    }

    #[test]
    fn one_field_by_both_its_names_is_given_twice() {
        assert!(
            refusal(r#"{"displayName": "a", "display_name": "b"}"#).contains("display_name: is given twice")
        );
    }
}
