//! The `receiver` rows: the limits of webhooks that have their own, and what of their rates is used.
//!
//! Accounts without any are known without a statement: what is in the table is remembered, and told by the feed in each process.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sluice_domain::{AccountId, Rate, ReceiverLimits, Span, Timestamp, WebhookId};
use sluice_storage::{Query, Row, StorageError, Transaction, Value};

use super::{Result, Store, accounts, whole};
use crate::rate::RateLimit;
use crate::receiver::Share;
use crate::schedule::Round;

/// What is on record of the rates of an account: `account`.
pub(super) const RATES: &str = "SELECT webhook, rate_units, rate_per_us, rate_burst, rate_tat_ns FROM receiver \
     WHERE account = $1 AND rate_units IS NOT NULL ORDER BY webhook";

/// The limits of the receivers of one account that have any.
pub type AccountLimits = HashMap<WebhookId, ReceiverLimits>;

/// The receivers that have limits of their own. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Limited(Arc<RwLock<HashMap<AccountId, Arc<AccountLimits>>>>);

/// The rates of an account's receivers within a transaction.
#[derive(Default)]
pub(super) struct Paces(Vec<Pace>);

struct Pace {
    webhook: WebhookId,
    limit: RateLimit,
    /// How many requests might have begun at the beginning of the round.
    opening: usize,
}

impl Limited {
    /// The limits of an account's receivers, if any has some.
    pub fn of(&self, account: &AccountId) -> Option<Arc<AccountLimits>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(account).cloned()
    }

    /// All of them.
    pub fn all(&self) -> Vec<(AccountId, WebhookId)> {
        let limited = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let of = |(account, limits): (&AccountId, &Arc<AccountLimits>)| {
            limits.keys().map(|webhook| (account.clone(), *webhook)).collect::<Vec<_>>()
        };
        limited.iter().flat_map(of).collect()
    }

    fn has(&self, account: &AccountId, webhook: WebhookId) -> ReceiverLimits {
        self.of(account).and_then(|limits| limits.get(&webhook).copied()).unwrap_or_default()
    }

    /// Remembers what is on record now.
    pub(crate) fn put(&self, account: &AccountId, webhook: WebhookId, limits: ReceiverLimits) {
        let mut limited = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let own = Arc::make_mut(limited.entry(account.clone()).or_default());
        if limits.is_none() {
            own.remove(&webhook);
        } else {
            own.insert(webhook, limits);
        }
        if own.is_empty() {
            limited.remove(account);
        }
    }
}

impl Paces {
    /// Writes what a round has used of them.
    pub(super) async fn spend(self, tx: &Transaction, account: &AccountId, round: &Round) -> Result<()> {
        for Pace { webhook, mut limit, opening } in self.0 {
            let began = opening.saturating_sub(round.opening(webhook));
            if began > 0 {
                limit.take(round.now(), began);
                let update = "UPDATE receiver SET rate_tat_ns = $3 WHERE account = $1 AND webhook = $2";
                let values = vec![account.as_str().into(), webhook.to_string().into(), limit.tat().into()];
                tx.execute(update, values).await?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// The receivers that have limits of their own.
    pub const fn limited(&self) -> &Limited {
        &self.limited
    }

    /// Reads which receivers have limits.
    pub(super) async fn remember_limits(&self) -> Result<()> {
        let select =
            "SELECT account, webhook, max_in_flight, rate_units, rate_per_us, rate_burst FROM receiver";
        for row in self.database.read().all(select, vec![]).await? {
            let account: AccountId = row.get::<String>("account")?.parse().map_err(StorageError::decode)?;
            let max_in_flight: Option<i64> = row.get("max_in_flight")?;
            let max_in_flight = max_in_flight.map(u32::try_from).transpose().map_err(StorageError::decode)?;
            self.limited.put(&account, webhook(&row)?, ReceiverLimits { max_in_flight, rate: rate(&row)? });
        }
        Ok(())
    }

    /// Puts a webhook's limits in force. Of a rate that changes, what is used stays used, in cells. Says whether anything changed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn put_receiver_limits(
        &self,
        account: &AccountId,
        webhook: WebhookId,
        limits: ReceiverLimits,
    ) -> Result<bool> {
        if self.limited.has(account, webhook) == limits {
            return Ok(false);
        }
        whole!(self.put_receiver_limits_once(account, webhook, limits))?;
        self.limited.put(account, webhook, limits);
        Ok(true)
    }

    async fn put_receiver_limits_once(
        &self,
        account: &AccountId,
        webhook: WebhookId,
        limits: ReceiverLimits,
    ) -> Result<()> {
        let tx = self.database.write("receiver_limits").await?;
        let mut quotas = accounts::lock(&tx, [account]).await?;
        let now = tx.now().await?;
        let used = rates(&tx, account).await?.into_iter().find(|(other, _)| *other == webhook);
        let key = || vec![Value::from(account.as_str()), webhook.to_string().into()];
        tx.execute("DELETE FROM receiver WHERE account = $1 AND webhook = $2", key()).await?;
        if !limits.is_none() {
            let tat = match (used, limits.rate) {
                (Some((_, mut limit)), Some(rate)) if limit.rate() != rate => {
                    limit.change(now, rate);
                    limit.tat()
                }
                (Some((_, limit)), Some(_)) => limit.tat(),
                (None, _) | (_, None) => 0,
            };
            let of = |field: fn(Rate) -> i64| Value::from(limits.rate.map(field));
            let mut values = key();
            values.push(limits.max_in_flight.map(i64::from).into());
            values.extend([
                of(|rate| rate.units.into()),
                of(|rate| rate.per.as_micros()),
                of(|rate| rate.burst.into()),
            ]);
            values.push(tat.into());
            let insert = "INSERT INTO receiver (account, webhook, max_in_flight, rate_units, rate_per_us, rate_burst, rate_tat_ns) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7)";
            tx.execute(insert, values).await?;
        }
        // What was held back may start now.
        for quota in quotas.values_mut().filter(|quota| quota.waiting > 0) {
            quota.wake_at = Some(now);
        }
        accounts::save(&tx, quotas.values()).await?;
        tx.commit().await
    }

    /// Bounds an account's share by the rates of its receivers, under the account's lock. Nothing is asked where there are none.
    pub(super) async fn paces(
        &self,
        tx: &Transaction,
        account: &AccountId,
        share: &mut Share,
        now: Timestamp,
    ) -> Result<Paces> {
        let limits = self.limited.of(account);
        if !limits.is_some_and(|limits| limits.values().any(|limits| limits.rate.is_some())) {
            return Ok(Paces::default());
        }
        let mut paces = Vec::new();
        for (webhook, limit) in rates(tx, account).await? {
            let open = share.openings.of(webhook).min(share.seats);
            let mut left = limit;
            let more = left.take(now, open);
            let then = if more < open { left.free_at(now, 0) } else { None };
            share.openings.pace(webhook, more, then);
            paces.push(Pace { webhook, limit, opening: share.openings.of(webhook) });
        }
        Ok(Paces(paces))
    }
}

async fn rates(tx: &Transaction, account: &AccountId) -> Result<Vec<(WebhookId, RateLimit)>> {
    let mut rates = Vec::new();
    for row in tx.all(RATES, vec![account.as_str().into()]).await? {
        if let Some(rate) = rate(&row)? {
            rates.push((webhook(&row)?, RateLimit::stored(rate, row.get("rate_tat_ns")?)));
        }
    }
    Ok(rates)
}

fn webhook(row: &Row) -> Result<WebhookId> {
    row.get::<String>("webhook")?.parse().map_err(StorageError::decode)
}

fn rate(row: &Row) -> Result<Option<Rate>> {
    let Some(units) = row.get::<Option<i64>>("rate_units")? else { return Ok(None) };
    Ok(Some(Rate {
        units: u32::try_from(units).map_err(StorageError::decode)?,
        per: Span::from_micros(row.get("rate_per_us")?),
        burst: u32::try_from(row.get::<i64>("rate_burst")?).map_err(StorageError::decode)?,
    }))
}
