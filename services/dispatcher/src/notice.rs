//! What whoever runs Sluice is told of by operational webhooks: event webhooks of the system account. A notice is put on record in the
//! transaction that it speaks of, and becomes an event of the system account afterwards, once, under its own id.
//!
//! The body is the payload that the Standard Webhooks specification recommends:
//! ```json
//! {"type": "webhook.disabled", "timestamp": "2026-11-24T04:24:22Z",
//!  "data": {"account": "accounts/acme", "webhook": "accounts/acme/webhooks/wh_…", "reason": "GONE"}}
//! ```

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sluice_domain::{AccountId, Action, NoticeId, ObjectName, Subscription, Timestamp, WebhookId};
use thiserror::Error;

use crate::breaker::{Breaker, State, Why};
use crate::execution::EventSummary;

/// What happened. A new kind is a variant here, and needs nothing else but whoever puts it on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// A webhook's receiver kept failing, and its breaker opened: what waits for it is paused, and tried one by one.
    WebhookFailing {
        /// Which webhook.
        webhook: WebhookId,
        /// Failures in a row.
        failures: u32,
        /// When the first of them was recorded.
        since: Timestamp,
    },
    /// A request to a webhook whose breaker was open succeeded: what waits for it goes on.
    WebhookRecovered {
        /// Which webhook.
        webhook: WebhookId,
        /// When the first failure was recorded.
        since: Timestamp,
    },
    /// The system disabled a webhook: what waits for it fails.
    WebhookDisabled {
        /// Which webhook.
        webhook: WebhookId,
        /// Why.
        why: Why,
    },
    /// So much of what may start in a billing period is used; all of it: what comes waits.
    QuotaThreshold {
        /// How many percent: one of [`THRESHOLDS`](crate::allowance::THRESHOLDS).
        percent: i64,
        /// Units that are used.
        used: i64,
        /// Units that may be, grants included.
        of: i64,
        /// The first instant after the period.
        ends: Timestamp,
    },
}

/// Something that happened in an account, on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its id: that of the event it becomes.
    pub id: NoticeId,
    /// The account that it is about.
    pub account: AccountId,
    /// When it happened, by the database's clock.
    pub at: Timestamp,
    /// What happened.
    pub news: News,
}

/// An event webhook of the system account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// Which objects and actions it wants.
    pub subscription: Subscription,
    /// Whether those about one record wait for each other.
    pub ordered: bool,
}

/// The stored news can't be read.
#[derive(Debug, Error)]
#[error("stored news can't be read: {0}")]
pub struct NewsError(#[from] serde_json::Error);

impl News {
    /// What the change of a webhook's breaker is news of, if it is.
    pub fn of(webhook: WebhookId, before: Option<&Breaker>, after: Option<&Breaker>) -> Option<Self> {
        let was = before.map_or(State::Closed, |before| before.state);
        let since = |breaker: Option<&Breaker>| breaker.map(|breaker| breaker.since);
        match (was, after.map(|after| after.state)) {
            (State::Disabled { .. }, _) => None,
            (_, Some(State::Disabled { why, .. })) => Some(Self::WebhookDisabled { webhook, why }),
            // Also where another request failed since, which is counted anew.
            (State::Open { .. } | State::HalfOpen(_), None | Some(State::Closed)) => {
                Some(Self::WebhookRecovered { webhook, since: since(before)? })
            }
            (State::Closed, Some(State::Open { .. })) => {
                let failures = after.map_or(0, |after| after.failures);
                Some(Self::WebhookFailing { webhook, failures, since: since(after)? })
            }
            _ => None,
        }
    }

    /// The `type` of the notice.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::WebhookFailing { .. } => "webhook.failing",
            Self::WebhookRecovered { .. } => "webhook.recovered",
            Self::WebhookDisabled { .. } => "webhook.disabled",
            Self::QuotaThreshold { .. } => "quota.threshold",
        }
    }

    /// What it is about, as subscriptions name it, and which one of them.
    fn subject(&self, account: &AccountId) -> (&'static str, String) {
        match self {
            Self::WebhookFailing { webhook, .. }
            | Self::WebhookRecovered { webhook, .. }
            | Self::WebhookDisabled { webhook, .. } => ("webhook", webhook.to_string()),
            Self::QuotaThreshold { .. } => ("quota", account.to_string()),
        }
    }

    /// The text it is stored as.
    ///
    /// # Errors
    /// When it can't be written as JSON, which does not happen.
    pub fn encode(&self) -> Result<String, NewsError> {
        Ok(serde_json::to_string(self)?)
    }

    /// Reads it back.
    ///
    /// # Errors
    /// When the text was not made by [`Self::encode`].
    pub fn decode(text: &str) -> Result<Self, NewsError> {
        Ok(serde_json::from_str(text)?)
    }
}

impl Notice {
    /// Whether a subscriber wants it: it is an update of its subject.
    pub fn is_wanted_by(&self, subscriber: &Subscriber) -> bool {
        let object = self.news.subject(&self.account).0.parse::<ObjectName>();
        object.is_ok_and(|object| subscriber.subscription.wants(&object, Action::Updated))
    }

    /// The event of the system account that it becomes.
    pub fn event(&self) -> EventSummary {
        let (object, record_id) = self.news.subject(&self.account);
        EventSummary {
            id: self.id.to_string(),
            object: object.to_owned(),
            action: Action::Updated,
            record_id,
            occurred_at: self.at,
            actor: None,
            cause: None,
        }
    }

    /// The digest of the event. A notice never changes, so its id says what it holds.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = [0; 32];
        digest.iter_mut().zip(self.id.to_bytes().into_iter().cycle()).for_each(|(to, from)| *to = from);
        digest
    }

    /// What subscribers get.
    pub fn body(&self) -> Bytes {
        let account = format!("accounts/{}", self.account);
        let name = |webhook: WebhookId| format!("{account}/webhooks/{webhook}");
        let data = match self.news {
            News::WebhookFailing { webhook, failures, since } => json!({
                "account": account, "webhook": name(webhook), "failures": failures, "since": since.to_rfc3339(),
            }),
            News::WebhookRecovered { webhook, since } => json!({
                "account": account, "webhook": name(webhook), "since": since.to_rfc3339(),
            }),
            News::WebhookDisabled { webhook, why } => json!({
                "account": account, "webhook": name(webhook), "reason": why.as_str(),
            }),
            News::QuotaThreshold { percent, used, of, ends } => json!({
                "account": account, "percent": percent, "used": used, "of": of, "period_end": ends.to_rfc3339(),
            }),
        };
        let body = json!({"type": self.news.kind(), "timestamp": self.at.to_rfc3339(), "data": data});
        body.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::Probe;
    use crate::breaker::tests::{at, breaker};

    fn webhook() -> WebhookId {
        WebhookId::from_bytes([1; 16])
    }

    fn of(before: Option<State>, after: Option<State>) -> Option<News> {
        let (before, after) = (before.map(breaker), after.map(breaker));
        News::of(webhook(), before.as_ref(), after.as_ref())
    }

    fn notice(news: News) -> Notice {
        Notice { id: NoticeId::from_bytes([7; 16]), account: "acme".parse().unwrap(), at: at(9), news }
    }

    const OPEN: State = State::Open { until: Timestamp::EPOCH };
    const PROBED: State = State::HalfOpen(Probe { token: 1, until: Timestamp::EPOCH });
    const GIVEN_UP: State = State::Disabling { why: Why::Gone, version: 1 };
    const DISABLED: State = State::Disabled { why: Why::Gone, revision: 1, swept: false };

    fn failing() -> News {
        News::WebhookFailing { webhook: webhook(), failures: 10, since: at(0) }
    }

    fn recovered() -> News {
        News::WebhookRecovered { webhook: webhook(), since: at(0) }
    }

    fn threshold() -> News {
        News::QuotaThreshold { percent: 80, used: 8, of: 10, ends: at(99) }
    }

    fn disabled() -> News {
        News::WebhookDisabled { webhook: webhook(), why: Why::Gone }
    }

    #[test]
    fn a_breaker_is_news_when_it_opens_when_a_request_goes_well_again_and_when_the_webhook_is_disabled() {
        for before in [None, Some(State::Closed)] {
            assert_eq!(of(before, Some(OPEN)), Some(failing()), "{before:?}");
            assert_eq!(of(before, Some(State::Closed)), None, "a failure that is only counted");
            assert_eq!(of(before, None), None);
            assert_eq!(of(before, Some(DISABLED)), Some(disabled()));
        }
        for before in [OPEN, PROBED] {
            assert_eq!(of(Some(before), Some(OPEN)), None, "another probe failed");
            assert_eq!(of(Some(before), Some(GIVEN_UP)), None, "the registry has not taken it up yet");
            assert_eq!(of(Some(before), None), Some(recovered()));
            assert_eq!(of(Some(before), Some(State::Closed)), Some(recovered()), "and failed once since");
        }
        assert_eq!(of(Some(GIVEN_UP), Some(DISABLED)), Some(disabled()));
        assert_eq!(of(Some(GIVEN_UP), None), None, "somebody has changed it since");
        for after in [None, Some(DISABLED), Some(OPEN)] {
            assert_eq!(of(Some(DISABLED), after), None, "it is known: {after:?}");
        }
    }

    #[test]
    fn news_survive_their_text() {
        for news in [failing(), recovered(), disabled(), threshold()] {
            assert_eq!(News::decode(&news.encode().unwrap()).unwrap(), news);
        }
        assert!(News::decode("{}").is_err());
    }

    #[test]
    fn subscribers_want_it_by_its_object_and_as_an_update() {
        let wants = |object: Option<&str>, actions: &[Action]| {
            let object = object.map(|name| name.parse().unwrap());
            let subscription = Subscription { object, actions: actions.to_vec() };
            notice(failing()).is_wanted_by(&Subscriber { subscription, ordered: false })
        };
        assert!(
            wants(None, &[]) && wants(Some("webhook"), &[]) && wants(Some("webhook"), &[Action::Updated])
        );
        let of_quotas = Subscription { object: Some("quota".parse().unwrap()), actions: vec![] };
        assert!(notice(threshold()).is_wanted_by(&Subscriber { subscription: of_quotas, ordered: false }));
        assert!(
            !wants(Some("quota"), &[])
                && !wants(Some("deal"), &[])
                && !wants(Some("webhook"), &[Action::Deleted])
        );
    }

    #[test]
    fn the_body_says_what_happened_to_what_of_whom() {
        let name = format!("accounts/acme/webhooks/{}", webhook());
        let told = |news| serde_json::from_slice::<serde_json::Value>(&notice(news).body()).unwrap();
        let (since, now) = (at(0).to_rfc3339(), at(9).to_rfc3339());
        assert_eq!(
            told(failing()),
            json!({"type": "webhook.failing", "timestamp": now,
                   "data": {"account": "accounts/acme", "webhook": name, "failures": 10, "since": since}})
        );
        assert_eq!(
            told(recovered()),
            json!({"type": "webhook.recovered", "timestamp": now,
                   "data": {"account": "accounts/acme", "webhook": name, "since": since}})
        );
        assert_eq!(
            told(disabled()),
            json!({"type": "webhook.disabled", "timestamp": now,
                   "data": {"account": "accounts/acme", "webhook": name, "reason": "GONE"}})
        );
        assert_eq!(
            told(threshold()),
            json!({"type": "quota.threshold", "timestamp": now,
                   "data": {"account": "accounts/acme", "percent": 80, "used": 8, "of": 10,
                            "period_end": at(99).to_rfc3339()}})
        );
    }
}
