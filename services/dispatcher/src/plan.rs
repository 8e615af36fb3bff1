//! The requests of an execution, rendered when the event arrived and fixed since.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sluice_domain::{DeliveryId, Span, WebhookId};
use thiserror::Error;

/// One request to one webhook, all but what is read when it is sent (URL, credentials, state of the webhook).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id: the `webhook-id` of all its attempts.
    pub id: DeliveryId,
    /// The webhook.
    pub webhook: WebhookId,
    /// How long it waits after the delivery before it, or after acceptance.
    pub delay: Span,
    /// Whether it waits for those to the same webhook about the same record that came before it.
    pub ordered: bool,
    /// The method.
    pub method: String,
    /// What joins the webhook's URL: path and query, encoded.
    pub url_suffix: String,
    /// Own headers.
    pub headers: Vec<(String, String)>,
    /// The content type; empty without a body.
    pub content_type: String,
    /// The body: a slice of the stored bytes.
    pub body: Bytes,
}

/// All requests of an execution, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The deliveries.
    pub deliveries: Vec<Delivery>,
}

/// The stored plan can't be read.
#[derive(Debug, Error)]
#[error("a stored plan can't be read: {0}")]
pub struct PlanError(String);

/// Makes bodies of what is stored of them, so many bytes; nothing if it is not theirs.
pub type Unpack = fn(Vec<u8>, usize) -> Option<Vec<u8>>;

/// A delivery in the `plan` column; bodies stand one after another in the `bodies` column.
#[derive(Serialize, Deserialize)]
struct Entry {
    id: DeliveryId,
    webhook: WebhookId,
    #[serde(default, skip_serializing_if = "is_zero")]
    delay_us: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ordered: bool,
    method: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    url_suffix: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    content_type: String,
    body_bytes: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(micros: &i64) -> bool {
    *micros == 0
}

impl Plan {
    /// The two columns it is stored in: what to send as JSON, and the bodies.
    ///
    /// # Errors
    /// When it can't be written as JSON, which does not happen to a plan that was read from one.
    pub fn encode(&self) -> Result<(String, Vec<u8>), PlanError> {
        let entries: Vec<Entry> = self.deliveries.iter().map(Entry::of).collect();
        let text = serde_json::to_string(&entries).map_err(|error| PlanError(error.to_string()))?;
        let bodies: Vec<&[u8]> = self.deliveries.iter().map(|delivery| delivery.body.as_ref()).collect();
        let bodies = bodies.concat();
        Ok((text, bodies))
    }

    /// Reads the columns back. Bodies come as they are stored, with what makes so many bytes of them; without them (a listing does not
    /// load them) the bodies are empty.
    ///
    /// # Errors
    /// When the columns do not fit each other.
    pub fn decode(text: &str, bodies: Option<(Vec<u8>, Unpack)>) -> Result<Self, PlanError> {
        let entries: Vec<Entry> = serde_json::from_str(text).map_err(|error| PlanError(error.to_string()))?;
        let length = entries.iter().fold(0_usize, |sum, entry| sum.saturating_add(entry.body_bytes));
        let unpacked = |(stored, unpack): (Vec<u8>, Unpack)| {
            let bodies = unpack(stored, length).map(Bytes::from);
            bodies.ok_or_else(|| PlanError(format!("the bodies are not of {length} bytes")))
        };
        let bodies = bodies.map(unpacked).transpose()?;
        let mut from = 0_usize;
        let mut deliveries = Vec::with_capacity(entries.len());
        for entry in entries {
            let to = from.saturating_add(entry.body_bytes);
            let body = match &bodies {
                None => Bytes::new(),
                Some(all) if to <= all.len() => all.slice(from..to),
                Some(all) => return Err(PlanError(format!("bodies end at {}, not at {to}", all.len()))),
            };
            from = to;
            deliveries.push(entry.with(body));
        }
        Ok(Self { deliveries })
    }
}

impl Entry {
    fn of(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id,
            webhook: delivery.webhook,
            delay_us: delivery.delay.as_micros(),
            ordered: delivery.ordered,
            method: delivery.method.clone(),
            url_suffix: delivery.url_suffix.clone(),
            headers: delivery.headers.clone(),
            content_type: delivery.content_type.clone(),
            body_bytes: delivery.body.len(),
        }
    }

    fn with(self, body: Bytes) -> Delivery {
        Delivery {
            id: self.id,
            webhook: self.webhook,
            delay: Span::from_micros(self.delay_us),
            ordered: self.ordered,
            method: self.method,
            url_suffix: self.url_suffix,
            headers: self.headers,
            content_type: self.content_type,
            body,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A plan of requests with these delays, bodies `b0`, `b1`, ….
    pub(crate) fn plan_of(delays: &[Span]) -> Plan {
        let delivery = |(at, delay): (usize, &Span)| Delivery {
            id: DeliveryId::from_bytes([u8::try_from(at).unwrap(); 16]),
            webhook: WebhookId::from_bytes([9; 16]),
            delay: *delay,
            ordered: at > 0,
            method: "POST".into(),
            url_suffix: "deals/1?x=%20".into(),
            headers: vec![("x-own".into(), "1".into())],
            content_type: "application/json".into(),
            body: Bytes::from(format!("b{at}")),
        };
        Plan { deliveries: delays.iter().enumerate().map(delivery).collect() }
    }

    fn as_is(stored: Vec<u8>, length: usize) -> Option<Vec<u8>> {
        (stored.len() == length).then_some(stored)
    }

    #[test]
    fn stored_columns_read_back_as_the_same_plan() {
        let plan = plan_of(&[Span::ZERO, Span::from_secs(3)]);
        let (text, bodies) = plan.encode().unwrap();
        assert_eq!(Plan::decode(&text, Some((bodies, as_is))).unwrap(), plan);
        assert!(Plan::decode(&text, None).unwrap().deliveries[1].body.is_empty());
    }

    #[test]
    fn bodies_that_are_too_short_are_noticed() {
        let (text, mut bodies) = plan_of(&[Span::ZERO]).encode().unwrap();
        bodies.pop();
        assert!(Plan::decode(&text, Some((bodies, as_is))).is_err());
    }
}
