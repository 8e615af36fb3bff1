//! Pieces of SQL that both backends read, and the list of hot statements whose plans a test looks at.

use sea_orm::Value;
use sluice_domain::{AccountId, AutomationId, ExecutionId, Timestamp, WebhookId};
use sluice_storage::Backend;

use super::{accounts, claim, endings, gates, lanes, pending, receipts};
use crate::turn::Turn;

/// `$start, $start+1, …`: the inside of an `IN (…)` of this length.
pub(super) fn list(length: usize, start: usize) -> String {
    let mut text = String::with_capacity(length * 5);
    for at in start..start + length {
        if at > start {
            text.push(',');
        }
        text.push('$');
        text.push_str(&at.to_string());
    }
    text
}

/// What makes a `SELECT` hold its rows until the end of the transaction; on SQLite the transaction holds everything already.
pub(super) const fn locked(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => "",
        Backend::Postgres => " FOR UPDATE",
    }
}

/// Keys as parameters.
pub(super) fn keys(seqs: &[i64]) -> Vec<Value> {
    seqs.iter().map(|seq| Value::from(*seq)).collect()
}

/// The oldest ready work of an account and turn: `account, turn, limit`.
///
/// Where much of the table is one account's, PostgreSQL would walk the primary key, everybody else's older work included. Bounds
/// that are rows leave the account and the turn in the order asked for, and only the index has that one.
pub(super) fn heads(backend: Backend, columns: &str) -> String {
    let (of, order) = match backend {
        Backend::Sqlite => ("account = $1 AND turn = $2", "seq"),
        Backend::Postgres => {
            ("(account, turn) >= ($1, $2) AND (account, turn) <= ($1, $2)", "account, turn, seq")
        }
    };
    format!(
        "SELECT {columns} FROM pending WHERE {of} AND token IS NULL AND due_at = 0 ORDER BY {order} LIMIT $3"
    )
}

/// The same of one lane, for use within a `UNION ALL`.
pub(super) fn lane_heads(backend: Backend, lane: i64, turn: i64, limit: usize) -> String {
    let (of, order) = match backend {
        Backend::Sqlite => (format!("lane = {lane} AND turn = {turn} AND due_at = 0"), "seq"),
        Backend::Postgres => {
            let (columns, values) = ("(lane, turn, due_at)", format!("({lane}, {turn}, 0)"));
            (format!("{columns} >= {values} AND {columns} <= {values}"), "lane, turn, due_at, seq")
        }
    };
    format!(
        "SELECT seq FROM (SELECT seq FROM pending WHERE {of} AND token IS NULL ORDER BY {order} LIMIT {limit}) AS lane_{lane}"
    )
}

/// What stands between the lanes of one statement.
pub(super) const TOGETHER: &str = " UNION ALL ";

/// What is due of an account, oldest first: `account, now, limit`.
pub(super) const PROMOTE: &str = "UPDATE pending SET due_at = 0 WHERE seq IN (\
     SELECT seq FROM pending WHERE account = $1 AND token IS NULL AND due_at > 0 AND due_at <= $2 ORDER BY due_at LIMIT $3)";

/// When the next of an account is due: `account`.
pub(super) const NEXT_DUE: &str =
    "SELECT due_at FROM pending WHERE account = $1 AND token IS NULL AND due_at > 0 ORDER BY due_at LIMIT 1";

/// Accounts with something to do, the longest waiting first: `now, limit`.
pub(super) const DUE_ACCOUNTS: &str =
    "SELECT account FROM account WHERE wake_at IS NOT NULL AND wake_at <= $1 ORDER BY wake_at LIMIT $2";

/// The next time any account has something to do.
pub(super) const NEXT_WAKE: &str =
    "SELECT wake_at FROM account WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT 1";

/// Claims whose lease is over: `now, limit`.
pub(super) const EXPIRED: &str = "SELECT seq, account FROM pending \
     WHERE token IS NOT NULL AND lease_until <= $1 ORDER BY lease_until LIMIT $2";

/// An account's executions, newest first, after a key: `account, id, limit`.
pub(super) const PAGE: &str = "SELECT seq, id, automation, automation_version, generation, event, traceparent, \
     accepted_at, plan FROM execution WHERE account = $1 AND id < $2 ORDER BY id DESC LIMIT $3";

/// One execution's key: `account, id`.
pub(super) const SEQ_OF: &str = "SELECT seq FROM execution WHERE account = $1 AND id = $2";

/// What waits of an automation up to a generation: `account, automation, generation, limit`.
pub(super) const REACHED: &str = "SELECT p.seq FROM lane l JOIN pending p ON p.lane = l.lane AND p.token IS NULL \
     WHERE l.account = $1 AND l.automation = $2 AND l.generation <= $3 LIMIT $4";

/// An account's executions in order of acceptance, between two keys: `account, after, before, limit`.
pub(super) const OLDEST: &str =
    "SELECT seq, id FROM execution WHERE account = $1 AND id > $2 AND id < $3 ORDER BY id LIMIT $4";

/// The oldest receipts: `limit`.
pub(super) const OLDEST_RECEIPTS: &str = "SELECT receipt, at FROM receipt ORDER BY receipt LIMIT $1";

/// Keys of rows that exist, for the parameters of [`hot_statements`].
#[derive(Debug, Clone)]
pub struct Probe {
    /// An account.
    pub account: AccountId,
    /// An event of it.
    pub event: String,
    /// An automation of it.
    pub automation: AutomationId,
    /// A webhook of it.
    pub webhook: WebhookId,
    /// An execution of it.
    pub execution: ExecutionId,
    /// Places of executions.
    pub seqs: Vec<i64>,
    /// Lanes of the account.
    pub lanes: Vec<i64>,
    /// The time.
    pub now: Timestamp,
}

/// The statements that acceptance, claims, reports and pages run, by name, with parameters: for the suite that looks at their plans.
pub fn hot_statements(backend: Backend, probe: &Probe) -> Vec<(&'static str, String, Vec<Value>)> {
    let account = || Value::from(probe.account.as_str());
    let now = || Value::from(probe.now.as_micros());
    let limit = || Value::from(100_i64);
    let turn = || Value::from(Turn::Execution.code());
    let id = || Value::from(probe.execution.to_bytes().to_vec());
    let automation = || Value::from(probe.automation.to_string());
    let first = || Value::from(probe.seqs.first().copied().unwrap_or(0));
    let (seqs, many) = (|| keys(&probe.seqs), probe.seqs.len());
    let head = |lane: &i64| lane_heads(backend, *lane, Turn::Execution.code(), 100);
    let lane_heads = probe.lanes.iter().map(head).collect::<Vec<_>>().join(TOGETHER);
    let lane = vec![account(), automation(), 1_i64.into(), probe.webhook.to_string().into()];
    let marking = [vec![1_i64.into(), now(), now()], seqs()].concat();
    let row = [vec![first(), account()], vec![1_i64.into(); 13]].concat();
    vec![
        ("lock accounts", accounts::locking(backend, 1), vec![account()]),
        ("closed gates", gates::selecting(1), vec![account()]),
        ("receipt of an event", receipts::ONE.into(), vec![account(), probe.event.as_str().into()]),
        ("promote what is due", PROMOTE.into(), vec![account(), now(), limit()]),
        ("heads of an account", heads(backend, "seq"), vec![account(), turn(), limit()]),
        ("lanes of an account", lanes::ALL.into(), vec![account()]),
        ("number of a lane", lanes::ONE.into(), lane),
        ("heads of lanes", lane_heads, vec![]),
        ("mark as claimed", claim::marking(many), marking),
        ("load what was claimed", claim::loading(many), seqs()),
        ("next due of an account", NEXT_DUE.into(), vec![account()]),
        ("accounts that are due", DUE_ACCOUNTS.into(), vec![now(), limit()]),
        ("next wake", NEXT_WAKE.into(), vec![]),
        ("pending by key", pending::selecting(many, pending::held(backend)), seqs()),
        ("update pending", pending::UPDATE.into(), row),
        ("delete pending", pending::deleting(many), seqs()),
        ("expired leases", EXPIRED.into(), vec![now(), limit()]),
        ("reached by a marker", REACHED.into(), vec![account(), automation(), 1_i64.into(), limit()]),
        ("place of an execution", SEQ_OF.into(), vec![account(), id()]),
        ("page of executions", PAGE.into(), vec![account(), id(), limit()]),
        ("oldest executions", OLDEST.into(), vec![account(), Vec::<u8>::new().into(), id(), limit()]),
        ("oldest receipts", OLDEST_RECEIPTS.into(), vec![limit()]),
        ("ends", endings::selecting(many), seqs()),
        ("attempts of one", endings::selecting_attempts(), vec![first()]),
        ("attempts counted", endings::counting_attempts(many), seqs()),
        ("last attempt of a delivery", endings::LAST_ATTEMPT.into(), vec![first(), 0_i64.into()]),
    ]
}
