//! Acceptance: executions, receipts and pending work come into being together, and what may start is claimed at once.

use sluice_dispatcher::execution::{EndReason, EndState, PauseReason, State};
use sluice_dispatcher::store::{Acceptance, NewEvent, Room};
use sluice_domain::{Entitlements, Span};
use sluice_storage::StorageError;

use super::makers::{
    House, ROOMY, account, automation, claimed, event, event_of, events, ids_of, notification, plan,
    rejected, run, secs, steps, success, unlimited,
};

pub(crate) async fn what_an_event_sets_off_is_on_disk_with_its_receipt(house: &House) {
    let made = event("e1", vec![run(1, 1), run(2, 2), notification(3)]);
    let ids = ids_of(std::slice::from_ref(&made));
    assert_eq!(house.accept(&[made], 0).await.answers, [Acceptance::Accepted(ids.clone())]);
    for id in ids {
        assert_eq!(house.shown(id).await.execution.event.id, "e1");
    }
    for (table, rows) in [("execution", 3), ("pending", 3), ("receipt", 1), ("ending", 0)] {
        assert_eq!(house.number(&format!("SELECT count(*) FROM {table}")).await, rows, "{table}");
    }
}

pub(crate) async fn work_within_quota_and_room_is_claimed_with_its_acceptance(house: &House) {
    house.entitle(plan(1, 60, 3)).await;
    let made = events("e", 5);
    let accepted = house.accept(&made, ROOMY).await;
    assert_eq!(claimed(&accepted.claims), ids_of(&made)[..3]);
    assert!(accepted.claims.iter().all(|claim| (claim.step, claim.attempt, claim.retries) == (0, 1, 0)));
    let shown = house.shown(ids_of(&made)[0]).await;
    assert_eq!((shown.state, shown.started_at), (State::Running, Some(house.now())));
    house.advance(secs(60)).await;
    assert_eq!(house.accept(&events("f", 9), 2).await.claims.len(), 2, "no more than there is room for");
}

pub(crate) async fn a_repeat_gets_the_same_answer_and_makes_nothing(house: &House) {
    house.entitle(unlimited(1)).await;
    let first = event("e1", vec![run(1, 1), run(2, 1)]);
    let ids = ids_of(std::slice::from_ref(&first));
    let claims = house.accept(&[first], ROOMY).await.claims;
    house.record(success(&claims[0])).await;
    for _ in 0..2 {
        let again = house.accept(&[event("e1", vec![run(1, 1), run(2, 1)])], ROOMY).await;
        assert_eq!(again.answers, [Acceptance::Repeated(ids.clone())]);
        assert!(again.claims.is_empty());
    }
    assert_eq!(house.number("SELECT count(*) FROM execution").await, 2);
}

pub(crate) async fn a_call_repeated_whole_after_a_commit_in_doubt_makes_nothing(house: &House) {
    house.entitle(unlimited(1)).await;
    let made = events("e", 3);
    assert_eq!(house.accept(&made, ROOMY).await.claims.len(), 3);
    let again = house.accept(&made, ROOMY).await;
    let repeated = |event: &NewEvent| Acceptance::Repeated(ids_of(std::slice::from_ref(event)));
    assert_eq!(again.answers, made.iter().map(repeated).collect::<Vec<_>>());
    assert!(again.claims.is_empty());
}

pub(crate) async fn a_repeat_among_new_events_leaves_those_alone(house: &House) {
    let first = events("e", 1);
    house.queue(&first).await;
    let mut batch: Vec<NewEvent> = (0..40).map(|at| event(&format!("f{at}"), vec![run(1, 1)])).collect();
    batch.insert(17, event("e0", vec![run(1, 1)]));
    let answers = house.accept(&batch, 0).await.answers;
    for (at, (event, answer)) in batch.iter().zip(answers).enumerate() {
        let ids = ids_of(std::slice::from_ref(event));
        let meant = if at == 17 { Acceptance::Repeated(ids_of(&first)) } else { Acceptance::Accepted(ids) };
        assert_eq!(answer, meant, "{at}");
    }
    assert_eq!(house.number("SELECT count(*) FROM execution").await, 41);
}

pub(crate) async fn other_content_under_a_used_id_is_refused(house: &House) {
    house.queue(&events("e", 1)).await;
    let other = NewEvent { digest: [2; 32], ..event("e0", vec![run(1, 1)]) };
    assert_eq!(house.accept(&[other], ROOMY).await.answers, [Acceptance::IdReused]);
    assert_eq!(house.number("SELECT count(*) FROM execution").await, 1);
}

pub(crate) async fn the_same_id_twice_in_a_batch_is_one_event(house: &House) {
    let [first, second] = [event("e1", vec![run(1, 1)]), event("e1", vec![run(1, 1)])];
    let third = NewEvent { digest: [2; 32], ..event("e1", vec![run(1, 1)]) };
    let ids = ids_of(std::slice::from_ref(&first));
    let batch = [first.clone(), second, third, first];
    assert_eq!(
        house.accept(&batch, 0).await.answers,
        [
            Acceptance::Accepted(ids.clone()),
            Acceptance::Repeated(ids.clone()),
            Acceptance::IdReused,
            Acceptance::Repeated(ids)
        ]
    );
    assert_eq!(house.number("SELECT count(*) FROM execution").await, 1);
}

pub(crate) async fn the_same_id_in_two_accounts_is_two_events(house: &House) {
    let batch =
        [event_of(&account("one"), "e1", vec![run(1, 1)]), event_of(&account("two"), "e1", vec![run(1, 1)])];
    let accepted = house.accept(&batch, 0).await;
    assert!(accepted.answers.iter().all(|answer| matches!(answer, Acceptance::Accepted(_))));
    assert_eq!(house.number("SELECT count(*) FROM receipt").await, 2);
}

fn narrow(version: i64, max_waiting: i64) -> Entitlements {
    Entitlements { max_waiting, ..plan(version, 60, 1) }
}

pub(crate) async fn a_full_backlog_refuses_an_event_whole_and_takes_it_when_there_is_room(house: &House) {
    house.entitle(narrow(1, 3)).await;
    house.queue(&events("e", 2)).await;
    let wide = || event("wide", vec![run(1, 1), run(2, 1)]);
    let slim = event("slim", vec![run(1, 1)]);
    let (first, second) = (wide(), wide());
    let answers = house.accept(&[first, second, slim.clone()], 0).await.answers;
    let full = Acceptance::BacklogFull { waiting: 2, max_waiting: 3 };
    assert_eq!(answers, [full.clone(), full, Acceptance::Accepted(ids_of(&[slim]))]);
    assert_eq!(house.number("SELECT count(*) FROM execution").await, 3);
    assert_eq!(house.number("SELECT count(*) FROM receipt").await, 3);

    for _ in 0..2 {
        house.advance(secs(60)).await;
        house.record(success(&house.claim(1).await.remove(0))).await;
    }
    assert!(matches!(house.accept(&[wide()], 0).await.answers[..], [Acceptance::Accepted(_)]));
}

pub(crate) async fn a_full_backlog_still_answers_repeats(house: &House) {
    house.entitle(narrow(1, 2)).await;
    let made = events("e", 2);
    house.queue(&made).await;
    let again = house.accept(&[event("e0", vec![run(1, 1)]), event("new", vec![run(1, 1)])], 0).await;
    assert_eq!(
        again.answers,
        [
            Acceptance::Repeated(vec![ids_of(&made)[0]]),
            Acceptance::BacklogFull { waiting: 2, max_waiting: 2 }
        ]
    );
}

pub(crate) async fn an_unknown_account_waits_for_its_entitlements(house: &House) {
    let made = event("e1", vec![run(1, 1), notification(1)]);
    let ids = ids_of(std::slice::from_ref(&made));
    assert!(house.accept(&[made], ROOMY).await.claims.is_empty());
    for id in &ids {
        assert_eq!(house.state(*id).await, State::Paused(PauseReason::EntitlementsUnknown, None));
    }
    assert_eq!(house.wake().await, None);
    house.entitle(plan(1, 60, 10)).await;
    assert_eq!(house.wake().await, Some(house.now()));
    assert_eq!(claimed(&house.claim(ROOMY).await), ids);
}

pub(crate) async fn rejected_templates_end_failed_at_once_and_cost_nothing(house: &House) {
    house.entitle(plan(1, 60, 1)).await;
    let made = event("e1", vec![rejected(), run(1, 1)]);
    let ids = ids_of(std::slice::from_ref(&made));
    let claims = house.accept(&[made], ROOMY).await.claims;
    assert_eq!(claimed(&claims), ids[1..], "the only cell went to the one that is sent");
    let end = house.end(ids[0]).await;
    assert_eq!((end.state, end.reason), (EndState::Failed, Some(EndReason::TemplateRejected)));
    assert!(end.message.contains("dot segment"));
    assert_eq!(house.shown(ids[0]).await.started_at, None);
}

pub(crate) async fn what_the_stop_marker_reaches_is_recorded_stopped(house: &House) {
    house.entitle(unlimited(1)).await;
    house.store.stop(&house.acme, automation(1), 3).await.unwrap();
    let of = |generation| sluice_dispatcher::store::NewExecution { generation, ..run(1, 1) };
    let made = event("e1", vec![of(2), of(3), of(4), run(2, 1), notification(1)]);
    let ids = ids_of(std::slice::from_ref(&made));
    let claims = house.accept(&[made], ROOMY).await.claims;
    assert_eq!(claimed(&claims), ids[2..]);
    for id in &ids[..2] {
        let end = house.end(*id).await;
        assert_eq!((end.state, end.reason), (EndState::Stopped, Some(EndReason::AutomationDeactivated)));
    }
}

pub(crate) async fn a_delayed_first_step_waits_and_is_charged_when_it_starts(house: &House) {
    house.entitle(plan(1, 60, 1)).await;
    let made = event("e1", vec![steps(1, &[(1, secs(30))])]);
    let ids = ids_of(std::slice::from_ref(&made));
    assert!(house.accept(&[made], ROOMY).await.claims.is_empty());
    assert_eq!(house.state(ids[0]).await, State::Waiting(house.now().plus(secs(30))));
    let other = house.start(event("e2", vec![run(1, 1)])).await;
    house.record(success(&other)).await;
    house.advance(secs(30)).await;
    assert_eq!(claimed(&house.claim(ROOMY).await), ids);
    assert_eq!(house.shown(ids[0]).await.started_at, Some(house.now()));
    assert!(
        house.accept(&events("f", 1), ROOMY).await.claims.is_empty(),
        "the cell was charged at the start"
    );
}

pub(crate) async fn one_account_of_a_batch_does_not_take_what_another_brought(house: &House) {
    let other = account("zeta");
    house.entitle(unlimited(1)).await;
    assert!(house.store.apply_entitlements(&other, &unlimited(1)).await.unwrap());
    house.queue(&events("old", 20)).await;
    let batch = [event("new", vec![run(1, 1)]), event_of(&other, "new", vec![run(1, 1)])];
    let shares = [(house.acme.clone(), 1.into()), (other.clone(), 1.into())].into();
    let claims = house.store.accept(&batch, Room { total: 2, shares }).await.unwrap().claims;
    let accounts: Vec<_> = claims.iter().map(|claim| claim.account.clone()).collect();
    assert_eq!(accounts, [house.acme.clone(), other]);
}

pub(crate) async fn without_room_everything_waits(house: &House) {
    house.entitle(unlimited(1)).await;
    let made = events("e", 3);
    house.queue(&made).await;
    assert_eq!(house.state(ids_of(&made)[1]).await, State::Queued);
    assert_eq!(house.wake().await, Some(house.now()));
    assert_eq!(claimed(&house.claim(ROOMY).await), ids_of(&made));
}

pub(crate) async fn newer_work_never_starts_before_older_work_that_is_ready(house: &House) {
    house.entitle(plan(1, 60, 2)).await;
    let older = events("old", 4);
    assert_eq!(house.accept(&older, ROOMY).await.claims.len(), 2);
    house.advance(Span::from_millis(1_500)).await;
    let newer = event("new", vec![run(9, 9), notification(9)]);
    let newer_ids = ids_of(std::slice::from_ref(&newer));
    let claims = house.accept(&[newer], ROOMY).await.claims;
    assert_eq!(claimed(&claims), [ids_of(&older)[2], newer_ids[1]], "notifications queue apart");
    house.advance(secs(2)).await;
    let claims = house.accept(&events("newest", 3), ROOMY).await.claims;
    assert_eq!(claimed(&claims), [ids_of(&older)[3], newer_ids[0]]);
}

pub(crate) async fn a_refused_transaction_leaves_nothing(house: &House) {
    house.entitle(plan(1, 60, 5)).await;
    let first = events("e", 1);
    house.queue(&first).await;
    let mut clash = event("clash", vec![run(1, 1), run(1, 1)]);
    clash.executions[1].id = ids_of(&first)[0];
    let outcome = house.store.accept(&[event("other", vec![run(8, 8)]), clash.clone()], ROOMY).await;
    assert!(matches!(outcome, Err(StorageError::Conflict { .. })), "{outcome:?}");
    for (table, rows) in [("execution", 1), ("pending", 1), ("receipt", 1), ("lane", 1)] {
        assert_eq!(house.number(&format!("SELECT count(*) FROM {table}")).await, rows, "{table}");
    }
    assert_eq!(house.number("SELECT rate_tat_ns FROM account").await, 0, "no cell was taken");

    clash.executions[1].id = super::makers::new_id();
    let again = house.accept(&[clash, event("other", vec![run(8, 8)])], ROOMY).await;
    assert!(again.answers.iter().all(|answer| matches!(answer, Acceptance::Accepted(_))));
    assert_eq!(again.claims.len(), 4);
}

pub(crate) async fn the_same_event_at_two_owners_at_once_is_one_event(house: &House) {
    let other = house.another_store().await;
    for round in 0..10 {
        // A new account each time, so that its row comes into being at both places at once too.
        let name = account(&format!("new{round}"));
        let twins = [&house.store, &other].map(|store| {
            let (store, twin) = (store.clone(), event_of(&name, "e1", vec![run(1, 1), run(2, 2)]));
            tokio::spawn(async move { store.accept(&[twin], ROOMY).await.unwrap().answers.remove(0) })
        });
        let mut answers = Vec::new();
        for twin in twins {
            answers.push(twin.await.unwrap());
        }
        answers.sort_by_key(|answer| matches!(answer, Acceptance::Repeated(_)));
        let [Acceptance::Accepted(first), Acceptance::Repeated(second)] = &answers[..] else {
            panic!("round {round}: {answers:?}")
        };
        assert_eq!(first, second);
    }
    assert_eq!(house.number("SELECT count(*) FROM execution").await, 20);
}

pub(crate) async fn two_owners_that_accept_and_claim_at_once_keep_the_quota(house: &House) {
    house.entitle(plan(1, 60, 40)).await;
    house.queue(&events("old", 20)).await;
    let (ours, theirs, acme) = (house.store.clone(), house.another_store().await, house.acme.clone());
    let accepting = tokio::spawn(async move {
        let mut claims = Vec::new();
        for at in 0..20 {
            claims.extend(ours.accept(&events(&format!("new{at}-"), 3), 2).await.unwrap().claims);
        }
        claims
    });
    let claiming = tokio::spawn(async move {
        let mut claims = Vec::new();
        for _ in 0..20 {
            claims.extend(theirs.claim(&acme, 2).await.unwrap().claims);
        }
        claims
    });
    let mut started = claimed(&accepting.await.unwrap());
    started.extend(claimed(&claiming.await.unwrap()));
    started.extend(claimed(&house.claim(ROOMY).await));
    started.sort_unstable();
    started.dedup();
    assert_eq!(started.len(), 40, "the burst, no more and no less, none twice");
    let newest = "SELECT max(seq) FROM pending WHERE token IS NOT NULL";
    let oldest = "SELECT min(seq) FROM pending WHERE token IS NULL";
    assert!(house.number(newest).await < house.number(oldest).await, "in the order of acceptance");
}
