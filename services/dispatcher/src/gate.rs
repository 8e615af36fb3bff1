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
    /// The automation's generation; notifications have none that counts.
    pub generation: i64,
    /// The webhook of the next delivery.
    pub webhook: WebhookId,
}

/// One closed gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// What it stands before.
    pub subject: Subject,
    /// A webhook's revision, an automation's generation.
    pub generation: i64,
    /// Whether everything it stops has been stopped: of an automation's marker. Nothing waits behind it then.
    pub swept: bool,
}

/// The closed gates of one account.
#[derive(Debug, Clone, Default)]
pub struct Gates(Vec<Closed>);

impl Gates {
    /// Notes a closed gate.
    pub fn close(&mut self, gate: Closed) {
        self.0.push(gate);
    }

    /// Whether the automation's stop marker reaches this generation.
    pub fn stops(&self, automation: Option<AutomationId>, generation: i64) -> bool {
        automation.is_some_and(|id| {
            let marker = Subject::Automation(id);
            self.0.iter().any(|gate| gate.subject == marker && gate.generation >= generation)
        })
    }

    /// Whether deliveries to the webhook are held back.
    pub fn pauses(&self, webhook: WebhookId) -> bool {
        self.0.iter().any(|gate| gate.subject == Subject::Webhook(webhook))
    }

    /// The webhooks to which deliveries are held back.
    pub fn paused_webhooks(&self) -> impl Iterator<Item = WebhookId> {
        self.0.iter().filter_map(|gate| match gate.subject {
            Subject::Webhook(id) => Some(id),
            Subject::Automation(_) => None,
        })
    }

    /// Whether work of this lane may be claimed.
    pub fn lets_through(&self, lane: &Lane) -> bool {
        !self.pauses(lane.webhook) && !self.stops(lane.automation, lane.generation)
    }

    /// Whether something may wait behind one of them.
    pub fn may_hold_work(&self) -> bool {
        self.0.iter().any(|gate| matches!(gate.subject, Subject::Webhook(_)) || !gate.swept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(subject: Subject, generation: i64) -> Gates {
        let mut gates = Gates::default();
        gates.close(Closed { subject, generation, swept: false });
        gates
    }

    #[test]
    fn a_stop_marker_reaches_its_generation_and_those_before() {
        let automation = AutomationId::from_bytes([1; 16]);
        let gates = closed(Subject::Automation(automation), 3);
        let webhook = WebhookId::from_bytes([2; 16]);
        let lane = |generation| Lane { automation: Some(automation), generation, webhook };
        assert!(!gates.lets_through(&lane(3)) && !gates.lets_through(&lane(1)));
        assert!(gates.lets_through(&lane(4)));
        assert!(gates.lets_through(&Lane { automation: None, ..lane(0) }));
    }

    #[test]
    fn a_disabled_webhook_holds_back_everything_towards_it() {
        let webhook = WebhookId::from_bytes([2; 16]);
        let gates = closed(Subject::Webhook(webhook), 1);
        assert!(!gates.lets_through(&Lane { automation: None, generation: 0, webhook }));
        let other = WebhookId::from_bytes([3; 16]);
        assert!(gates.lets_through(&Lane { automation: None, generation: 0, webhook: other }));
    }

    #[test]
    fn nothing_waits_behind_markers_that_are_swept() {
        let marker = Subject::Automation(AutomationId::from_bytes([1; 16]));
        let mut gates = Gates::default();
        gates.close(Closed { subject: marker, generation: 3, swept: true });
        assert!(!gates.may_hold_work());
        gates.close(Closed { subject: marker, generation: 4, swept: false });
        assert!(gates.may_hold_work());
    }
}
