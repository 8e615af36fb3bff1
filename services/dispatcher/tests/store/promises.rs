//! Promise and event: when each paused execution was last said to start, beside when it did start. The clock is the suite's, so the
//! two must be the same to the microsecond, whatever the quota, the plan, billing or an operator did before.

use std::collections::HashMap;

use sluice_dispatcher::execution::{PauseReason, State};
use sluice_dispatcher::filter::Filter;
use sluice_dispatcher::grant::{Grant, Units};
use sluice_domain::{Allowance, Entitlements, ExecutionId, Rate, Timestamp};

use super::makers::{
    House, ROOMY, account, event, event_of, events, ids_of, notification, plan, run, secs, success,
};

/// What is shown of each execution that has not started, looked at again and again until it does.
#[derive(Default)]
struct Watcher {
    /// When each is said to start, last; `None` while nobody knows.
    promised: HashMap<ExecutionId, Option<Timestamp>>,
    kept: usize,
    unknown: usize,
}

impl Watcher {
    /// Reads what is shown of everything that has not started.
    async fn look(&mut self, house: &House) {
        let mut after = None;
        loop {
            let page = house.store.executions(&house.acme, &Filter::default(), after, 500).await.unwrap();
            for shown in page.executions {
                let promise = match shown.state {
                    State::Queued => Some(house.now()),
                    State::Paused(_, until) => until,
                    _ => continue,
                };
                self.promised.insert(shown.execution.id, promise);
            }
            after = page.next;
            if after.is_none() {
                return;
            }
        }
    }

    /// Starts what may start now, and holds each against what was shown of it last.
    async fn start(&mut self, house: &House) {
        for claim in house.claim(ROOMY).await {
            let started = house.shown(claim.execution).await.started_at;
            assert_eq!(started, Some(house.now()));
            // Each was looked at before it started.
            match self.promised.remove(&claim.execution).unwrap() {
                Some(promised) => {
                    assert_eq!(Some(promised), started, "{}: promise and event", claim.execution);
                    self.kept += 1;
                }
                None => self.unknown += 1,
            }
            house.record(success(&claim)).await;
        }
        self.look(house).await;
    }

    /// Goes from one wake-up to the next for so many of them, or until nothing waits.
    async fn go_on(&mut self, house: &House, wakes: usize) {
        self.look(house).await;
        for _ in 0..wakes {
            let Some(wake) = house.wake().await else { return };
            house.db.time.set(wake.max(house.now())).await;
            self.start(house).await;
        }
    }

    fn done(self, house: &House, what: &str, all: usize) {
        println!(
            "promise and event on {:?}, {what}: {} of {all} started to the microsecond, {} of unknown end",
            house.db.backend(),
            self.kept,
            self.unknown
        );
        assert_eq!((self.kept, self.unknown, self.promised.len()), (all, 0, 0));
    }
}

fn allowing(entitlements: Entitlements, amount: i64) -> Entitlements {
    Entitlements { allowance: Some(Allowance { amount, anchor: Timestamp::EPOCH }), ..entitlements }
}

fn forever() -> usize {
    usize::MAX
}

pub(crate) async fn by_rate_and_for_notifications(house: &House) {
    let notifications = Rate { units: 7, per: secs(60), burst: 2 };
    house.entitle(Entitlements { notifications, ..plan(1, 70, 3) }).await;
    let mut made = events("e", 40);
    made.extend((0..10).map(|at| event(&format!("n{at}"), vec![notification(2)])));
    house.queue(&made).await;
    let mut watcher = Watcher::default();
    watcher.go_on(house, forever()).await;
    watcher.done(house, "rate and notifications", 50);
}

pub(crate) async fn by_an_allowance_over_the_ends_of_periods(house: &House) {
    house.entitle(allowing(plan(1, 60, 4), 9)).await;
    house.queue(&events("e", 30)).await;
    let mut watcher = Watcher::default();
    watcher.go_on(house, forever()).await;
    watcher.done(house, "an allowance over four periods", 30);
}

pub(crate) async fn after_plans_that_change_in_the_middle(house: &House) {
    house.entitle(plan(1, 6, 2)).await;
    house.queue(&events("e", 60)).await;
    let mut watcher = Watcher::default();
    for (version, next) in
        [(2, plan(2, 60, 5)), (3, allowing(plan(3, 13, 3), 40)), (4, plan(4, 7, 1)), (5, plan(5, 600, 9))]
    {
        watcher.go_on(house, 6).await;
        assert_eq!(next.version, version);
        house.entitle(next).await;
    }
    watcher.go_on(house, forever()).await;
    watcher.done(house, "four plans", 60);
}

pub(crate) async fn after_a_grant_and_after_an_operators_pause(house: &House) {
    house.entitle(allowing(plan(1, 60, 4), 5)).await;
    house.queue(&events("e", 30)).await;
    let mut watcher = Watcher::default();
    watcher.go_on(house, 2).await;
    let grant = Grant { units: Units::try_from(8).unwrap(), request: "top-up".parse().unwrap() };
    house.store.grant(&house.acme, &grant).await.unwrap();
    watcher.go_on(house, 3).await;

    assert!(house.store.pause(&house.acme, &"looked at".parse().unwrap()).await.unwrap());
    watcher.look(house).await;
    assert!(watcher.promised.values().all(Option::is_none), "nobody knows how long an operator takes");
    house.advance(secs(7 * 86_400)).await;
    watcher.start(house).await;
    assert!(house.store.resume(&house.acme).await.unwrap());
    watcher.go_on(house, forever()).await;
    watcher.done(house, "a grant and an operator's pause", 30);
}

pub(crate) async fn with_a_gate_in_the_middle_and_another_account_beside(house: &House) {
    house.entitle(plan(1, 60, 2)).await;
    let other = account("other");
    house.store.apply_entitlements(&other, &plan(1, 60, 2)).await.unwrap();
    let mut made = Vec::new();
    for at in 0..20 {
        made.push(event(&format!("open{at}"), vec![run(1, 1)]));
        made.push(event(&format!("gated{at}"), vec![run(2, 2)]));
        made.push(event_of(&other, &format!("theirs{at}"), vec![run(1, 1)]));
    }
    let theirs: Vec<ExecutionId> = ids_of(&made).into_iter().skip(2).step_by(3).collect();
    let gate = async |revision, closed| house.put_gate(super::makers::webhook(2), revision, closed).await;
    gate(1, true).await;
    house.queue(&made).await;
    let (mut watcher, mut started) = (Watcher::default(), 0);
    for wakes in [9, 20] {
        for _ in 0..wakes {
            watcher.go_on(house, 1).await;
            started += house.store.claim(&other, ROOMY).await.unwrap().claims.len();
        }
        gate(2, false).await;
    }
    watcher.go_on(house, forever()).await;
    while started < theirs.len() {
        house.advance(secs(1)).await;
        started += house.store.claim(&other, ROOMY).await.unwrap().claims.len();
    }
    watcher.done(house, "a gate in the middle and another account", 40);
}

pub(crate) async fn what_nobody_can_foresee_has_no_promise(house: &House) {
    let states = async |ids: &[ExecutionId]| {
        let mut states = Vec::new();
        for id in ids {
            states.push(house.state(*id).await);
        }
        states
    };
    let ids = house.queue(&events("e", 2)).await;
    assert_eq!(states(&ids).await, vec![State::Paused(PauseReason::EntitlementsUnknown, None); 2]);
    house.entitle(Entitlements { automations: false, ..plan(1, 60, 1) }).await;
    assert_eq!(states(&ids).await, vec![State::Paused(PauseReason::Plan, None); 2]);
    house.entitle(allowing(plan(2, 60, 1), 0)).await;
    assert_eq!(states(&ids).await, vec![State::Paused(PauseReason::Quota, None); 2]);
}
