//! What holds work back without touching it: one row closes a gate, one row opens it.

use std::collections::HashMap;

use sluice_domain::{AutomationId, Timestamp, WebhookId};

use crate::breaker::Breaker;
use crate::execution::{End, PauseReason};
use crate::pause::Pause;

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

/// A gate behind which nothing waits: what comes to it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The automation was deactivated or deleted.
    Deactivated,
    /// The system disabled the webhook.
    WebhookDisabled,
}

impl Stop {
    /// How it ends.
    pub fn end(self) -> End {
        match self {
            Self::Deactivated => End::deactivated(),
            Self::WebhookDisabled => End::webhook_disabled(),
        }
    }
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

/// The closed gates of one account, and its webhooks that fail.
#[derive(Debug, Clone, Default)]
pub struct Gates {
    closed: Vec<Closed>,
    failing: HashMap<WebhookId, Breaker>,
    /// The webhooks of which a probe was taken since this was read.
    probed: Vec<WebhookId>,
}

impl Gates {
    /// Notes a closed gate.
    pub fn close(&mut self, gate: Closed) {
        self.closed.push(gate);
    }

    /// Notes the breaker of a webhook that fails.
    pub fn fails(&mut self, webhook: WebhookId, breaker: Breaker) {
        self.failing.insert(webhook, breaker);
    }

    /// The breaker of a webhook, if it fails.
    pub fn breaker(&self, webhook: WebhookId) -> Option<Breaker> {
        self.failing.get(&webhook).copied()
    }

    /// Whether the automation's stop marker reaches this generation.
    pub fn stops(&self, automation: Option<AutomationId>, generation: i64) -> bool {
        automation.is_some_and(|id| {
            let marker = Subject::Automation(id);
            self.closed.iter().any(|gate| gate.subject == marker && gate.generation >= generation)
        })
    }

    /// What ends work of this lane that would wait for its turn.
    pub fn stop(&self, lane: &Lane) -> Option<Stop> {
        if self.stops(lane.automation, lane.generation) {
            return Some(Stop::Deactivated);
        }
        self.breaker(lane.webhook).filter(Breaker::is_disabled).map(|_| Stop::WebhookDisabled)
    }

    /// Why deliveries to the webhook are held back, and until when.
    pub fn pause(&self, webhook: WebhookId, now: Timestamp) -> Option<Pause> {
        if self.is_shut(webhook) {
            return Some((PauseReason::WebhookDisabled, None));
        }
        self.failing.get(&webhook).and_then(|breaker| breaker.pause(now))
    }

    /// The webhooks to which deliveries are held back, with why and until when.
    pub fn paused_webhooks(&self, now: Timestamp) -> impl Iterator<Item = (WebhookId, Pause)> {
        let by_hand = self.closed.iter().filter_map(|gate| match gate.subject {
            Subject::Webhook(id) => Some(id),
            Subject::Automation(_) => None,
        });
        let all = by_hand.chain(self.failing.keys().copied());
        all.filter_map(move |id| Some((id, self.pause(id, now)?)))
    }

    /// Whether work of this lane may be claimed; a probe aside.
    pub fn lets_through(&self, lane: &Lane) -> bool {
        let held = self.is_shut(lane.webhook) || self.failing.get(&lane.webhook).is_some_and(Breaker::holds);
        !held && !self.stops(lane.automation, lane.generation)
    }

    /// Whether one piece of work of this lane may be claimed as its webhook's probe.
    pub fn lets_probe(&self, lane: &Lane, now: Timestamp) -> bool {
        self.lets_probe_to(lane.webhook, now)
            && !self.is_shut(lane.webhook)
            && !self.stops(lane.automation, lane.generation)
    }

    /// Whether the breaker of the webhook lets a probe go.
    pub fn lets_probe_to(&self, webhook: WebhookId, now: Timestamp) -> bool {
        self.failing.get(&webhook).is_some_and(|breaker| breaker.lets_probe(now))
    }

    /// Whether any webhook's breaker lets a probe go.
    pub fn lets_probes(&self, now: Timestamp) -> bool {
        self.failing.values().any(|breaker| breaker.lets_probe(now))
    }

    /// The webhook's probe is claimed under this token, for that long at most; [`Self::lets_probe`] said yes.
    pub fn take_probe(&mut self, webhook: WebhookId, token: i64, until: Timestamp) {
        if let Some(breaker) = self.failing.get_mut(&webhook) {
            breaker.take_probe(token, until);
            self.probed.push(webhook);
        }
    }

    /// The webhooks of which a probe was taken since this was read, with what is to be on record of them.
    pub fn probed(&self) -> impl Iterator<Item = (WebhookId, Breaker)> {
        self.probed.iter().filter_map(|id| Some((*id, self.breaker(*id)?)))
    }

    /// The next time at which a probe may go that may not now.
    pub fn next_probe(&self, now: Timestamp) -> Option<Timestamp> {
        self.failing.values().filter_map(Breaker::probe_at).filter(|at| *at > now).min()
    }

    /// Whether something may wait behind one of them.
    pub fn may_hold_work(&self) -> bool {
        let shut = |gate: &Closed| matches!(gate.subject, Subject::Webhook(_)) || !gate.swept;
        self.closed.iter().any(shut) || self.failing.values().any(Breaker::may_hold_work)
    }

    /// Whether the webhook was disabled by hand.
    fn is_shut(&self, webhook: WebhookId) -> bool {
        self.closed.iter().any(|gate| gate.subject == Subject::Webhook(webhook))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::tests::{at, breaker};
    use crate::breaker::{State, Why};

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

    #[test]
    fn a_webhook_that_fails_is_held_back_but_for_its_probe() {
        let webhook = WebhookId::from_bytes([2; 16]);
        let lane = Lane { automation: None, generation: 0, webhook };
        let mut gates = Gates::default();
        gates.fails(webhook, breaker(State::Closed));
        assert!(gates.lets_through(&lane) && !gates.lets_probe(&lane, at(0)) && !gates.may_hold_work());
        gates.fails(webhook, breaker(State::Open { until: at(30) }));
        assert!(!gates.lets_through(&lane) && !gates.lets_probe(&lane, at(29)) && gates.may_hold_work());
        assert_eq!(gates.next_probe(at(29)), Some(at(30)));
        assert!(gates.lets_probe(&lane, at(30)) && gates.next_probe(at(30)).is_none());
        gates.take_probe(webhook, 7, at(60));
        assert!(!gates.lets_probe(&lane, at(30)) && !gates.lets_through(&lane));
        assert_eq!((gates.next_probe(at(30)), gates.probed().count()), (Some(at(60)), 1));
        assert_eq!(gates.stop(&lane), None);
    }

    #[test]
    fn one_that_is_disabled_by_hand_gets_no_probe_and_one_the_system_disabled_ends_what_waits() {
        let webhook = WebhookId::from_bytes([2; 16]);
        let lane = Lane { automation: None, generation: 0, webhook };
        let mut gates = closed(Subject::Webhook(webhook), 1);
        gates.fails(webhook, breaker(State::Open { until: at(30) }));
        assert!(!gates.lets_probe(&lane, at(31)));
        assert_eq!(gates.pause(webhook, at(31)), Some((PauseReason::WebhookDisabled, None)));
        let mut gates = Gates::default();
        gates.fails(webhook, breaker(State::Disabling { why: Why::Gone, version: 1 }));
        assert!(!gates.lets_through(&lane) && gates.stop(&lane).is_none());
        gates.fails(webhook, breaker(State::Disabled { why: Why::Gone, revision: 1, swept: true }));
        assert_eq!(gates.stop(&lane), Some(Stop::WebhookDisabled));
        assert!(!gates.lets_through(&lane) && !gates.may_hold_work());
    }
}
