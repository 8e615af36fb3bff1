//! The `account` rows: read under lock, written back whole.

use std::collections::BTreeMap;

use sea_orm::Value;
use sluice_domain::{AccountId, Rate, Span, Timestamp};
use sluice_storage::rows::chunks;
use sluice_storage::{Backend, Column, Insertion, Query, Row, StorageError, Transaction};

use super::{Result, sql};
use crate::allowance::AllowanceLedger;
use crate::limits::Limits;
use crate::quota::AccountQuota;
use crate::rate::RateLimit;

const COLUMNS: &str = "account, version, automations, rate_units, rate_per_us, rate_burst, rate_tat_ns, allowance, \
     anchor_at, period_start_at, period_end_at, period_granted, period_used, period_reached, notice_units, notice_per_us, \
     notice_burst, notice_tat_ns, max_waiting, history_us, waiting, wake_at";

/// One that is not on record yet.
const NEW: Insertion<1> =
    Insertion::new("account", [Column::text("account")], "ON CONFLICT (account) DO NOTHING");

/// What changes with use.
const USE: Insertion<10> = Insertion::new(
    "account",
    [
        Column::text("account"),
        Column::int("rate_tat_ns"),
        Column::int("period_start_at"),
        Column::int("period_end_at"),
        Column::int("period_granted"),
        Column::int("period_used"),
        Column::int("period_reached"),
        Column::int("notice_tat_ns"),
        Column::int("waiting"),
        Column::int("wake_at"),
    ],
    "ON CONFLICT (account) DO UPDATE SET rate_tat_ns = excluded.rate_tat_ns, period_start_at = excluded.period_start_at, \
     period_end_at = excluded.period_end_at, period_granted = excluded.period_granted, period_used = excluded.period_used, \
     period_reached = excluded.period_reached, notice_tat_ns = excluded.notice_tat_ns, waiting = excluded.waiting, \
     wake_at = excluded.wake_at",
);

/// What billing says.
const LIMITS: &str = "UPDATE account SET version = $2, automations = $3, rate_units = $4, rate_per_us = $5, rate_burst = $6, \
     allowance = $7, anchor_at = $8, notice_units = $9, notice_per_us = $10, notice_burst = $11, max_waiting = $12, \
     history_us = $13 WHERE account = $1";

/// What is read of a row, and what [`save`] leaves alone: whether an operator paused the account.
const READ: &str = ", paused_at";

/// The accounts of a transaction, locked in key order; those not on record come into being unknown.
pub(super) async fn lock<'a>(
    tx: &Transaction,
    accounts: impl IntoIterator<Item = &'a AccountId>,
) -> Result<BTreeMap<AccountId, AccountQuota>> {
    let mut names: Vec<&AccountId> = accounts.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    let mut found = select(tx, &names).await?;
    let missing: Vec<&AccountId> = names.iter().copied().filter(|name| !found.contains_key(*name)).collect();
    if !missing.is_empty() {
        NEW.run(tx, missing.iter().map(|name| [name.as_str().into()]).collect()).await?;
        found = select(tx, &names).await?;
    }
    Ok(found)
}

/// An account, locked; nothing if it is not on record.
pub(super) async fn lock_known(tx: &Transaction, account: &AccountId) -> Result<Option<AccountQuota>> {
    Ok(select(tx, &[account]).await?.remove(account))
}

/// An account, locked; nothing while another transaction has it, or if it is not on record.
pub(super) async fn try_lock(tx: &Transaction, account: &AccountId) -> Result<Option<AccountQuota>> {
    let skip = match tx.backend() {
        Backend::Sqlite => "",
        Backend::Postgres => " SKIP LOCKED",
    };
    let select = locking(tx.backend(), 1) + skip;
    tx.one(&select, vec![account.as_str().into()]).await?.map(|row| read(&row)).transpose()
}

async fn select(tx: &Transaction, names: &[&AccountId]) -> Result<BTreeMap<AccountId, AccountQuota>> {
    let mut found = BTreeMap::new();
    for piece in chunks(names, tx.backend(), 1) {
        for row in tx.all(&locking(tx.backend(), piece.len()), texts(piece)).await? {
            let quota = read(&row)?;
            found.insert(quota.account.clone(), quota);
        }
    }
    Ok(found)
}

/// Locks that many accounts in key order: their names.
pub(super) fn locking(backend: Backend, names: usize) -> String {
    let (list, lock) = (sql::list(names, 1), sql::locked(backend));
    format!("SELECT {COLUMNS}{READ} FROM account WHERE account IN ({list}) ORDER BY account{lock}")
}

/// One account as it is now, without a lock.
pub(super) async fn get(query: &impl Query, account: &AccountId) -> Result<Option<AccountQuota>> {
    let select = format!("SELECT {COLUMNS}{READ} FROM account WHERE account = $1");
    let row = query.one(&select, vec![account.as_str().into()]).await?;
    row.map(|row| read(&row)).transpose()
}

/// Writes back what use has changed of locked accounts.
pub(super) async fn save<'a>(
    tx: &Transaction,
    quotas: impl IntoIterator<Item = &'a AccountQuota>,
) -> Result<()> {
    USE.run(tx, quotas.into_iter().map(in_use).collect()).await.map(drop)
}

/// Writes back a locked account whose limits have changed.
pub(super) async fn save_limits(tx: &Transaction, quota: &AccountQuota) -> Result<()> {
    tx.execute(LIMITS, limits(quota)).await?;
    save(tx, [quota]).await
}

fn texts(names: &[&AccountId]) -> Vec<Value> {
    names.iter().map(|name| name.as_str().into()).collect()
}

fn read(row: &Row) -> Result<AccountQuota> {
    let account: String = row.get("account")?;
    let account = account.parse().map_err(StorageError::decode)?;
    let wake_at: Option<i64> = row.get("wake_at")?;
    let limits = match row.get::<Option<i64>>("version")? {
        Some(version) => Some(read_limits(row, version)?),
        None => None,
    };
    Ok(AccountQuota {
        account,
        limits,
        waiting: row.get("waiting")?,
        paused_at: row.get::<Option<i64>>("paused_at")?.map(Timestamp::from_micros),
        wake_at: wake_at.map(Timestamp::from_micros),
    })
}

fn read_limits(row: &Row, version: i64) -> Result<Limits> {
    let rate = |units: &str, per: &str, burst: &str| -> Result<Rate> {
        Ok(Rate {
            units: u32::try_from(row.get::<i64>(units)?).map_err(StorageError::decode)?,
            per: Span::from_micros(row.get(per)?),
            burst: u32::try_from(row.get::<i64>(burst)?).map_err(StorageError::decode)?,
        })
    };
    let at = |column: &str| -> Result<Timestamp> { Ok(Timestamp::from_micros(row.get(column)?)) };
    let ledger = AllowanceLedger::stored(row.get("allowance")?, at("anchor_at")?);
    let allowance = AllowanceLedger {
        start: at("period_start_at")?,
        end: at("period_end_at")?,
        granted: row.get("period_granted")?,
        used: row.get("period_used")?,
        reached: row.get("period_reached")?,
        ..ledger
    };
    Ok(Limits {
        version,
        automations: row.get::<i64>("automations")? != 0,
        executions: RateLimit::stored(
            rate("rate_units", "rate_per_us", "rate_burst")?,
            row.get("rate_tat_ns")?,
        ),
        allowance,
        notifications: RateLimit::stored(
            rate("notice_units", "notice_per_us", "notice_burst")?,
            row.get("notice_tat_ns")?,
        ),
        max_waiting: row.get("max_waiting")?,
        history: Span::from_micros(row.get("history_us")?),
    })
}

fn in_use(quota: &AccountQuota) -> [Value; 10] {
    let limits = quota.limits.as_ref();
    let of = |field: fn(&Limits) -> i64| Value::from(limits.map_or(0, field));
    [
        quota.account.as_str().into(),
        of(|limits| limits.executions.tat()),
        of(|limits| limits.allowance.start.as_micros()),
        of(|limits| limits.allowance.end.as_micros()),
        of(|limits| limits.allowance.granted),
        of(|limits| limits.allowance.used),
        of(|limits| limits.allowance.reached),
        of(|limits| limits.notifications.tat()),
        quota.waiting.into(),
        quota.wake_at.map(Timestamp::as_micros).into(),
    ]
}

fn limits(quota: &AccountQuota) -> Vec<Value> {
    let limits = quota.limits.as_ref();
    let nothing = Rate { units: 0, per: Span::ZERO, burst: 0 };
    let rate = |of: fn(&Limits) -> &RateLimit| {
        let rate = limits.map_or(nothing, |limits| of(limits).rate());
        [i64::from(rate.units), rate.per.as_micros(), i64::from(rate.burst)].map(Value::from)
    };
    let ledger = limits.map(|limits| limits.allowance);
    let mut values: Vec<Value> = vec![
        quota.account.as_str().into(),
        limits.map(|limits| limits.version).into(),
        i64::from(limits.is_some_and(|limits| limits.automations)).into(),
    ];
    values.extend(rate(|limits| &limits.executions));
    values.push(ledger.filter(|ledger| !ledger.is_unlimited()).map(|ledger| ledger.promised.amount).into());
    values.push(ledger.map_or(0, |ledger| ledger.promised.anchor.as_micros()).into());
    values.extend(rate(|limits| &limits.notifications));
    values.push(limits.map_or(0, |limits| limits.max_waiting).into());
    values.push(limits.map_or(0, |limits| limits.history.as_micros()).into());
    values
}
