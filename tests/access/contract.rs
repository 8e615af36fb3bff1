//! The contracts as their descriptors have them: all RPCs, the fields of their requests, messages of any type.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
    ReflectMessage as _, Value,
};

/// Where TypeIDs begin, and how long the rest is.
const PREFIXES: [&str; 5] = ["wh_", "au_", "ex_", "dl_", "at_"];
const SUFFIX_LENGTH: usize = 26;
/// Fields that differ from answer to answer without telling anything: a secret just made, how many changes there were, the trace
/// of the call, what of a quota comes free meanwhile or is granted by the call.
const BY_CHANCE: [&str; 9] = [
    "signing_secret",
    "etag",
    "version",
    "trace_id",
    "free",
    "granted",
    "left",
    "startable_executions",
    "startable_notifications",
];

/// All contracts.
#[derive(Debug, Clone)]
pub(crate) struct Contract(DescriptorPool);

/// A field of a request that holds a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TextField {
    /// From the request, without indices: `automation.steps.request.webhook`.
    pub(crate) path: String,
    /// Within its message: `RequestStep.webhook`.
    pub(crate) place: String,
}

impl Contract {
    /// From the crate `proto`.
    pub(crate) fn read() -> Self {
        Self(DescriptorPool::decode(proto::DESCRIPTORS).expect("the descriptors should decode"))
    }

    /// All RPCs: `/package.Service/Method`.
    pub(crate) fn rpcs(&self) -> BTreeSet<String> {
        self.methods().map(|method| path_of(&method)).collect()
    }

    /// The RPCs whose answer is a stream.
    pub(crate) fn watches(&self) -> BTreeSet<String> {
        self.methods().filter(MethodDescriptor::is_server_streaming).map(|method| path_of(&method)).collect()
    }

    fn methods(&self) -> impl Iterator<Item = MethodDescriptor> {
        let services: Vec<_> = self.0.services().collect();
        services.into_iter().flat_map(|service| service.methods().collect::<Vec<_>>())
    }

    fn method(&self, rpc: &str) -> MethodDescriptor {
        self.methods()
            .find(|method| path_of(method) == rpc)
            .unwrap_or_else(|| panic!("there is no RPC {rpc}"))
    }

    /// The fields of an RPC's request that hold texts, however deep.
    pub(crate) fn texts(&self, rpc: &str) -> BTreeSet<TextField> {
        let mut found = BTreeSet::new();
        texts(&self.method(rpc).input(), "", &mut Vec::new(), &mut found);
        found
    }

    /// A request with this text in a field, such as `automation.steps[0].request.webhook`.
    pub(crate) fn with(&self, rpc: &str, request: &[u8], field: &str, text: &str) -> Vec<u8> {
        let mut message = self.request(rpc, request);
        let mut steps = field.split('.').peekable();
        let mut within = &mut message;
        loop {
            let step = steps.next().expect("the field's path ends in a text");
            let (name, index) = step.split_once('[').map_or((step, None), |(name, index)| {
                (name, Some(index.trim_end_matches(']').parse::<usize>().expect("an index")))
            });
            let mut value = within
                .get_field_by_name_mut(name)
                .unwrap_or_else(|| panic!("{rpc} has no field {name} in {field}"));
            if let Some(index) = index {
                let list = value.as_list_mut().expect("a list");
                value =
                    list.get_mut(index).unwrap_or_else(|| panic!("{field} is not in the request of {rpc}"));
            }
            if steps.peek().is_none() {
                *value = Value::String(text.to_owned());
                break;
            }
            within = value.as_message_mut().expect("a message");
        }
        message.encode_to_vec()
    }

    /// A request with nothing left of it but what leads to one field.
    pub(crate) fn only(&self, rpc: &str, request: &[u8], field: &str) -> Vec<u8> {
        let mut message = self.request(rpc, request);
        strip(&mut message, field);
        message.encode_to_vec()
    }

    fn request(&self, rpc: &str, request: &[u8]) -> DynamicMessage {
        DynamicMessage::decode(self.method(rpc).input(), request)
            .expect("the request should be of its RPC's type")
    }

    /// An answer as text, with some texts in the place of others, and what differs by chance blotted out: ids, times, secrets that
    /// were just made.
    pub(crate) fn shown(&self, rpc: &str, answer: &Bytes, swaps: &[(String, String)]) -> String {
        let answer = DynamicMessage::decode(self.method(rpc).output(), answer.clone());
        let mut answer = answer.expect("the answer should be of its RPC's type");
        blot(&mut answer);
        let mut text = String::new();
        write(&answer, &mut text);
        without_ids(&swaps.iter().fold(text, |text, (one, other)| text.replace(one, other)))
    }
}

fn path_of(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

fn texts(
    message: &MessageDescriptor,
    above: &str,
    within: &mut Vec<String>,
    found: &mut BTreeSet<TextField>,
) {
    // A condition holds conditions: once is enough.
    if within.iter().any(|known| known == message.full_name()) {
        return;
    }
    within.push(message.full_name().to_owned());
    for field in message.fields() {
        let path =
            if above.is_empty() { field.name().to_owned() } else { format!("{above}.{}", field.name()) };
        match field.kind() {
            Kind::String => {
                let place = format!("{}.{}", message.name(), field.name());
                found.insert(TextField { path, place });
            }
            Kind::Message(inner) => texts(&inner, &path, within, found),
            _ => {}
        }
    }
    within.pop();
}

fn strip(message: &mut DynamicMessage, keep: &str) {
    let (step, rest) = keep.split_once('.').map_or((keep, None), |(step, rest)| (step, Some(rest)));
    let name = step.split('[').next().unwrap_or(step);
    let others: Vec<FieldDescriptor> =
        message.descriptor().fields().filter(|field| field.name() != name).collect();
    for field in others {
        message.clear_field(&field);
    }
    let Some(rest) = rest else { return };
    match message.get_field_by_name_mut(name) {
        Some(Value::Message(inner)) => strip(inner, rest),
        Some(Value::List(items)) => {
            items.iter_mut().filter_map(Value::as_message_mut).for_each(|inner| strip(inner, rest));
        }
        _ => {}
    }
}

fn blot(message: &mut DynamicMessage) {
    let set: Vec<FieldDescriptor> = message.fields().map(|(field, _)| field).collect();
    for field in set {
        let is_time =
            matches!(field.kind(), Kind::Message(inner) if inner.full_name() == "google.protobuf.Timestamp");
        if is_time || BY_CHANCE.contains(&field.name()) {
            message.clear_field(&field);
            continue;
        }
        match message.get_field_mut(&field) {
            Value::Message(inner) => blot(inner),
            Value::List(items) if field.cardinality() == Cardinality::Repeated => {
                items.iter_mut().filter_map(Value::as_message_mut).for_each(blot);
            }
            _ => {}
        }
    }
}

/// Writes the fields that are set: `webhook { name: "…" }`.
fn write(message: &DynamicMessage, text: &mut String) {
    for (field, value) in message.fields() {
        let one = |value: &Value, text: &mut String| match value {
            Value::Message(inner) => {
                text.push_str(&format!("{} {{ ", field.name()));
                write(inner, text);
                text.push_str("} ");
            }
            Value::I32(number) | Value::EnumNumber(number) => {
                text.push_str(&format!("{}: {number} ", field.name()));
            }
            Value::Map(entries) => {
                let mut entries: Vec<String> = entries.iter().map(|entry| format!("{entry:?}")).collect();
                entries.sort();
                text.push_str(&format!("{}: {entries:?} ", field.name()));
            }
            value => text.push_str(&format!("{}: {value:?} ", field.name())),
        };
        match value {
            Value::List(items) => items.iter().for_each(|item| one(item, text)),
            value => one(value, text),
        }
    }
}

/// The text with every TypeID cut down to its prefix.
pub(crate) fn without_ids(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some(at) = PREFIXES.iter().filter_map(|prefix| rest.find(prefix)).min() {
        let (before, from) = rest.split_at(at + 3);
        kept.push_str(before);
        rest = if is_suffix(from) { &from[SUFFIX_LENGTH..] } else { from };
    }
    kept + rest
}

/// Every TypeID in a text.
pub(crate) fn ids_in(text: &str) -> BTreeSet<String> {
    let starts = PREFIXES.iter().flat_map(|prefix| text.match_indices(prefix));
    let ids = starts.filter(|(at, _)| is_suffix(&text[at + 3..]));
    ids.map(|(at, _)| text[at..at + 3 + SUFFIX_LENGTH].to_owned()).collect()
}

fn is_suffix(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= SUFFIX_LENGTH && bytes[..SUFFIX_LENGTH].iter().all(u8::is_ascii_alphanumeric)
}
