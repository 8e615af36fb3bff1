//! The oldest ready work of an account with its receivers: lane by lane, so that what waits behind a full receiver is never walked.

use std::collections::HashMap;

use sluice_domain::{AccountId, WebhookId};
use sluice_storage::{Query, Transaction};

use super::{Result, lanes, sql};
use crate::gate::Gates;
use crate::schedule::Round;
use crate::turn::Turn;

/// How many lanes one statement asks.
const LANES_AT_ONCE: usize = 50;

/// The open lanes of an account with their receivers.
pub(super) struct Lanes(HashMap<i64, WebhookId>);

impl Lanes {
    /// Those that no gate closes.
    pub(super) async fn open(tx: &Transaction, account: &AccountId, closed: &Gates) -> Result<Self> {
        let lanes = lanes::of(tx, account).await?.into_iter();
        let open = lanes.filter(|(_, lane)| closed.lets_through(lane));
        Ok(Self(open.map(|(number, lane)| (number, lane.webhook)).collect()))
    }

    /// The oldest of one turn: of each lane one more than `limit` or its receiver allows.
    pub(super) async fn heads(
        &self,
        tx: &Transaction,
        turn: Turn,
        limit: usize,
        round: &Round,
    ) -> Result<Vec<(i64, WebhookId)>> {
        let mut lanes: Vec<(i64, WebhookId)> =
            self.0.iter().map(|(lane, webhook)| (*lane, *webhook)).collect();
        lanes.sort_unstable_by_key(|(lane, _)| *lane);
        let mut found: Vec<(i64, WebhookId)> = Vec::new();
        for piece in lanes.chunks(LANES_AT_ONCE) {
            let select = |(lane, webhook): &(i64, WebhookId)| {
                let most = round.opening(*webhook).min(limit) + 1;
                sql::lane_heads(tx.backend(), *lane, turn.code(), most)
            };
            let select: Vec<String> = piece.iter().map(select).collect();
            for row in tx.all(&select.join(sql::TOGETHER), vec![]).await? {
                if let Some(webhook) = self.0.get(&row.at::<i64>(1)?) {
                    found.push((row.at(0)?, *webhook));
                }
            }
        }
        found.sort_unstable_by_key(|(seq, _)| *seq);
        Ok(found)
    }
}
