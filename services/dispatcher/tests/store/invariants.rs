//! What must hold of the tables after every transaction, read back by plain SQL.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use serde_json::Value as Json;
use sluice_storage::{Query, Row};

use super::makers::House;

/// Fails with every broken invariant at once.
pub(crate) async fn check(house: &House) {
    let mut broken = Vec::new();
    let now = house.now().as_micros();
    for (what, sql) in NONE_SUCH {
        let rows = rows(house, sql).await;
        broken.extend(rows.iter().map(|row| format!("{what}: {}", row.at::<i64>(0).unwrap())));
    }
    if !house.prunes.load(Ordering::Relaxed) {
        receipts(house, &mut broken).await;
    }
    lanes(house, &mut broken).await;
    wakes(house, now, &mut broken).await;
    super::changes::mirror(house, &mut broken).await;
    assert!(broken.is_empty(), "{} broken invariants:\n{}", broken.len(), broken.join("\n"));
}

/// Statements that must find nothing; the first column tells where.
const NONE_SUCH: &[(&str, &str)] = &[
    (
        "an execution neither waits nor ended, seq",
        "SELECT e.seq FROM execution e WHERE NOT EXISTS (SELECT 1 FROM pending p WHERE p.seq = e.seq) \
         AND NOT EXISTS (SELECT 1 FROM ending x WHERE x.seq = e.seq)",
    ),
    (
        "pending without its execution, seq",
        "SELECT p.seq FROM pending p LEFT JOIN execution e ON e.seq = p.seq AND e.account = p.account WHERE e.seq IS NULL",
    ),
    (
        "pending does not know its ends, seq",
        "SELECT p.seq FROM pending p WHERE p.ends <> (SELECT count(*) FROM ending x WHERE x.seq = p.seq)",
    ),
    (
        "ends are not numbered 1, 2, …, seq",
        "SELECT seq FROM ending GROUP BY seq HAVING max(number) <> count(*) OR min(number) <> 1",
    ),
    (
        "attempts are not numbered 1, 2, …, seq",
        "SELECT seq FROM attempt GROUP BY seq, step HAVING max(number) <> count(*) OR min(number) <> 1",
    ),
    (
        "the next attempt's number does not follow, seq",
        "SELECT p.seq FROM pending p WHERE p.attempt <> 1 + (SELECT count(*) FROM attempt a WHERE a.seq = p.seq AND a.step = p.step)",
    ),
    (
        "an attempt of a later delivery, seq",
        "SELECT p.seq FROM pending p JOIN attempt a ON a.seq = p.seq AND a.step > p.step",
    ),
    (
        "an attempt without its execution, seq",
        "SELECT a.seq FROM attempt a WHERE NOT EXISTS (SELECT 1 FROM execution e WHERE e.seq = a.seq)",
    ),
    (
        "an attempt that began after an end and before it was opened again, seq",
        "SELECT a.seq FROM attempt a JOIN ending x ON x.seq = a.seq AND a.started_at > x.at \
         WHERE NOT EXISTS (SELECT 1 FROM ending y WHERE y.seq = a.seq AND y.number > x.number) \
         AND NOT EXISTS (SELECT 1 FROM pending p WHERE p.seq = a.seq)",
    ),
    (
        "an attempt of what never started, seq",
        "SELECT a.seq FROM attempt a JOIN pending p ON p.seq = a.seq WHERE p.turn <> 0",
    ),
    (
        "a turn that is not the execution's, seq",
        "SELECT p.seq FROM pending p JOIN execution e ON e.seq = p.seq \
         WHERE (p.turn = 1 AND e.automation = '') OR (p.turn = 2 AND e.automation <> '')",
    ),
    (
        "a lane that is not the execution's, seq",
        "SELECT p.seq FROM pending p JOIN execution e ON e.seq = p.seq LEFT JOIN lane l ON l.lane = p.lane \
         AND l.account = e.account AND l.automation = e.automation AND l.generation = e.generation WHERE l.lane IS NULL",
    ),
    (
        "an account's waiting is not what waits; it is",
        "SELECT (SELECT count(*) FROM pending p WHERE p.account = a.account AND p.token IS NULL) FROM account a \
         WHERE a.waiting <> (SELECT count(*) FROM pending p WHERE p.account = a.account AND p.token IS NULL)",
    ),
    (
        "work of an account that has no row, seq",
        "SELECT p.seq FROM pending p WHERE NOT EXISTS (SELECT 1 FROM account a WHERE a.account = p.account)",
    ),
    (
        "in line and not there, seq",
        "SELECT p.seq FROM pending p WHERE p.due_at = 9223372036854775807 AND NOT EXISTS (SELECT 1 FROM line l \
         WHERE l.seq = p.seq AND l.place IS NOT NULL)",
    ),
    (
        "in a line that somebody else stands before, or called with somebody before it, seq",
        "SELECT l.seq FROM line l LEFT JOIN pending p ON p.seq = l.seq WHERE l.place IS NOT NULL AND \
         (p.seq IS NULL OR (p.due_at = 9223372036854775807) <> EXISTS (SELECT 1 FROM line f WHERE f.account = l.account \
         AND f.webhook = l.webhook AND f.record = l.record AND f.place < l.place))",
    ),
    (
        "on the way to a line and nothing waits, seq",
        "SELECT l.seq FROM line l LEFT JOIN pending p ON p.seq = l.seq WHERE l.place IS NULL AND (p.due_at IS NULL OR p.due_at = 0)",
    ),
    (
        "waiting work that a swept marker reaches, seq",
        "SELECT p.seq FROM pending p JOIN lane l ON l.lane = p.lane JOIN gate g ON g.account = l.account \
         AND g.kind = 'AUTOMATION' AND g.subject = l.automation AND g.closed = 1 AND g.generation >= l.generation \
         WHERE p.token IS NULL AND g.unswept = 0",
    ),
    (
        "work that waits for a webhook whose disabling is swept, seq",
        "SELECT p.seq FROM pending p JOIN lane l ON l.lane = p.lane JOIN breaker b ON b.account = l.account \
         AND b.webhook = l.webhook AND b.state = 'DISABLED' AND b.unswept = 0 WHERE p.token IS NULL",
    ),
    (
        "a webhook that works and has a breaker on record, failures",
        "SELECT failures FROM breaker WHERE failures = 0",
    ),
];

async fn rows(house: &House, sql: &str) -> Vec<Row> {
    house.db.database().read().all(sql, vec![]).await.unwrap()
}

/// Receipts name the executions there are, each once. What is older than a day may have been pruned, each in its own time.
async fn receipts(house: &House, broken: &mut Vec<String>) {
    let since = house.now().minus(sluice_domain::Span::from_secs(86_400)).as_micros();
    let receipts = format!("SELECT account, executions FROM receipt WHERE at > {since}");
    let executions = format!("SELECT account, id FROM execution WHERE accepted_at > {since}");
    let mut named: HashSet<(String, Vec<u8>)> = HashSet::new();
    for row in rows(house, &receipts).await {
        let account: String = row.at(0).unwrap();
        for id in row.at::<Vec<u8>>(1).unwrap().chunks(16) {
            if !named.insert((account.clone(), id.to_vec())) {
                broken.push(format!("two receipts of {account} name {id:02x?}"));
            }
        }
    }
    let mut made = HashSet::new();
    for row in rows(house, &executions).await {
        made.insert((row.at::<String>(0).unwrap(), row.at::<Vec<u8>>(1).unwrap()));
    }
    for (account, id) in named.symmetric_difference(&made) {
        broken.push(format!("an execution and no receipt, or the other way round, in {account}: {id:02x?}"));
    }
}

/// Waiting and claimed work stands in the lane of the delivery that comes next.
async fn lanes(house: &House, broken: &mut Vec<String>) {
    let select = "SELECT p.seq, p.step, e.plan, l.webhook FROM pending p JOIN execution e ON e.seq = p.seq \
         JOIN lane l ON l.lane = p.lane";
    for row in rows(house, select).await {
        let (seq, step): (i64, i64) = (row.at(0).unwrap(), row.at(1).unwrap());
        let plan: Json = serde_json::from_str(&row.at::<String>(2).unwrap()).unwrap();
        let meant = &plan[usize::try_from(step).unwrap()]["webhook"];
        if meant.as_str() != Some(&row.at::<String>(3).unwrap()) {
            broken.push(format!("seq {seq} waits for another webhook than {meant}"));
        }
    }
}

/// Nobody sleeps longer than until their next work could start.
async fn wakes(house: &House, now: i64, broken: &mut Vec<String>) {
    let select = "SELECT account, version, automations, rate_units, rate_per_us, rate_burst, rate_tat_ns, allowance, \
         period_end_at, period_granted, period_used, notice_units, notice_per_us, notice_burst, notice_tat_ns, paused_at, wake_at FROM account";
    let mut could_start: HashMap<String, i64> = HashMap::new();
    let open = "SELECT p.account, p.turn, min(CASE WHEN b.until > p.due_at THEN b.until ELSE p.due_at END) FROM pending p \
         JOIN lane l ON l.lane = p.lane \
         LEFT JOIN breaker b ON b.account = p.account AND b.webhook = l.webhook AND b.state <> 'CLOSED' \
         WHERE p.token IS NULL AND (b.state IS NULL OR b.until IS NOT NULL) \
         AND p.due_at < 9223372036854775807 AND NOT EXISTS (SELECT 1 FROM gate g WHERE g.account = p.account AND g.closed = 1 AND ((g.kind = 'WEBHOOK' AND \
         g.subject = l.webhook) OR (g.kind = 'AUTOMATION' AND g.subject = l.automation AND g.generation >= l.generation))) \
         GROUP BY p.account, p.turn";
    let accounts: HashMap<String, Row> = rows(house, select)
        .await
        .into_iter()
        .map(|row| (row.get::<String>("account").unwrap(), row))
        .collect();
    for row in rows(house, open).await {
        let account: String = row.at(0).unwrap();
        let Some(limits) = accounts.get(&account) else { continue };
        if let Some(free) = free_at(limits, row.at(1).unwrap(), now) {
            let start = free.max(row.at(2).unwrap());
            could_start.entry(account).and_modify(|at| *at = start.min(*at)).or_insert(start);
        }
    }
    for (account, start) in could_start {
        let wake_at: Option<i64> = accounts[&account].get("wake_at").unwrap();
        if wake_at.is_none_or(|wake_at| wake_at > start) {
            broken.push(format!("{account} sleeps until {wake_at:?} and could start something at {start}"));
        }
    }
}

/// When the next unit of this turn comes free, in microseconds; `None` when only somebody from outside can change that.
fn free_at(row: &Row, turn: i64, now: i64) -> Option<i64> {
    let of = |column: &str| row.get::<i64>(column).unwrap();
    let by_rate = |units: &str, per: &str, burst: &str, tat: &str| {
        let (units, burst) = (of(units), of(burst));
        (units > 0 && burst > 0).then(|| {
            let cell = (of(per) * 1_000 + units - 1) / units;
            let earliest = of(tat) - cell * (burst - 1);
            ((earliest + 999) / 1_000).max(now)
        })
    };
    if row.get::<Option<i64>>("paused_at").unwrap().is_some() {
        return None;
    }
    if turn == 0 {
        return Some(now);
    }
    row.get::<Option<i64>>("version").unwrap()?;
    if turn == 2 {
        return by_rate("notice_units", "notice_per_us", "notice_burst", "notice_tat_ns");
    }
    if of("automations") == 0 {
        return None;
    }
    let free = by_rate("rate_units", "rate_per_us", "rate_burst", "rate_tat_ns")?;
    let Some(amount) = row.get::<Option<i64>>("allowance").unwrap() else { return Some(free) };
    let left = amount + of("period_granted") - of("period_used");
    match (left > 0, amount > 0) {
        (true, _) => Some(free),
        (false, true) => Some(free.max(of("period_end_at"))),
        (false, false) => None,
    }
}
