//! What the evaluator knows of a webhook: enough to check an automation and to plan a notification, no URL, no secret.

use sluice_domain::{Subscription, UserId, WebhookId};

/// What a webhook is for; fixed at its creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookKind {
    /// Named by steps of automations, by nothing else.
    Automation,
    /// Gets what its subscription wants, in the standard envelope.
    Event,
}

impl WebhookKind {
    /// `AUTOMATION` or `EVENT`, as refusals show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Automation => "AUTOMATION",
            Self::Event => "EVENT",
        }
    }
}

/// Whose a webhook is, which decides what it may receive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A global admin's, or the account's own: it gets everything.
    Admin,
    /// A member's: it gets what that member may see.
    Member(UserId),
}

/// A registered target, as the registry's feed last told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// What it is for.
    pub kind: WebhookKind,
    /// Whether requests are sent to it; one that is disabled gets its executions all the same.
    pub enabled: bool,
    /// Whether its URL ends in `/`, `&`, `?` or `=`, so that a path or query can be appended.
    pub appendable: bool,
    /// Which events it wants; an event webhook without one wants none.
    pub subscription: Option<Subscription>,
    /// Whose it is.
    pub owner: Owner,
    /// Whether the deliveries about one record go one after another.
    pub ordered: bool,
}

/// Whether something can be appended to an endpoint URL that reads so.
pub fn is_appendable(endpoint_url: &str) -> bool {
    endpoint_url.ends_with(['/', '&', '?', '='])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_open_urls_take_a_suffix() {
        for open in [
            "https://a.example/x/",
            "https://a.example/?k=",
            "https://a.example/?a=1&",
            "https://a.example/?",
        ] {
            assert!(is_appendable(open), "{open}");
        }
        assert!(!is_appendable("https://a.example/x"));
    }
}
