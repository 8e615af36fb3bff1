//! The `breaker` rows: one a webhook that fails, moved on in the transaction that learns of it.

use std::collections::{BTreeMap, HashMap};

use sea_orm::Value;
use sluice_domain::{AccountId, Span, Timestamp, WebhookId};
use sluice_runtime::Entropy;
use sluice_storage::{Query, Row, StorageError, Transaction};

use super::Result;
use crate::breaker::{Breaker, Decision, Policy, Probe, Seen, State, Why};
use crate::change::Changes;
use crate::claim::{Contact, Finish};
use crate::execution::Next;
use crate::gate::Gates;
use crate::notice::News;
use crate::quota::AccountQuota;

/// The columns of a breaker beside its key.
pub(super) const COLUMNS: &str =
    "state, failures, since, opened, until, token, why, version, revision, unswept";

/// What the claims that end in a transaction mean for the breakers of their webhooks.
pub(super) struct Health<'a> {
    policy: Policy,
    entropy: &'a Entropy,
    gates: &'a HashMap<AccountId, Gates>,
    /// What is decided anew; none is to be on record where there is nothing.
    decided: BTreeMap<(AccountId, WebhookId), Option<Breaker>>,
}

impl<'a> Health<'a> {
    /// Nothing decided yet; `gates` are those of the accounts that are locked.
    pub(super) fn of(policy: Policy, entropy: &'a Entropy, gates: &'a HashMap<AccountId, Gates>) -> Self {
        Self { policy, entropy, gates, decided: BTreeMap::new() }
    }

    /// A claim ended so.
    pub(super) fn see(&mut self, finish: &Finish, now: Timestamp) {
        let Some(Contact { webhook, version, .. }) = finish.contact else { return };
        let key = (finish.account.clone(), webhook);
        let on_record = || self.gates.get(&finish.account).and_then(|gates| gates.breaker(webhook));
        let breaker = self.decided.get(&key).copied().unwrap_or_else(on_record);
        let again_after = match finish.next {
            Next::HandBack(after) => after,
            Next::End(_) | Next::Retry(_) | Next::Advance { .. } => Span::ZERO,
        };
        let seen = Seen { sign: finish.sign(), token: finish.claim.token, version, again_after };
        match self.policy.after(breaker, seen, now, self.entropy.fraction()) {
            Decision::Leave => {}
            Decision::Keep(next) => {
                self.decided.insert(key, Some(next));
            }
            Decision::Forget => {
                self.decided.insert(key, None);
            }
        }
    }

    /// Writes what was decided, and wakes the accounts for it. Says whether a webhook is to be disabled.
    pub(super) async fn write(
        self,
        tx: &Transaction,
        quotas: &mut BTreeMap<AccountId, AccountQuota>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<bool> {
        let mut disables = false;
        for ((account, webhook), breaker) in self.decided {
            let before = self.gates.get(&account).and_then(|gates| gates.breaker(webhook));
            let held = before.is_some_and(|before| before.holds());
            changes.tell(&account, News::of(webhook, before.as_ref(), breaker.as_ref()));
            match breaker {
                Some(breaker) => save(tx, &account, [(webhook, breaker)].into_iter()).await?,
                None => forget(tx, &account, webhook).await?,
            }
            disables |= breaker.is_some_and(|breaker| matches!(breaker.state, State::Disabling { .. }));
            let opens = held && !breaker.is_some_and(|breaker| breaker.holds());
            let wake_at = if opens { Some(now) } else { breaker.as_ref().and_then(Breaker::probe_at) };
            if let Some(quota) = quotas.get_mut(&account).filter(|quota| quota.waiting > 0) {
                quota.wake_at = quota.wake_at.into_iter().chain(wake_at).min();
            }
        }
        Ok(disables)
    }
}

/// The breaker of a webhook, if it has one.
pub(super) async fn get(
    query: &impl Query,
    account: &AccountId,
    webhook: WebhookId,
) -> Result<Option<Breaker>> {
    let select = format!("SELECT {COLUMNS} FROM breaker WHERE account = $1 AND webhook = $2");
    let row = query.one(&select, key(account, webhook)).await?;
    row.map(|row| read(&row)).transpose()
}

/// Puts breakers of an account's webhooks on record as they stand now.
pub(super) async fn save(
    tx: &Transaction,
    account: &AccountId,
    breakers: impl Iterator<Item = (WebhookId, Breaker)>,
) -> Result<()> {
    for (webhook, breaker) in breakers {
        let upsert = format!(
            "INSERT INTO breaker (account, webhook, {COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
             ON CONFLICT (account, webhook) DO UPDATE SET state = excluded.state, failures = excluded.failures, \
             since = excluded.since, opened = excluded.opened, until = excluded.until, token = excluded.token, \
             why = excluded.why, version = excluded.version, revision = excluded.revision, unswept = excluded.unswept"
        );
        let mut values = key(account, webhook);
        values.extend(write(&breaker));
        tx.execute(&upsert, values).await?;
    }
    Ok(())
}

/// The webhook works.
pub(super) async fn forget(tx: &Transaction, account: &AccountId, webhook: WebhookId) -> Result<()> {
    tx.execute("DELETE FROM breaker WHERE account = $1 AND webhook = $2", key(account, webhook)).await?;
    Ok(())
}

fn key(account: &AccountId, webhook: WebhookId) -> Vec<Value> {
    vec![account.as_str().into(), webhook.to_string().into()]
}

/// The account and the webhook that a row with these columns is of.
pub(super) fn key_of(row: &Row) -> Result<(AccountId, WebhookId)> {
    let (account, webhook): (String, String) = (row.get("account")?, row.get("webhook")?);
    Ok((account.parse().map_err(StorageError::decode)?, webhook.parse().map_err(StorageError::decode)?))
}

fn write(breaker: &Breaker) -> [Value; 10] {
    let (mut until, mut token, mut why, mut version, mut revision, mut unswept) =
        (None, None, None, None, None, 0);
    let state = match breaker.state {
        State::Closed => "CLOSED",
        State::Open { until: at } => {
            until = Some(at);
            "OPEN"
        }
        State::HalfOpen(probe) => {
            (until, token) = (Some(probe.until), Some(probe.token));
            "HALF_OPEN"
        }
        State::Disabling { why: because, version: of } => {
            (why, version) = (Some(because), Some(of));
            "DISABLING"
        }
        State::Disabled { why: because, revision: of, swept } => {
            (why, revision, unswept) = (Some(because), Some(of), i64::from(!swept));
            "DISABLED"
        }
    };
    [
        state.into(),
        i64::from(breaker.failures).into(),
        breaker.since.as_micros().into(),
        i64::from(breaker.opened).into(),
        until.map(Timestamp::as_micros).into(),
        token.into(),
        why.map(Why::as_str).into(),
        version.into(),
        revision.into(),
        unswept.into(),
    ]
}

/// The breaker of a row that has its columns.
pub(super) fn read(row: &Row) -> Result<Breaker> {
    let state: String = row.get("state")?;
    let missing = |column: &str| StorageError::decode(format!("a breaker {state} without {column}"));
    let number =
        |column: &str| -> Result<i64> { row.get::<Option<i64>>(column)?.ok_or_else(|| missing(column)) };
    let until = || Ok::<_, StorageError>(Timestamp::from_micros(number("until")?));
    let why = || -> Result<Why> {
        let why: Option<String> = row.get("why")?;
        why.as_deref().and_then(Why::read).ok_or_else(|| missing("why"))
    };
    let small =
        |column: &str| -> Result<u32> { u32::try_from(number(column)?).map_err(StorageError::decode) };
    Ok(Breaker {
        failures: small("failures")?,
        since: Timestamp::from_micros(number("since")?),
        opened: small("opened")?,
        state: match state.as_str() {
            "CLOSED" => State::Closed,
            "OPEN" => State::Open { until: until()? },
            "HALF_OPEN" => State::HalfOpen(Probe { token: number("token")?, until: until()? }),
            "DISABLING" => State::Disabling { why: why()?, version: number("version")? },
            "DISABLED" => {
                let swept = row.get::<i64>("unswept")? == 0;
                State::Disabled { why: why()?, revision: number("revision")?, swept }
            }
            other => return Err(StorageError::decode(format!("breaker state {other}"))),
        },
    })
}
