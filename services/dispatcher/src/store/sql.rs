//! Pieces of SQL that both backends read.

use sea_orm::Value;
use sluice_domain::Timestamp;
use sluice_storage::{Backend, Query, Row, StorageError, Transaction, rows};

use super::Result;
use crate::turn::Turn;

/// `$start, $start+1, …`: the inside of an `IN (…)` of this length; for keys that are numbers see [`among`].
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

/// What follows a column that is to be one of so many keys: on PostgreSQL one array whatever their number, so that the statement
/// stays prepared.
pub(super) fn among(backend: Backend, keys: usize, start: usize) -> String {
    match backend {
        Backend::Sqlite => format!("IN ({})", list(keys, start)),
        Backend::Postgres => format!("= ANY(${start})"),
    }
}

/// The parameters of [`among`].
pub(super) fn keys(backend: Backend, seqs: &[i64]) -> Vec<Value> {
    match backend {
        Backend::Sqlite => seqs.iter().map(|seq| Value::from(*seq)).collect(),
        Backend::Postgres => vec![Value::from(seqs.to_vec())],
    }
}

/// Keys in pieces for a statement each.
pub(super) fn pieces(seqs: &[i64], backend: Backend) -> impl Iterator<Item = &[i64]> {
    let mut rest = seqs;
    let lengths: Vec<usize> = match backend {
        Backend::Sqlite => rows::pieces(seqs.len(), backend, 1).collect(),
        Backend::Postgres => vec![seqs.len(); usize::from(!seqs.is_empty())],
    };
    lengths.into_iter().map(move |length| {
        let (piece, tail) = rest.split_at(length);
        rest = tail;
        piece
    })
}

/// The rows of a statement about these keys, a piece of them after another: `statement` words it for so many.
pub(super) async fn all_of(
    query: &impl Query,
    seqs: &[i64],
    statement: impl Fn(Backend, usize) -> String,
) -> Result<Vec<Row>> {
    let backend = query.backend();
    let mut found = Vec::new();
    for piece in pieces(seqs, backend) {
        found.extend(query.all(&statement(backend, piece.len()), keys(backend, piece)).await?);
    }
    Ok(found)
}

/// Executes a statement about these keys likewise, its parameters `before` theirs. Says how many rows it changed.
pub(super) async fn execute_of(
    tx: &Transaction,
    before: &[Value],
    seqs: &[i64],
    statement: impl Fn(Backend, usize) -> String,
) -> Result<u64> {
    let backend = tx.backend();
    let mut changed = 0;
    for piece in pieces(seqs, backend) {
        let mut values = before.to_vec();
        values.extend(keys(backend, piece));
        changed += tx.execute(&statement(backend, piece.len()), values).await?;
    }
    Ok(changed)
}

/// What makes a `SELECT` hold its rows until the end of the transaction; on SQLite the transaction holds everything already.
pub(super) const fn locked(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => "",
        Backend::Postgres => " FOR UPDATE",
    }
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

/// The same of one lane, with the lane, for use within a `UNION ALL`.
pub(super) fn lane_heads(backend: Backend, lane: i64, turn: i64, limit: usize) -> String {
    let (of, order) = match backend {
        Backend::Sqlite => (format!("lane = {lane} AND turn = {turn} AND due_at = 0"), "seq"),
        Backend::Postgres => {
            let (columns, values) = ("(lane, turn, due_at)", format!("({lane}, {turn}, 0)"));
            (format!("{columns} >= {values} AND {columns} <= {values}"), "lane, turn, due_at, seq")
        }
    };
    format!(
        "SELECT seq, lane FROM (SELECT seq, lane FROM pending WHERE {of} AND token IS NULL ORDER BY {order} LIMIT {limit}) AS lane_{lane}"
    )
}

/// The first column of the first row of a statement without parameters, and the time: on PostgreSQL in one go.
pub(super) async fn with_now(query: &impl Query, select: &str) -> Result<(Option<i64>, Timestamp)> {
    match query.backend() {
        Backend::Sqlite => {
            let row = query.one(select, vec![]).await?;
            Ok((row.map(|row| row.at(0)).transpose()?, query.now().await?))
        }
        Backend::Postgres => {
            let row = query.one(&format!("SELECT ({select}), sluice_now()"), vec![]).await?;
            let row = row.ok_or_else(|| StorageError::decode("no time"))?;
            Ok((row.at(0)?, Timestamp::from_micros(row.at(1)?)))
        }
    }
}

/// What stands between the lanes of one statement.
pub(super) const TOGETHER: &str = " UNION ALL ";

/// What is due of an account, oldest first: `account, now, limit`.
pub(super) const PROMOTE: &str = "UPDATE pending SET due_at = 0 WHERE seq IN (\
     SELECT seq FROM pending WHERE account = $1 AND token IS NULL AND due_at > 0 AND due_at <= $2 ORDER BY due_at LIMIT $3) RETURNING seq";

/// When the next of an account is due: `account`.
pub(super) const NEXT_DUE: &str =
    "SELECT due_at FROM pending WHERE account = $1 AND token IS NULL AND due_at > 0 ORDER BY due_at LIMIT 1";

/// Accounts with something to do, the longest waiting first: `now, limit`.
pub(super) const DUE_ACCOUNTS: &str =
    "SELECT account FROM account WHERE wake_at IS NOT NULL AND wake_at <= $1 ORDER BY wake_at LIMIT $2";

/// The next time any account has something to do.
pub(super) const NEXT_WAKE: &str =
    "SELECT wake_at FROM account WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT 1";

/// When the first lease is over.
pub(super) const NEXT_LEASE: &str =
    "SELECT lease_until FROM pending WHERE token IS NOT NULL ORDER BY lease_until LIMIT 1";

/// Claims whose lease is over: `now, limit`.
pub(super) const EXPIRED: &str = "SELECT seq, account FROM pending \
     WHERE token IS NOT NULL AND lease_until <= $1 ORDER BY lease_until LIMIT $2";

/// What is read of an execution where its bodies are not wanted.
macro_rules! without_bodies {
    () => {
        "seq, id, automation, automation_version, generation, event, traceparent, accepted_at, plan"
    };
}

/// An account's executions, newest first, before an id and from one on: `account, before, from, limit`.
pub(super) const PAGE: &str = concat!(
    "SELECT ",
    without_bodies!(),
    " FROM execution WHERE account = $1 AND id < $2 AND id >= $3 ORDER BY id DESC LIMIT $4"
);

/// That many executions without their bodies: keys. Not by account, too: SQLite would take that one's index and walk all it has.
pub(super) fn without_bodies(backend: Backend, executions: usize) -> String {
    let among = among(backend, executions, 1);
    format!(concat!("SELECT ", without_bodies!(), ", account FROM execution WHERE seq {}"), among)
}

/// How many bits of a place lie within one cut of the indexes that are cut, as the schema has it.
pub(super) const CUT: i64 = 9;

/// What executions are found by, and only eight bytes of it are indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digest {
    /// The trace.
    Trace,
    /// The record.
    Record,
}

/// The places that a digest stands for in that many cuts of its index, newest first, before a place: `digest, before, limit`, cuts.
pub(super) fn digested(backend: Backend, of: Digest, cuts: usize) -> String {
    let column = match of {
        Digest::Trace => "trace",
        Digest::Record => "record",
    };
    let among = among(backend, cuts, 4);
    format!(
        "SELECT seq FROM execution WHERE (seq >> 9) {among} AND {column} = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3"
    )
}

/// What ended so, and not well, latest end first, before an end and from a time on: `account, state, at, seq, from, limit`.
pub(super) const ENDED: &str = "SELECT seq, at FROM ending WHERE account = $1 AND state = $2 AND (at, seq) < ($3, $4) AND at >= $5 \
     ORDER BY at DESC, seq DESC LIMIT $6";

/// One of the orders that what is not over stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    /// Ready, of a turn.
    Ready(Turn),
    /// Due later, or not made ready yet.
    Later,
    /// An attempt is under way.
    Claimed,
}

/// What is not over of an account in some orders, newest first, before a place: `account, before, limit`.
pub(super) fn unfinished(backend: Backend, streams: &[Stream]) -> String {
    let each: Vec<String> = streams.iter().map(|stream| stream.select(backend)).collect();
    format!("SELECT seq FROM ({}) AS unfinished ORDER BY seq DESC LIMIT $3", each.join(TOGETHER))
}

impl Stream {
    fn select(self, backend: Backend) -> String {
        let (from, of, order) = match (self, backend) {
            (Self::Ready(turn), Backend::Sqlite) => {
                let turn = turn.code();
                let of =
                    format!("account = $1 AND turn = {turn} AND seq < $2 AND token IS NULL AND due_at = 0");
                ("pending", of, "seq DESC")
            }
            (Self::Ready(turn), Backend::Postgres) => {
                let turn = turn.code();
                let bounds =
                    format!("(account, turn) >= ($1, {turn}) AND (account, turn, seq) < ($1, {turn}, $2)");
                let of = format!("{bounds} AND token IS NULL AND due_at = 0");
                ("pending", of, "account DESC, turn DESC, seq DESC")
            }
            (Self::Later, Backend::Sqlite) => {
                let of = "account = $1 AND seq < $2 AND token IS NULL AND due_at <> 0".to_owned();
                ("pending INDEXED BY pending_later", of, "seq DESC")
            }
            (Self::Later, Backend::Postgres) => {
                let of = "account >= $1 AND (account, seq) < ($1, $2) AND token IS NULL AND due_at <> 0";
                ("pending", of.to_owned(), "account DESC, seq DESC")
            }
            // All that is claimed is little: as much as the processes have under way.
            (Self::Claimed, Backend::Sqlite) => {
                let of = "account = $1 AND seq < $2 AND token IS NOT NULL".to_owned();
                ("pending INDEXED BY pending_lease", of, "seq DESC")
            }
            (Self::Claimed, Backend::Postgres) => {
                let of = "account = $1 AND seq < $2 AND token IS NOT NULL AND lease_until > 0".to_owned();
                ("pending", of, "seq + 0 DESC")
            }
        };
        format!("SELECT seq FROM (SELECT seq FROM {from} WHERE {of} ORDER BY {order} LIMIT $3) AS stream")
    }
}

/// The first and the last place that is kept.
pub(super) const ENDS_OF_EXECUTIONS: &str =
    "SELECT (SELECT min(seq) FROM execution), (SELECT max(seq) FROM execution)";

/// One execution's key: `account, id`.
pub(super) const SEQ_OF: &str = "SELECT seq FROM execution WHERE account = $1 AND id = $2";

/// What waits of an automation up to a generation: `account, automation, generation, limit`.
pub(super) const REACHED: &str = "SELECT p.seq FROM lane l JOIN pending p ON p.lane = l.lane AND p.token IS NULL \
     WHERE l.account = $1 AND l.automation = $2 AND l.generation <= $3 LIMIT $4";

/// What waits for a webhook: `account, webhook, limit`.
pub(super) const WAITING_FOR: &str = "SELECT p.seq FROM lane l JOIN pending p ON p.lane = l.lane AND p.token IS NULL \
     WHERE l.account = $1 AND l.webhook = $2 LIMIT $3";

/// The oldest receipts: `limit`.
pub(super) const OLDEST_RECEIPTS: &str = "SELECT receipt, at FROM receipt ORDER BY receipt LIMIT $1";

/// The shortest history of the next accounts, and the last of these: `after, limit`.
pub(super) const SHORTEST_HISTORY: &str = "SELECT min(history_us), max(account) FROM (SELECT account, history_us FROM account \
     WHERE account > $1 AND version IS NOT NULL ORDER BY account LIMIT $2) AS known";

/// How long that many accounts keep what ended, those that are known: their names.
pub(super) fn histories(accounts: usize) -> String {
    let list = list(accounts, 1);
    format!("SELECT account, history_us FROM account WHERE account IN ({list}) AND version IS NOT NULL")
}

/// A shelf that is due: `now`.
pub(super) const SHELF_DUE: &str = "SELECT shelf FROM shelf WHERE look_at <= $1 ORDER BY look_at LIMIT 1";

/// The last shelf that was looked through.
pub(super) const LAST_SHELF: &str = "SELECT max(shelf) FROM shelf";

/// Takes a shelf that is due, or was never looked through, until a time: `shelf, until, now`.
pub(super) const TAKE_SHELF: &str = "INSERT INTO shelf (shelf, look_at) VALUES ($1, $2) \
     ON CONFLICT (shelf) DO UPDATE SET look_at = excluded.look_at WHERE shelf.look_at <= $3";

/// The first execution from a place on: `place`.
pub(super) const FIRST_PLACE: &str =
    "SELECT seq, accepted_at FROM execution WHERE seq >= $1 ORDER BY seq LIMIT 1";

/// The ends of what lies between two places, of each execution in order of number: `from, to`.
pub(super) const ENDED_PLACES: &str =
    "SELECT seq, at FROM ending WHERE seq >= $1 AND seq < $2 ORDER BY seq, number";

/// Whose that many executions are: keys.
pub(super) fn owners(backend: Backend, executions: usize) -> String {
    format!("SELECT seq, account FROM execution WHERE seq {}", among(backend, executions, 1))
}
