//! What holds work back without touching it: one row closes a gate, one row opens it.

use sluice_domain::{AutomationId, WebhookId};

/// What a gate stands before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// All deliveries to a webhook. A closed gate pauses them.
    Webhook(WebhookId),
    /// All executions of an automation up to a generation. A closed gate stops them.
    Automation(AutomationId),
}

impl Subject {
    /// The word in the `kind` column.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "WEBHOOK",
            Self::Automation(_) => "AUTOMATION",
        }
    }

    /// The id in the `subject` column.
    pub fn id(&self) -> String {
        match self {
            Self::Webhook(id) => id.to_string(),
            Self::Automation(id) => id.to_string(),
        }
    }
}

/// Where work of one kind queues: one automation's generation (or notifications) towards one webhook.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lane {
    /// The automation; none for notifications.
    pub automation: Option<AutomationId>,
    /// The automation's generation; 0 for notifications.
    pub generation: i64,
    /// The webhook of the next delivery.
    pub webhook: WebhookId,
}

/// The closed gates of one account.
#[derive(Debug, Clone, Default)]
pub struct Gates(Vec<(Subject, i64)>);

impl Gates {
    /// Notes a closed gate: a webhook's, or an automation's with its generation.
    pub fn close(&mut self, subject: Subject, generation: i64) {
        self.0.push((subject, generation));
    }

    /// Whether the automation's stop marker reaches this generation.
    pub fn stops(&self, automation: Option<AutomationId>, generation: i64) -> bool {
        automation.is_some_and(|id| {
            self.0.iter().any(|(subject, upto)| *subject == Subject::Automation(id) && *upto >= generation)
        })
    }

    /// Whether deliveries to the webhook are held back.
    pub fn pauses(&self, webhook: WebhookId) -> bool {
        self.0.iter().any(|(subject, _)| *subject == Subject::Webhook(webhook))
    }

    /// Whether work of this lane may be claimed.
    pub fn lets_through(&self, lane: &Lane) -> bool {
        !self.pauses(lane.webhook) && !self.stops(lane.automation, lane.generation)
    }

    /// Whether none is closed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_marker_reaches_its_generation_and_those_before() {
        let automation = AutomationId::from_bytes([1; 16]);
        let mut gates = Gates::default();
        gates.close(Subject::Automation(automation), 3);
        let lane = |generation| Lane {
            automation: Some(automation),
            generation,
            webhook: WebhookId::from_bytes([2; 16]),
        };
        assert!(!gates.lets_through(&lane(3)) && !gates.lets_through(&lane(1)));
        assert!(gates.lets_through(&lane(4)));
        assert!(gates.lets_through(&Lane { automation: None, ..lane(0) }));
    }

    #[test]
    fn a_disabled_webhook_holds_back_everything_towards_it() {
        let webhook = WebhookId::from_bytes([2; 16]);
        let mut gates = Gates::default();
        gates.close(Subject::Webhook(webhook), 1);
        assert!(!gates.lets_through(&Lane { automation: None, generation: 0, webhook }));
        assert!(gates.lets_through(&Lane {
            automation: None,
            generation: 0,
            webhook: WebhookId::from_bytes([3; 16])
        }));
    }
}
