//! What watchers are told: every change once, in order, none before all that comes before it is settled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use sluice_dispatcher::change::{Change, Then, What};
use sluice_dispatcher::execution::{End, PauseReason};
use sluice_dispatcher::pause::{Before, Pauses};
use sluice_dispatcher::store::Horizon;
use sluice_domain::AccountId;
use sluice_storage::{Backend, Query};

use super::makers::{
    House, account, event, event_of, events, plan, retry, run, secs, success, unlimited, webhook,
};

/// Everything in the feed of an account, oldest first.
async fn all(house: &House, account: &AccountId) -> Vec<Change> {
    let rows = house.store.changes(account, 0, i64::MAX, i64::MAX).await.unwrap();
    rows.into_iter().flat_map(|row| row.changes).collect()
}

fn whats(changes: &[Change]) -> Vec<What> {
    changes.iter().map(|change| change.what).collect()
}

/// Looks until the horizon is at the newest revision. Transactions of other tests on the same server hold it up for moments.
async fn reach(house: &House, horizon: &mut Horizon) -> i64 {
    let newest = house.number("SELECT max(revision) FROM change").await;
    for _ in 0..2_000 {
        house.store.look(horizon).await.unwrap();
        if horizon.reached() == Some(newest) {
            return newest;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{horizon:?} never came to {newest}");
}

/// Whoever applies all changes of the feed knows where each execution stands, each attempt and each end; where nothing was pruned.
pub(crate) async fn mirror(house: &House, broken: &mut Vec<String>) {
    if house.prunes.load(Ordering::Relaxed) {
        return;
    }
    let accounts = "SELECT DISTINCT account FROM change";
    let mut stands: BTreeMap<i64, Then> = BTreeMap::new();
    let (mut tried, mut ends) = (BTreeSet::new(), BTreeSet::new());
    for row in house.db.database().read().all(accounts, vec![]).await.unwrap() {
        for change in all(house, &row.at::<String>(0).unwrap().parse().unwrap()).await {
            let Change { seq, what, step, attempt, then } = change;
            if (what == What::Accepted) == stands.contains_key(&seq) {
                broken.push(format!("seq {seq} is accepted twice, or changed before: {change:?}"));
            }
            if what == What::Tried && !tried.insert((seq, i64::try_from(step).unwrap(), attempt)) {
                broken.push(format!("an attempt that ended twice: {change:?}"));
            }
            if let Then::Ended(number) = then
                && !ends.insert((seq, number))
            {
                broken.push(format!("an end that was told twice: {change:?}"));
            }
            stands.insert(seq, then);
        }
    }
    let pending = "SELECT p.seq, p.token, p.due_at FROM pending p";
    let mut unfinished = BTreeSet::new();
    for row in house.db.database().read().all(pending, vec![]).await.unwrap() {
        let seq: i64 = row.at(0).unwrap();
        let (token, due): (Option<i64>, i64) = (row.at(1).unwrap(), row.at(2).unwrap());
        let told = stands.get(&seq);
        let right = match (told, token, due) {
            // What is ready has no time any more.
            (Some(Then::Runs), Some(_), _) | (Some(Then::Queues | Then::Waits(_)), None, 0) => true,
            (Some(Then::Waits(until)), None, due) => until.as_micros() == due,
            _ => false,
        };
        if !right {
            broken.push(format!("seq {seq} has token {token:?} and is due {due}; the feed says {told:?}"));
        }
        unfinished.insert(seq);
    }
    let over = stands.iter().filter(|(_, then)| matches!(then, Then::Ended(_)));
    broken.extend(
        over.filter(|(seq, _)| unfinished.contains(seq)).map(|(seq, _)| format!("seq {seq} is not over")),
    );
    let rows = async |sql: &str| house.db.database().read().all(sql, vec![]).await.unwrap();
    let mut on_record = BTreeSet::new();
    for row in rows("SELECT seq, step, number FROM attempt").await {
        on_record.insert((row.at::<i64>(0).unwrap(), row.at::<i64>(1).unwrap(), row.at::<i64>(2).unwrap()));
    }
    broken
        .extend(tried.symmetric_difference(&on_record).map(|at| format!("attempt and feed differ: {at:?}")));
    let mut ended = BTreeSet::new();
    for row in rows("SELECT seq, number FROM ending").await {
        ended.insert((row.at::<i64>(0).unwrap(), row.at::<i64>(1).unwrap()));
    }
    broken.extend(ends.symmetric_difference(&ended).map(|at| format!("end and feed differ: {at:?}")));
}

pub(crate) async fn what_happens_to_an_execution_is_told_in_order(house: &House) {
    house.entitle(unlimited(1)).await;
    let claim = house.start(event("e1", vec![run(1, 1)])).await;
    house.record(retry(&claim, secs(5))).await;
    house.advance(secs(5)).await;
    let claim = house.claim_one().await;
    house.record(success(&claim)).await;
    let changes = all(house, &house.acme).await;
    assert_eq!(whats(&changes), [What::Accepted, What::Tried, What::Started, What::Tried]);
    assert_eq!((changes[0].then, changes[0].attempt), (Then::Runs, 1));
    assert!(matches!(changes[1].then, Then::Waits(_)), "{changes:?}");
    assert_eq!((changes[2].then, changes[2].attempt), (Then::Runs, 2));
    assert_eq!((changes[3].then, changes[3].attempt), (Then::Ended(1), 2));
    let revisions = house.store.changes(&house.acme, 0, i64::MAX, 100).await.unwrap();
    let timed: Vec<_> =
        revisions.iter().flat_map(|row| row.changes.iter().map(|change| (row.at, *change))).collect();
    let told = house.store.tell(&house.acme, &timed).await.unwrap();
    let last = told.last().unwrap().as_ref().unwrap();
    assert_eq!(last.execution.id, claim.execution);
    assert_eq!(
        (last.attempt.as_ref().unwrap().number, last.end.as_ref().unwrap().0.state),
        (2, End::succeeded().state)
    );
}

pub(crate) async fn an_account_is_told_of_its_own_only(house: &House) {
    house.entitle(unlimited(1)).await;
    let other = account("other");
    house.queue(&events("e", 2)).await;
    house.queue(&[event_of(&other, "e1", vec![run(1, 1)])]).await;
    assert_eq!((all(house, &house.acme).await.len(), all(house, &other).await.len()), (2, 1));
    let timed = [(house.now(), all(house, &other).await[0])];
    assert!(house.store.tell(&house.acme, &timed).await.unwrap()[0].is_none(), "another account's execution");
}

pub(crate) async fn nothing_is_told_before_all_that_comes_before_it_is_settled(house: &House) {
    house.entitle(unlimited(1)).await;
    house.queue(&events("early", 1)).await;
    let mut horizon = Horizon::default();
    let before = reach(house, &mut horizon).await;
    if house.db.backend() == Backend::Sqlite {
        // There is one writer at a time: who comes later commits later.
        return;
    }
    let late = house.db.reconnect().await.write("test").await.unwrap();
    late.execute("UPDATE feed SET pruned = pruned", vec![]).await.unwrap();
    let insert = "INSERT INTO change (account, at, changes) VALUES ('late', 1, '[]')";
    late.execute(insert, vec![]).await.unwrap();
    house.queue(&events("meanwhile", 2)).await;
    for _ in 0..50 {
        house.store.look(&mut horizon).await.unwrap();
        assert_eq!(horizon.reached(), Some(before), "a transaction that took an earlier place is open");
    }
    late.commit().await.unwrap();
    let newest = reach(house, &mut horizon).await;
    let told = house.store.changed_accounts(before, newest, 100).await.unwrap();
    assert!(told.iter().any(|(_, account)| account.as_str() == "late"), "{told:?}");
}

pub(crate) async fn changes_are_kept_for_their_time_and_the_newest_stays(house: &House) {
    house.entitle(unlimited(1)).await;
    house.queue(&events("old", 3)).await;
    house.prunes.store(true, Ordering::Relaxed);
    house.advance(secs(100)).await;
    let claim = house.accept(&[event("new", vec![run(1, 1)])], 1).await.claims.remove(0);
    let before = house.store.kept().await.unwrap();
    assert_eq!(before.pruned, 0);
    while house.store.prune_changes(secs(60)).await.unwrap() {}
    let kept = house.store.kept().await.unwrap();
    assert!(kept.pruned > 0 && kept.newest == before.newest, "{kept:?} after {before:?}");
    let left = all(house, &house.acme).await;
    assert!(left.iter().any(|change| change.seq == claim.seq), "{left:?}");
    house.advance(secs(1_000)).await;
    while house.store.prune_changes(secs(60)).await.unwrap() {}
    let rest = house.store.kept().await.unwrap();
    assert!(rest.pruned < rest.newest, "a cursor at the end is good however long nothing happens: {rest:?}");
}

pub(crate) async fn a_closed_gate_is_one_line_however_much_waits(house: &House) {
    house.entitle(plan(1, 1, 1)).await;
    house.start(event("first", vec![run(1, 1)])).await;
    house.queue(&events("e", 50)).await;
    let (_, pauses) = house.store.pauses(&house.acme).await.unwrap();
    let told = pauses.since(&Pauses::default());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(matches!(told[0], (Before::Automations, Some((PauseReason::Quota, Some(_))))), "{told:?}");
    assert!(house.put_gate(webhook(1), 1, true).await);
    let (_, more) = house.store.pauses(&house.acme).await.unwrap();
    let disabled = (Before::Webhook(webhook(1)), Some((PauseReason::WebhookDisabled, None)));
    assert_eq!(more.since(&pauses), [disabled]);
    house.entitle(unlimited(2)).await;
    let (_, open) = house.store.pauses(&house.acme).await.unwrap();
    assert_eq!(open.since(&more), [(Before::Automations, None)]);
}
