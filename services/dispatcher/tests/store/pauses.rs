//! Pauses: as many wait as are told, one gate closes and opens before them, for each reason that there is. All are there before, all
//! are delivered after, in order of acceptance, with one attempt each, although the pause lasts longer than the whole retry schedule.
//!
//! 500 in CI, 10,000 with `SLUICE_TEST_SIZE=full`. The receiver is not part of it: a delivery is a claim and its report.

use std::collections::{BTreeMap, BTreeSet};

use sluice_dispatcher::execution::{PauseReason, State};
use sluice_dispatcher::filter::Filter;
use sluice_dispatcher::store::NewEvent;
use sluice_domain::{Allowance, Entitlements, ExecutionId, Span, Timestamp};
use sluice_storage::{Backend, Query};

use super::makers::{House, ROOMY, event, run, secs, success, unlimited, webhook};
use super::retention::prune;

/// Ten times as long as the retry schedule.
const LONG: i64 = 30 * 86_400;
/// How much the fake sender has under way at once.
const SEATS: usize = 64;
/// The tables of an execution's life, and what a gate may stand in.
const TABLES: [&str; 9] =
    ["execution", "pending", "attempt", "ending", "receipt", "lane", "gate", "breaker", "account"];

/// One reason to pause: how it is entered and left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Quota,
    Plan,
    WebhookDisabled,
    EntitlementsUnknown,
    Operator,
}

/// A reason is one line here.
const GATES: [(Gate, PauseReason); 5] = [
    (Gate::Quota, PauseReason::Quota),
    (Gate::Plan, PauseReason::Plan),
    (Gate::WebhookDisabled, PauseReason::WebhookDisabled),
    (Gate::EntitlementsUnknown, PauseReason::EntitlementsUnknown),
    (Gate::Operator, PauseReason::Operator),
];

impl Gate {
    async fn put(self, house: &House, version: i64, closed: bool) {
        match self {
            Self::Quota => {
                let nothing = Allowance { amount: 0, anchor: Timestamp::EPOCH };
                let allowance = closed.then_some(nothing);
                house.entitle(Entitlements { allowance, ..unlimited(version) }).await;
            }
            Self::Plan => house.entitle(Entitlements { automations: !closed, ..unlimited(version) }).await,
            Self::WebhookDisabled => {
                assert!(house.put_gate(webhook(1), version, closed).await);
            }
            // Nobody closes it: an account of which the registry has not told is behind it.
            Self::EntitlementsUnknown if closed => {}
            Self::EntitlementsUnknown => house.entitle(unlimited(version)).await,
            Self::Operator if closed => {
                assert!(house.store.pause(&house.acme, &"the suite looks".parse().unwrap()).await.unwrap());
            }
            Self::Operator => assert!(house.store.resume(&house.acme).await.unwrap()),
        }
    }
}

pub(crate) async fn by_a_used_up_quota(house: &House) {
    pauses(house, 0).await;
}

pub(crate) async fn by_the_plan(house: &House) {
    pauses(house, 1).await;
}

pub(crate) async fn by_a_webhook_disabled_by_hand(house: &House) {
    pauses(house, 2).await;
}

pub(crate) async fn by_unknown_entitlements(house: &House) {
    pauses(house, 3).await;
}

pub(crate) async fn by_an_operator(house: &House) {
    pauses(house, 4).await;
}

async fn pauses(house: &House, row: usize) {
    let (gate, reason) = GATES[row];
    let all = size();
    if gate != Gate::EntitlementsUnknown {
        house.entitle(unlimited(1)).await;
    }
    let ids = queue(house, all).await;

    let before = Dump::of(house).await;
    gate.put(house, 2, true).await;
    let entered = before.written(&Dump::of(house).await);
    assert_eq!(waiting_as(house, reason).await, all, "all are shown, with the reason");

    let held = Dump::of(house).await;
    for _ in 0..3 {
        house.advance(secs(LONG / 3)).await;
        assert!(house.claim(ROOMY).await.is_empty());
        assert!(house.store.rescue().await.unwrap().is_empty());
        assert_eq!(prune(house).await.iter().sum::<usize>(), 0, "what waits never expires");
    }
    assert_eq!(waiting_as(house, reason).await, all, "none dropped, none used an attempt");
    // The loop's looks may move the account's own times; nothing else moves.
    let moved = held.written(&Dump::of(house).await);
    assert!(moved.keys().all(|table| *table == "account"), "{moved:?}");

    let closed = Dump::of(house).await;
    gate.put(house, 3, false).await;
    let left = closed.written(&Dump::of(house).await);
    let opened_at = house.now();
    let (started, delivered) = deliver(house, opened_at).await;
    println!(
        "pause {reason:?} on {:?}: {all} before, {delivered} delivered after, rows written to enter {entered:?}, to leave {left:?}",
        house.db.backend(),
    );
    assert_eq!(started, ids, "in order of acceptance");
    assert_eq!(delivered, all);
    let attempts =
        house.number("SELECT count(*) FROM attempt WHERE number = 1 AND verdict = 'SUCCEEDED'").await;
    assert_eq!((attempts, house.number("SELECT count(*) FROM attempt").await), (count(all), count(all)));

    let one_at_most = |rows: &BTreeMap<&str, usize>| rows.values().all(|rows| *rows == 1);
    let gates = |rows: &BTreeMap<&str, usize>| rows.keys().all(|table| ["account", "gate"].contains(table));
    assert!(one_at_most(&entered) && entered.len() <= 1 && gates(&entered), "one row to enter: {entered:?}");
    // A gate of its own has its row, and the account's says when to look.
    assert!(one_at_most(&left) && gates(&left), "one row to leave: {left:?}");
    assert_eq!(left.len(), if gate == Gate::WebhookDisabled { 2 } else { 1 }, "{left:?}");
}

/// This one ends by itself as soon as a probe goes well, so it can't be held for long without probes; who entered it are the failures.
pub(crate) async fn by_an_open_breaker(house: &House) {
    house.entitle(unlimited(1)).await;
    let (failed, until) = super::breaker::break_open(house).await;
    let all = size();
    let before = Dump::of(house).await;
    let ids = queue(house, all).await;
    let entered = before.written(&Dump::of(house).await);
    assert!(!entered.contains_key("breaker") && !entered.contains_key("gate"), "{entered:?}");
    assert_eq!(waiting_as(house, PauseReason::BreakerOpen).await, all);
    house.db.time.set(until.minus(Span::from_micros(1))).await;
    assert!(house.claim(ROOMY).await.is_empty());
    assert_eq!(waiting_as(house, PauseReason::BreakerOpen).await, all);

    house.db.time.set(until).await;
    let probe = house.claim_one().await;
    assert!(house.claim(ROOMY).await.is_empty(), "one request tries it");
    let closed = Dump::of(house).await;
    house.record(success(&probe)).await;
    let left = closed.written(&Dump::of(house).await);
    let (mut started, delivered) = deliver(house, until).await;
    started.insert(0, probe.execution);
    println!(
        "pause BreakerOpen on {:?}: {all} before, {} delivered after, rows written by the probe that ended it {left:?}",
        house.db.backend(),
        delivered + 1
    );
    assert_eq!(started, ids, "in order of acceptance");
    let (attempts, failures) = (house.number("SELECT count(*) FROM attempt").await, count(failed.len()));
    assert_eq!((attempts, left["breaker"]), (count(all) + failures, 1), "one attempt of each");
    assert!(left.values().all(|rows| *rows == 1), "its own rows, the breaker's and the account's: {left:?}");
}

fn size() -> usize {
    let full = sluice_testkit::full_size();
    if full { 10_000 } else { 500 }
}

/// So many executions, a few of each event, of which none has started.
async fn queue(house: &House, all: usize) -> Vec<ExecutionId> {
    let mut ids = Vec::with_capacity(all);
    for batch in 0..all / 500 {
        let made: Vec<NewEvent> = (0..100)
            .map(|at| event(&format!("e{batch}-{at}"), (0..5).map(|_| run(1, 1)).collect()))
            .collect();
        ids.extend(house.queue(&made).await);
    }
    assert_eq!(ids.len(), all);
    ids
}

/// How many are shown as paused for this reason, without an attempt.
async fn waiting_as(house: &House, reason: PauseReason) -> usize {
    let filter = &Filter { pause_reason: Some(reason), ..Filter::default() };
    let (mut seen, mut after) = (0, None);
    loop {
        let page = house.store.executions(&house.acme, filter, after, 1_000).await.unwrap();
        for shown in page.executions {
            assert!(matches!(shown.state, State::Paused(why, _) if why == reason), "{:?}", shown.state);
            assert_eq!((shown.attempt_count, shown.started_at), (0, None));
            seen += 1;
        }
        after = page.next;
        if after.is_none() {
            return seen;
        }
    }
}

/// Claims and reports until nothing is left: in which order they started, and how many were delivered.
async fn deliver(house: &House, since: Timestamp) -> (Vec<ExecutionId>, usize) {
    let (mut started, mut delivered) = (Vec::new(), 0);
    loop {
        let claims = house.claim(SEATS).await;
        if claims.is_empty() {
            return (started, delivered);
        }
        started.extend(claims.iter().map(|claim| claim.execution));
        assert!(
            claims.iter().all(|claim| (claim.attempt, claim.retries) == (1, 0) && claim.claimed_at >= since)
        );
        let reports: Vec<_> = claims.iter().map(success).collect();
        delivered += house.store.finish(&reports).await.unwrap().len();
    }
}

fn count(all: usize) -> i64 {
    i64::try_from(all).unwrap()
}

/// Every row of the tables, as text.
struct Dump(BTreeMap<&'static str, BTreeSet<String>>);

impl Dump {
    async fn of(house: &House) -> Self {
        let (database, mut tables) = (house.db.database().read(), BTreeMap::new());
        for table in TABLES {
            let row = match database.backend() {
                Backend::Postgres => "CAST(t.* AS TEXT)".to_owned(),
                Backend::Sqlite => {
                    let columns = format!("SELECT name FROM pragma_table_info('{table}')");
                    let columns = database.all(&columns, vec![]).await.unwrap();
                    let quoted = columns.iter().map(|row| format!("quote({})", row.at::<String>(0).unwrap()));
                    quoted.collect::<Vec<_>>().join(" || ',' || ")
                }
            };
            let rows = database.all(&format!("SELECT {row} FROM {table} t"), vec![]).await.unwrap();
            tables.insert(table, rows.iter().map(|row| row.at::<String>(0).unwrap()).collect());
        }
        Self(tables)
    }

    /// How many rows of each table were written or taken away since.
    fn written(&self, later: &Self) -> BTreeMap<&'static str, usize> {
        let changed = self.0.iter().map(|(table, rows)| {
            let later = &later.0[table];
            (*table, later.difference(rows).count().max(rows.difference(later).count()))
        });
        changed.filter(|(_, rows)| *rows > 0).collect()
    }
}
