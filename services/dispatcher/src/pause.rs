//! What holds an account's work back at one moment, a line for each gate, so that a million paused executions are one of them.

use std::collections::BTreeMap;

use sluice_domain::{Timestamp, WebhookId};

use crate::execution::PauseReason;
use crate::gate::Gates;
use crate::quota::AccountQuota;
use crate::turn::Turn;

/// What a gate stands before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Before {
    /// Everything of the account.
    Account,
    /// Executions of automations that have not started yet.
    Automations,
    /// Notifications that have not started yet.
    Notifications,
    /// Everything whose next delivery goes to this webhook.
    Webhook(WebhookId),
}

/// Why a gate is closed and, where known, until when.
pub type Pause = (PauseReason, Option<Timestamp>);

/// The gates of an account that are closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pauses(BTreeMap<Before, Pause>);

impl Pauses {
    /// What is closed now.
    pub fn of(quota: &AccountQuota, gates: &Gates, now: Timestamp) -> Self {
        let turns = [(Before::Automations, Turn::Execution), (Before::Notifications, Turn::Notification)];
        let mut closed: BTreeMap<Before, Pause> = turns
            .into_iter()
            .filter_map(|(before, turn)| Some((before, quota.limited(turn, now, 0)?)))
            .collect();
        closed.extend(quota.operator_pause().map(|pause| (Before::Account, pause)));
        closed.extend(gates.paused_webhooks(now).map(|(webhook, pause)| (Before::Webhook(webhook), pause)));
        Self(closed)
    }

    /// What is to be told to somebody who knows an earlier moment: gates that closed or are closed otherwise, and those that opened.
    pub fn since(&self, earlier: &Self) -> Vec<(Before, Option<Pause>)> {
        let closed = self.0.iter().filter(|(before, pause)| earlier.0.get(before) != Some(pause));
        let opened = earlier.0.keys().filter(|before| !self.0.contains_key(before));
        let closed = closed.map(|(before, pause)| (*before, Some(*pause)));
        closed.chain(opened.map(|before| (*before, None))).collect()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Before, Pause)> {
        self.0.iter().map(|(before, pause)| (*before, *pause))
    }

    /// When the first of them opens by itself.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.0.values().filter_map(|(_, until)| *until).min()
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::Span;

    use super::*;
    use crate::gate::{Closed, Subject};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::EPOCH.plus(Span::from_secs(seconds))
    }

    #[test]
    fn an_unknown_account_starts_nothing_and_a_disabled_webhook_gets_nothing() {
        let webhook = WebhookId::from_bytes([1; 16]);
        let mut gates = Gates::default();
        gates.close(Closed { subject: Subject::Webhook(webhook), generation: 1, swept: true });
        let pauses = Pauses::of(&AccountQuota::unknown("acme".parse().unwrap()), &gates, at(0));
        let unknown = Some((PauseReason::EntitlementsUnknown, None));
        let told = pauses.since(&Pauses::default());
        assert_eq!(
            told,
            [
                (Before::Automations, unknown),
                (Before::Notifications, unknown),
                (Before::Webhook(webhook), Some((PauseReason::WebhookDisabled, None))),
            ]
        );
        assert_eq!(pauses.since(&pauses), []);
        assert_eq!(Pauses::default().since(&pauses).len(), 3);
    }

    #[test]
    fn a_gate_that_is_closed_for_longer_is_told_and_the_first_end_is_known() {
        let until =
            |end| Pauses(BTreeMap::from([(Before::Automations, (PauseReason::Quota, Some(at(end))))]));
        assert_eq!(
            until(2).since(&until(1)),
            [(Before::Automations, Some((PauseReason::Quota, Some(at(2)))))]
        );
        assert_eq!((until(2).next_end(), Pauses::default().next_end()), (Some(at(2)), None));
    }
}
