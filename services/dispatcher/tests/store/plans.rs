//! The plans of the hot statements at 100,000 rows: each uses the index it was written for, none scans a large table or sorts
//! what an index has in order. The plans are printed.

use std::fmt::Write as _;

use sluice_dispatcher::store::{Probe, hot_statements};
use sluice_domain::ExecutionId;
use sluice_storage::{Backend, Query, Value};

use super::makers::{House, account, automation, webhook};

const ROWS: i64 = 100_000;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Each statement with what its plan must name on SQLite and on PostgreSQL; and whether its order must come out of an index where
/// there is much to put in order.
const MEANT: &[(&str, &str, &str, bool)] = &[
    ("lock accounts", "account USING INDEX sqlite_autoindex_account_1 (account=?)", "account_pkey", false),
    ("rates of receivers", "receiver USING PRIMARY KEY (account=?)", "receiver_pkey", true),
    ("closed gates", "gate USING PRIMARY KEY (account=?)", "gate_pkey", false),
    (
        "receipt of an event",
        "receipt USING INDEX sqlite_autoindex_receipt_1 (account=? AND event=?)",
        "receipt_account_event_key",
        false,
    ),
    ("promote what is due", "pending_due (account=? AND due_at>? AND due_at<?)", "pending_due", true),
    ("heads of an account", "pending_turn (account=? AND turn=?)", "pending_turn", true),
    (
        "lanes of an account",
        "lane USING COVERING INDEX sqlite_autoindex_lane_1 (account=?)",
        "lane_account_automation_generation_webhook_key",
        false,
    ),
    (
        "number of a lane",
        "sqlite_autoindex_lane_1 (account=? AND automation=? AND generation=? AND webhook=?)",
        "lane_account_automation_generation_webhook_key",
        false,
    ),
    ("heads of lanes", "pending_lane (lane=? AND turn=? AND due_at=?)", "pending_lane", true),
    ("mark as claimed", "pending USING INTEGER PRIMARY KEY (rowid=?)", "pending_pkey", false),
    ("load what was claimed", "execution USING INTEGER PRIMARY KEY (rowid=?)", "execution_pkey", false),
    ("where claims stand", "pending USING INTEGER PRIMARY KEY (rowid=?)", "pending_pkey", false),
    ("next due of an account", "pending_due (account=? AND due_at>?)", "pending_due", true),
    ("accounts that are due", "account_wake (wake_at>? AND wake_at<?)", "account_wake", true),
    ("next wake", "account_wake", "account_wake", true),
    ("pending by key", "p USING INTEGER PRIMARY KEY (rowid=?)", "pending_pkey", false),
    ("update pending", "pending USING INTEGER PRIMARY KEY (rowid=?)", "pending_pkey", false),
    ("delete pending", "pending USING INTEGER PRIMARY KEY (rowid=?)", "pending_pkey", false),
    ("next lease", "pending_lease", "pending_lease", true),
    ("expired leases", "pending_lease (lease_until<?)", "pending_lease", true),
    ("reached by a marker", "pending_lane (lane=?", "pending_lane", false),
    ("place of an execution", "execution_id (account=? AND id=?)", "execution_id", false),
    ("page of executions", "execution_id (account=? AND id>? AND id<?)", "execution_id", true),
    ("places of a trace", "execution_trace (<expr>=? AND trace=? AND rowid<?)", "execution_trace", false),
    ("places of a record", "execution_record (<expr>=? AND record=? AND rowid<?)", "execution_record", false),
    ("ends that are no success", "ending_account (account=? AND state=?", "ending_account", true),
    ("what is ready", "pending_turn (account=? AND turn=? AND seq<?)", "pending_turn", false),
    ("what is due later", "pending_later (account=? AND seq<?)", "pending_later", false),
    ("what is under way", "SCAN pending USING INDEX pending_lease", "pending_lease", false),
    ("overtake ends", "ending USING PRIMARY KEY (seq=?)", "ending_pkey", false),
    ("executions by place", "execution USING INTEGER PRIMARY KEY (rowid=?)", "execution_pkey", false),
    ("ends of the executions", "SEARCH execution", "execution_pkey", false),
    ("shortest history", "account USING INDEX sqlite_autoindex_account_1 (account>?)", "account_pkey", true),
    ("histories", "account USING INDEX sqlite_autoindex_account_1 (account=?)", "account_pkey", false),
    ("shelf that is due", "shelf_due (look_at<?)", "shelf_due", true),
    ("last shelf", "SEARCH shelf", "shelf_pkey", false),
    ("first from a place on", "execution USING INTEGER PRIMARY KEY (rowid>?)", "execution_pkey", true),
    ("ends of places", "ending USING PRIMARY KEY (seq>? AND seq<?)", "ending_pkey", true),
    ("owners", "execution USING INTEGER PRIMARY KEY (rowid=?)", "execution_pkey", false),
    ("delete executions", "execution USING INTEGER PRIMARY KEY (rowid=?)", "execution_pkey", false),
    ("delete ends", "ending USING PRIMARY KEY (seq=?)", "ending_pkey", false),
    ("delete attempts", "attempt USING PRIMARY KEY (seq=?)", "attempt_pkey", false),
    ("next lanes", "lane USING INTEGER PRIMARY KEY (rowid>?)", "lane_pkey", true),
    ("lanes under way", "pending_lease", "pending_lease", false),
    ("lanes waited in", "pending_lane (lane=?)", "pending_lane", false),
    ("oldest receipts", "SCAN receipt", "receipt_pkey", true),
    ("ends", "ending USING PRIMARY KEY (seq=?)", "ending_pkey", false),
    ("attempts of one", "attempt USING PRIMARY KEY (seq=?)", "attempt_pkey", false),
    ("attempts counted", "attempt USING PRIMARY KEY (seq=?)", "attempt_pkey", false),
    ("attempts told briefly", "attempt USING PRIMARY KEY (seq=?)", "attempt_pkey", false),
    ("newest change", "SEARCH change", "revision", true),
    ("whose changes", "change USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)", "change_pkey", true),
    ("changes of an account", "change USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)", "change_pkey", true),
    ("oldest changes", "SCAN change", "change_pkey", true),
    ("last attempts of deliveries", "attempt USING PRIMARY KEY (seq=?)", "attempt_pkey", false),
    ("ends held", "ending USING PRIMARY KEY (seq=?)", "ending_pkey", false),
    (
        "who stands in a line",
        "line USING COVERING INDEX sqlite_autoindex_line_1 (account=? AND webhook=? AND record=? AND place>?)",
        "line_account_webhook_record_place_key",
        false,
    ),
    ("who comes to a line", "line USING INTEGER PRIMARY KEY (rowid=?)", "line_pkey", false),
    ("who leaves a line", "line USING INTEGER PRIMARY KEY (rowid=?)", "line_pkey", false),
    (
        "whose turn it is",
        "line USING COVERING INDEX sqlite_autoindex_line_1 (account=? AND webhook=? AND record=? AND place>?)",
        "line_account_webhook_record_place_key",
        true,
    ),
];

/// What SQLite calls a scan, and ends with its limit: an index, or the rows by key, in its own order from the first one.
const FROM_ITS_HEAD: &[&str] = &[
    "SCAN account USING INDEX account_wake",
    "SCAN account USING COVERING INDEX account_wake",
    "SCAN pending USING INDEX pending_lease",
    "SCAN receipt",
    "SCAN change",
    // What is under way, which is little.
    "SCAN pending USING INDEX pending_lease",
];

/// Tables of which no plan may read everything, and what stands for them in the statements.
const LARGE: &[&str] = &[
    "account",
    "lane",
    "gate",
    "receipt",
    "execution",
    "pending",
    "attempt",
    "ending",
    "change",
    "line",
    "p",
    "e",
    "l",
];

#[tokio::test]
async fn hot_statements_use_their_index_on_sqlite() {
    let house = House::open(sluice_testkit::sqlite().await).await;
    fill(&house).await;
    let mut faults = Vec::new();
    // A store in the field is not analysed unless somebody asks for it.
    for when in ["not analysed", "analysed"] {
        for (whose, probe) in probes(&house).await {
            for (name, sql, values) in hot_statements(Backend::Sqlite, &probe) {
                let tx = house.db.database().write("test").await.unwrap();
                let rows = tx.all(&format!("EXPLAIN QUERY PLAN {sql}"), values).await.unwrap();
                let plan: Vec<String> = rows.iter().map(|row| row.get("detail").unwrap()).collect();
                faults.extend(judge(Backend::Sqlite, &format!("{name}, {whose}, {when}"), name, &plan));
            }
        }
        run(&house, "ANALYZE").await;
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n\n"));
}

#[tokio::test]
async fn hot_statements_use_their_index_on_postgres() {
    let house = House::open(sluice_testkit::postgres().await).await;
    fill(&house).await;
    let mut faults = Vec::new();
    run(&house, "ANALYZE").await;
    // A prepared statement gets plans of its own for its parameters at first, and one for all of them later.
    for mode in ["force_custom_plan", "force_generic_plan"] {
        for (whose, probe) in probes(&house).await {
            for (name, sql, values) in hot_statements(Backend::Postgres, &probe) {
                let tx = house.db.database().write("test").await.unwrap();
                tx.execute(&format!("SET LOCAL plan_cache_mode = {mode}"), vec![]).await.unwrap();
                tx.execute(&format!("PREPARE hot AS {sql}"), vec![]).await.unwrap();
                let parameters: Vec<String> = values.iter().map(literal).collect();
                let call =
                    if parameters.is_empty() { String::new() } else { format!("({})", parameters.join(",")) };
                let rows = tx.all(&format!("EXPLAIN EXECUTE hot{call}"), vec![]).await.unwrap();
                let plan: Vec<String> = rows.iter().map(|row| row.at(0).unwrap()).collect();
                tx.execute("DEALLOCATE hot", vec![]).await.unwrap();
                faults.extend(judge(Backend::Postgres, &format!("{name}, {whose}, {mode}"), name, &plan));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n\n"));
}

/// What of a plan is not as meant.
fn judge(backend: Backend, title: &str, name: &str, plan: &[String]) -> Vec<String> {
    println!("{backend:?}: {title}\n    {}", plan.join("\n    "));
    let (_, sqlite, postgres, ordered) =
        MEANT.iter().find(|meant| meant.0 == name).unwrap_or_else(|| panic!("what is meant for {name}?"));
    let whole = plan.join("\n");
    let needle = if backend == Backend::Sqlite { sqlite } else { postgres };
    let mut faults = Vec::new();
    if !whole.contains(needle) {
        faults.push(format!("{title} does not use {needle}:\n{whole}"));
    }
    for line in plan {
        let words: Vec<&str> = line.split([' ', '(', ')']).filter(|word| !word.is_empty()).collect();
        let scans = match backend {
            Backend::Sqlite => {
                words[0] == "SCAN" && LARGE.contains(&words[1]) && !FROM_ITS_HEAD.contains(&line.as_str())
            }
            Backend::Postgres => {
                line.contains("Seq Scan on") && words.iter().any(|word| LARGE.contains(word))
            }
        };
        if scans {
            faults.push(format!("{title} reads a whole table:\n{whole}"));
        }
        let sorts = match backend {
            Backend::Sqlite => line.contains("TEMP B-TREE FOR ORDER BY"),
            Backend::Postgres => line.contains("Sort"),
        };
        if *ordered && sorts && !title.contains("small") {
            faults.push(format!("{title} sorts what an index has in order:\n{whole}"));
        }
    }
    faults
}

fn literal(value: &Value) -> String {
    match value {
        Value::BigInt(Some(number)) => number.to_string(),
        Value::String(Some(text)) => format!("'{text}'"),
        Value::Bytes(Some(bytes)) => {
            let mut text = "'\\x".to_owned();
            for byte in bytes {
                write!(text, "{byte:02x}").unwrap();
            }
            text + "'"
        }
        Value::Array(_, Some(elements)) => {
            let elements: Vec<String> = elements.iter().map(literal).collect();
            format!("ARRAY[{}]::bigint[]", elements.join(","))
        }
        other => panic!("no statement has {other:?}"),
    }
}

/// Keys of an account with half of everything, and of a small one.
async fn probes(house: &House) -> Vec<(&'static str, Probe)> {
    let mut probes = Vec::new();
    for (whose, name) in [("a large account", "acct0"), ("a small account", "acct77")] {
        let column = async |sql: &str| -> Vec<i64> {
            let rows = house.db.database().read().all(sql, vec![name.into()]).await.unwrap();
            rows.iter().map(|row| row.at(0).unwrap()).collect()
        };
        let seqs = column("SELECT seq FROM execution WHERE account = $1 ORDER BY seq LIMIT 8").await;
        let probe = Probe {
            account: account(name),
            event: format!("e{}", seqs[0]),
            automation: automation(1),
            webhook: webhook(1),
            trace: TRACE.parse().unwrap(),
            record: "4711".into(),
            execution: ExecutionId::from_bytes(format!("{:016}", seqs[0]).into_bytes().try_into().unwrap()),
            lanes: column("SELECT lane FROM lane WHERE account = $1 ORDER BY lane").await,
            seqs,
            now: house.now(),
        };
        probes.push((whose, probe));
    }
    probes
}

async fn run(house: &House, sql: &str) {
    let tx = house.db.database().write("test").await.unwrap();
    tx.execute(sql, vec![]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    tx.commit().await.unwrap();
}

/// 100,000 executions that are not ended and as many that are; 5,000 accounts of which one has half of it, four lanes each, half
/// of them gated; work that is ready, due, not due and claimed.
async fn fill(house: &House) {
    let (now, sqlite) = (house.now().as_micros(), house.db.backend() == Backend::Sqlite);
    let numbers = |to: i64| {
        if sqlite {
            format!(
                "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {to}) SELECT n FROM c) AS c"
            )
        } else {
            format!("generate_series(1::bigint, {to}) AS c(n)")
        }
    };
    let all = numbers(2 * ROWS);
    let id = if sqlite {
        "CAST(printf('%016d', n) AS BLOB)"
    } else {
        "convert_to(lpad(n::text, 16, '0'), 'UTF8')"
    };
    let bytes = |length: i64| {
        if sqlite { format!("zeroblob({length})") } else { format!("decode(repeat('00', {length}), 'hex')") }
    };
    let owner = "(CASE WHEN n % 2 = 0 THEN 0 ELSE (n / 2) % 5000 END)";
    let (first, second) = (automation(1), automation(2));
    let (open, gated) = (webhook(1), webhook(2));
    let lane = format!("({owner} * 4 + n / 2 % 4 + 1)");

    run(
        house,
        &format!(
            "INSERT INTO account (account, version, automations, waiting, wake_at) \
         SELECT 'acct' || (n - 1), 1, 1, 0, CASE WHEN n % 2 = 0 THEN {now} + n * 1000 - 2000000 END FROM {}",
            numbers(5_000)
        ),
    )
    .await;
    run(
        house,
        &format!(
            "INSERT INTO lane (account, automation, generation, webhook) SELECT 'acct' || ((n - 1) / 4), \
         CASE WHEN (n - 1) % 4 < 2 THEN '{first}' ELSE '{second}' END, 1, \
         CASE WHEN (n - 1) % 2 = 0 THEN '{open}' ELSE '{gated}' END FROM {} ORDER BY n",
            numbers(20_000)
        ),
    )
    .await;
    run(
        house,
        &format!(
            "INSERT INTO receiver (account, webhook, rate_units, rate_per_us, rate_burst, rate_tat_ns) \
         SELECT 'acct' || (n - 1), '{gated}', 1, 1000000, 1, 0 FROM {}",
            numbers(5_000)
        ),
    )
    .await;
    run(
        house,
        &format!(
            "INSERT INTO gate (account, kind, subject, generation, closed, unswept) \
         SELECT 'acct' || (n - 1), 'WEBHOOK', '{gated}', 1, 1, 0 FROM {}",
            numbers(5_000)
        ),
    )
    .await;
    run(
        house,
        &format!(
            "INSERT INTO receipt (account, event, digest, executions, at) \
         SELECT 'acct' || {owner}, 'e' || n, {}, {id}, {now} FROM {all}",
            bytes(32)
        ),
    )
    .await;
    run(house, &format!(
        "INSERT INTO execution (seq, account, id, automation, automation_version, generation, event, traceparent, trace, record, accepted_at, \
         plan, bodies) SELECT n, 'acct' || {owner}, {id}, '{first}', 1, 1, '{{}}', '', n * 7919 % 100003, n * 7907 % 1009, {now}, '[]', {} \
         FROM {all}",
        bytes(100)
    )).await;
    run(house, &format!(
        "INSERT INTO pending (seq, account, lane, turn, due_at, step, attempt, retries, interruptions, started_at, token, \
         claimed_at, lease_until) SELECT n, 'acct' || {owner}, {lane}, CASE WHEN n % 9 < 2 THEN 0 ELSE 1 END, \
         CASE n % 9 WHEN 1 THEN {now} + n * 1000000 WHEN 2 THEN {now} + n * 1000000 WHEN 3 THEN {now} - n ELSE 0 END, 0, 1, 0, 0, \
         CASE WHEN n % 9 < 2 THEN {now} END, CASE WHEN n % 9 = 0 THEN n END, CASE WHEN n % 9 = 0 THEN {now} END, \
         CASE WHEN n % 9 = 0 THEN {now} + n * 1000 - 2000000 END FROM {}",
        numbers(ROWS)
    )).await;
    run(
        house,
        &format!(
            "INSERT INTO line (seq, account, webhook, record, place) SELECT n, 'acct' || {owner}, '{open}', '' || n % 5000, \
         CASE WHEN n % 9 > 1 THEN n END FROM {}",
            numbers(ROWS)
        ),
    )
    .await;
    run(
        house,
        &format!(
            "INSERT INTO change (account, at, changes) SELECT 'acct' || {owner}, {now} - {ROWS} + n, '[]' FROM {all} ORDER BY n"
        ),
    )
    .await;
    run(
        house,
        &format!(
            "INSERT INTO ending (seq, number, state, reason, message, step, started_at, at, account) \
         SELECT n, 1, CASE WHEN n % 16 < 2 THEN 'FAILED' ELSE 'SUCCEEDED' END, CASE WHEN n % 16 < 2 THEN 'FORBIDDEN' END, \
         '', 0, {now}, {now} - n, CASE WHEN n % 16 < 2 THEN 'acct' || {owner} END FROM {all} WHERE n > {ROWS}"
        ),
    )
    .await;
    run(house, &format!("INSERT INTO shelf (shelf, look_at) SELECT n, {now} + n FROM {}", numbers(2_000)))
        .await;
    run(house, &format!(
        "INSERT INTO attempt (seq, step, number, verdict, started_at, ended_at, duration_us, url_path, request_headers, status, \
         response_headers, response_body, truncated, error) SELECT n, 0, 1, 'SUCCEEDED', {now}, {now}, 1, '/', '[]', 200, '[]', \
         {}, 0, '' FROM {all}",
        bytes(50)
    )).await;
}
