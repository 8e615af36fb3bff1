//! Claiming: what of an account's ready work starts, probes of failing receivers among it, and when the account wakes next.

use std::collections::BTreeSet;

use sluice_dispatcher::gate::{Gates, Lane};
use sluice_dispatcher::pending::{Pending, Stage};
use sluice_dispatcher::quota::AccountQuota;
use sluice_dispatcher::schedule::Round;
use sluice_dispatcher::turn::Turn;
use sluice_domain::{AccountId, WebhookId};

use super::mutation::Mutation;
use super::world::{Held, World};

impl World {
    pub(crate) fn claim(&mut self, account: &AccountId, room: usize) -> Vec<Held> {
        let Some(mut quota) = self.quotas.get(account).cloned() else { return Vec::new() };
        let mut gates = self.closed(account);
        let room = room + usize::from(self.has(Mutation::BeyondRoom));
        let (mut round, token) = (Round::begin(&quota, self.now, room), self.next_token());
        let claims = self.pick(&mut quota, &mut gates, &mut round, token);
        self.settle(quota, &gates, &round);
        claims
    }

    /// Claims the ready work of an account, as far as the round lets it start.
    pub(crate) fn pick(
        &mut self,
        quota: &mut AccountQuota,
        gates: &mut Gates,
        round: &mut Round,
        token: i64,
    ) -> Vec<Held> {
        let mut claims = Vec::new();
        self.keep_grants(quota);
        if !round.looks(quota) {
            return claims;
        }
        let (now, account) = (round.now(), quota.account.clone());
        let early = self.has(Mutation::RetryBeforeDue);
        for (row, _) in self.of(&account) {
            let due = row.due_at().is_some_and(|due_at| due_at <= now || early && row.retries > 0);
            if due {
                row.stage = Stage::Waiting { start: row.start(), due_at: None };
            }
        }
        self.join_due(&account);
        for turn in Turn::ALL {
            let mut ready = self.ready(&account, gates, turn);
            if self.has(Mutation::NewestFirst) {
                ready.reverse();
            }
            let affordable = self.affordable(quota, round, turn);
            ready.truncate(affordable + 1);
            ready.truncate(round.start(quota, turn, affordable, ready.len()));
            for (seq, probed) in ready {
                let Some((row, lane)) = self.pending.get_mut(&seq) else { continue };
                let until = now.plus(self.lease.length);
                row.claim(token, now, until);
                if let Some(webhook) = probed {
                    gates.take_probe(webhook, token, until);
                }
                let (row, lane) = (row.clone(), lane.clone());
                claims.push(self.held(&account, gates, (&row, &lane), token));
            }
        }
        claims
    }

    /// What is ready of a turn, oldest first: all that no gate holds back, and one for each webhook that lets a probe go.
    fn ready(&mut self, account: &AccountId, gates: &Gates, turn: Turn) -> Vec<(i64, Option<WebhookId>)> {
        let (now, mut probed) = (self.now, BTreeSet::new());
        let ready = |(row, lane): (&mut Pending, &Lane)| {
            if row.hold().is_some() || row.due_at().is_some() || row.turn() != turn {
                return None;
            }
            if gates.lets_through(lane) {
                return Some((row.seq, None));
            }
            let probes = gates.lets_probe(lane, now) && probed.insert(lane.webhook);
            probes.then_some((row.seq, Some(lane.webhook)))
        };
        self.of(account).filter_map(ready).collect()
    }

    fn affordable(&self, quota: &AccountQuota, round: &Round, turn: Turn) -> usize {
        if turn == Turn::Continuing && self.has(Mutation::PauseLetsRetriesThrough) {
            return round.affordable(&AccountQuota { paused_at: None, ..quota.clone() }, turn);
        }
        round.affordable(quota, turn)
    }

    fn of(&mut self, account: &AccountId) -> impl Iterator<Item = (&mut Pending, &Lane)> {
        let mine = self.pending.values_mut().filter(|(row, _)| row.account == account.as_str());
        mine.map(|(row, lane)| (row, &*lane))
    }

    pub(crate) fn held(
        &self,
        account: &AccountId,
        gates: &Gates,
        (row, lane): (&Pending, &Lane),
        token: i64,
    ) -> Held {
        Held {
            account: account.clone(),
            seq: row.seq,
            id: self.made[&row.seq].run.id,
            token,
            step: row.step,
            attempt: row.attempt,
            retries: row.retries,
            ends: row.ends,
            started_at: row.hold().map_or(self.now, |hold| hold.started_at),
            claimed_at: self.now,
            troubled: gates.breaker(lane.webhook).is_some(),
        }
    }

    /// The round is over: what was probed and what is left of the quota go on record, and when the account wakes.
    pub(crate) fn settle(&mut self, mut quota: AccountQuota, gates: &Gates, round: &Round) {
        for (webhook, breaker) in gates.probed() {
            self.breakers.insert((quota.account.clone(), webhook), breaker);
        }
        let mine = self.pending.values().filter(|(row, _)| row.account == quota.account.as_str());
        let due = mine.filter_map(|(row, _)| row.due_at()).chain(gates.next_probe(round.now())).min();
        quota.wake_at = round.wake_at(&quota, due);
        self.quotas.insert(quota.account.clone(), quota);
    }
}
