//! Whose turn it is at the webhook that is ordered by record.

use std::collections::BTreeSet;

use sluice_dispatcher::execution::EventSummary;
use sluice_dispatcher::line::{IN_LINE, Key, Lines};
use sluice_domain::{AccountId, Action, Timestamp, WebhookId};

use super::mutation::Mutation;
use super::world::World;

/// An event about this record.
pub(crate) fn about(record: &str) -> EventSummary {
    EventSummary {
        id: String::new(),
        object: "deal".into(),
        action: Action::Updated,
        record_id: record.into(),
        occurred_at: Timestamp::EPOCH,
        actor: None,
        cause: None,
    }
}

impl World {
    /// The line that an execution's delivery to this webhook comes to.
    pub(crate) fn key(&self, seq: i64, webhook: WebhookId) -> Key {
        Key::of(webhook, &about(&self.made[&seq].record))
    }

    /// When somebody who comes to this line now is due.
    pub(crate) fn until(&self, account: &AccountId, key: &Key) -> Option<Timestamp> {
        let mut lines = Lines::default();
        let stands =
            self.lines.values().any(|(of, other, place)| of == account && other == key && place.is_some());
        if stands && !self.has(Mutation::LineIgnored) {
            lines.occupy(key.clone());
        }
        lines.join(key.clone())
    }

    /// A delivery comes to its line, or to the delay before it.
    pub(crate) fn enter(&mut self, account: &AccountId, seq: i64, webhook: WebhookId, delayed: bool) {
        self.lines.insert(seq, (account.clone(), self.key(seq, webhook), None));
        if !delayed {
            self.join(seq);
        }
    }

    /// Everything of an account that is ready and was on its way to a line joins it.
    pub(crate) fn join_due(&mut self, account: &AccountId) {
        let ready = |seq: &i64| self.pending.get(seq).is_some_and(|(row, _)| row.due_at().is_none());
        let coming =
            self.lines.iter().filter(|(seq, (of, _, place))| of == account && place.is_none() && ready(seq));
        for seq in coming.map(|(seq, _)| *seq).collect::<Vec<_>>() {
            self.join(seq);
        }
    }

    fn join(&mut self, seq: i64) {
        let (account, key, _) = self.lines[&seq].clone();
        let until = self.until(&account, &key);
        self.lines.insert(seq, (account, key, Some(self.next)));
        self.next += 1;
        if let (Some(_), Some((row, _))) = (until, self.pending.get_mut(&seq)) {
            row.put_off(until);
        }
    }

    /// Whether nobody stands before it in its line.
    pub(crate) fn is_first(&self, seq: i64) -> bool {
        let (account, key, place) = &self.lines[&seq];
        let before = |(of, other, earlier): &(AccountId, Key, Option<i64>)| {
            of == account && other == key && earlier.is_some_and(|earlier| Some(earlier) < *place)
        };
        !self.lines.values().any(before)
    }

    /// One is over: whoever comes next in its line is ready.
    pub(crate) fn leave(&mut self, seq: i64) {
        self.leave_all(&[seq]);
    }

    /// These are over: whoever comes next in their lines is ready.
    pub(crate) fn leave_all(&mut self, seqs: &[i64]) {
        let left: BTreeSet<(AccountId, Key)> =
            seqs.iter().filter_map(|seq| self.lines.remove(seq)).map(|(of, key, _)| (of, key)).collect();
        for (account, key) in left {
            let others = self.lines.iter().filter(|(_, (of, other, _))| *of == account && *other == key);
            let next = others.filter_map(|(seq, (_, _, place))| Some(((*place)?, *seq))).min();
            let Some((row, _)) = next.and_then(|(_, seq)| self.pending.get_mut(&seq)) else { continue };
            if row.due_at() == Some(IN_LINE) {
                row.put_off(None);
                let now = self.now;
                let quota = self.quota(&account);
                quota.wake_at = Some(quota.wake_at.map_or(now, |wake_at| wake_at.min(now)));
            }
        }
    }
}
