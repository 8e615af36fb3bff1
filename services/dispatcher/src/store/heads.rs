//! The oldest ready work of an account with its receivers: lane by lane, so that what waits behind a full receiver is never walked.

use std::collections::{HashMap, HashSet};

use sluice_domain::{AccountId, Timestamp, WebhookId};
use sluice_storage::{Query, Transaction};

use super::{Result, lanes, sql};
use crate::gate::Gates;
use crate::schedule::Round;
use crate::turn::Turn;

/// How many lanes one statement asks.
pub(super) const LANES_AT_ONCE: usize = 50;

/// The open lanes of an account with their receivers.
pub(super) struct Lanes {
    receivers: HashMap<i64, WebhookId>,
    /// The receivers that fail and are to be probed: each by one.
    probed: HashSet<WebhookId>,
}

impl Lanes {
    /// Those that no gate closes, and those that it lets a probe through.
    pub(super) async fn open(
        tx: &Transaction,
        account: &AccountId,
        gates: &Gates,
        now: Timestamp,
    ) -> Result<Self> {
        let (mut receivers, mut probed) = (HashMap::new(), HashSet::new());
        for (number, lane) in lanes::of(tx, account).await? {
            if gates.lets_through(&lane) {
                receivers.insert(number, lane.webhook);
            } else if gates.lets_probe(&lane, now) {
                receivers.insert(number, lane.webhook);
                probed.insert(lane.webhook);
            }
        }
        Ok(Self { receivers, probed })
    }

    /// The oldest of one turn: of each lane one more than `limit` or its receiver allows, and one for each receiver that is to be
    /// probed, as long as no probe is taken.
    pub(super) async fn heads(
        &self,
        tx: &Transaction,
        gates: &Gates,
        turn: Turn,
        limit: usize,
        round: &Round,
    ) -> Result<Vec<(i64, WebhookId)>> {
        let waits = |webhook| !self.probed.contains(webhook) || gates.lets_probe_to(*webhook, round.now());
        let lanes = self.receivers.iter().filter(|(_, webhook)| waits(webhook));
        let mut lanes: Vec<(i64, WebhookId)> = lanes.map(|(lane, webhook)| (*lane, *webhook)).collect();
        lanes.sort_unstable_by_key(|(lane, _)| *lane);
        let mut found: Vec<(i64, WebhookId)> = Vec::new();
        for piece in lanes.chunks(LANES_AT_ONCE) {
            let select = |(lane, webhook): &(i64, WebhookId)| {
                let most = round.opening(*webhook).min(limit) + 1;
                sql::lane_heads(tx.backend(), *lane, turn.code(), most)
            };
            let select: Vec<String> = piece.iter().map(select).collect();
            for row in tx.all(&select.join(sql::TOGETHER), vec![]).await? {
                if let Some(webhook) = self.receivers.get(&row.at::<i64>(1)?) {
                    found.push((row.at(0)?, *webhook));
                }
            }
        }
        found.sort_unstable_by_key(|(seq, _)| *seq);
        let mut first = HashSet::new();
        found.retain(|(_, webhook)| !self.probed.contains(webhook) || first.insert(*webhook));
        Ok(found)
    }

    /// The receivers that are probed by those of `found` that start.
    pub(super) fn probes(&self, found: &[(i64, WebhookId)], starts: &[i64]) -> Vec<WebhookId> {
        if self.probed.is_empty() {
            return Vec::new();
        }
        let probes =
            found.iter().filter(|(seq, webhook)| self.probed.contains(webhook) && starts.contains(seq));
        probes.map(|(_, webhook)| *webhook).collect()
    }
}
