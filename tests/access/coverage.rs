//! Nothing of the contracts is left out: every RPC has a row, and every text in a request is known for a name or for none.

use std::collections::BTreeSet;

use super::contract::Contract;
use super::rows::rows;

/// Texts that name nothing of an account: what people write, what is sent, words of the contract.
const PLAIN: &[&str] = &[
    "ApiKeyAuthentication.header",
    "ApiKeyAuthentication.key",
    "Automation.display_name",
    "Automation.owner",
    "BasicAuthentication.password",
    "BasicAuthentication.username",
    "BearerAuthentication.token",
    "Comparison.path",
    "CreateWebhookRequest.signing_secret",
    "EnqueueItem.traceparent",
    "Event.actor",
    "Event.object",
    "EventSummary.actor",
    "EventSummary.object",
    "EventSummary.record_id",
    "ExecutionFilter.object",
    "ExecutionFilter.record_id",
    "ExecutionFilter.trace_id",
    "FieldMask.paths",
    "HeadersEntry.key",
    "HeadersEntry.value",
    "ListExecutionsRequest.object",
    "ListExecutionsRequest.record_id",
    "ListExecutionsRequest.trace_id",
    "NamedTemplate.name",
    "NamedTemplate.template",
    "Operand.number",
    "Operand.text",
    "Pair.field",
    "Pair.literal_json",
    "Pair.name",
    "Pair.template",
    "PauseAccountRequest.note",
    "PlannedDelivery.content_type",
    "PlannedDelivery.method",
    "PlannedDelivery.url_suffix",
    "PutEntitlementsRequest.plan",
    "RawBody.content_type",
    "RawBody.template",
    "Rejection.message",
    "RequestStep.path",
    "Subscription.object",
    "Visibility.users",
    "Webhook.endpoint_url",
    "Webhook.owner",
];

#[test]
fn every_rpc_has_a_row_and_every_row_an_rpc() {
    let rpcs = Contract::read().rpcs();
    let listed: BTreeSet<String> = rows().map(|row| row.rpc.to_owned()).collect();
    let unlisted: Vec<&String> = rpcs.difference(&listed).collect();
    let unknown: Vec<&String> = listed.difference(&rpcs).collect();
    assert!(unlisted.is_empty() && unknown.is_empty(), "no row for {unlisted:?}, no RPC for {unknown:?}");
}

#[test]
fn every_text_of_every_request_is_known_for_a_name_or_for_none() {
    let contract = Contract::read();
    let (mut unlooked, mut used) = (Vec::new(), BTreeSet::new());
    for rpc in contract.rpcs() {
        let rows = rows().filter(|row| row.rpc == rpc);
        let mut named: BTreeSet<String> = rows.flat_map(|row| row.names).map(|name| name.path()).collect();
        for text in contract.texts(&rpc) {
            if named.remove(&text.path) {
                continue;
            }
            if PLAIN.contains(&text.place.as_str()) {
                used.insert(text.place);
            } else {
                unlooked.push(format!("{rpc}: {}", text.path));
            }
        }
        assert!(named.is_empty(), "{rpc} has no texts {named:?}");
    }
    assert!(unlooked.is_empty(), "is there a name of an account's own in these? {unlooked:#?}");
    let idle: Vec<&&str> = PLAIN.iter().filter(|place| !used.contains(**place)).collect();
    assert!(idle.is_empty(), "no request has {idle:?}");
}
