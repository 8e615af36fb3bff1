//! Reading the history: one execution whole, and pages by key.

use std::collections::HashSet;
use std::sync::Arc;

use sluice_dispatcher::attempt::Verdict;
use sluice_dispatcher::execution::{End, EndReason, EndState, Next, PauseReason, State};
use sluice_dispatcher::filter::{Filter, StateName, TimeRange};
use sluice_dispatcher::record::Record;
use sluice_dispatcher::store::{ExecutionPage, NewEvent, PageKey, Retried, Work};
use sluice_domain::{ExecutionId, Span};

use super::makers::{
    House, ROOMY, account, advance, attempt, automation, event, events, failure, notification, plan, report,
    retry, run, secs, steps, success, unlimited, webhook,
};

pub(crate) async fn an_execution_is_shown_whole(house: &House) {
    house.entitle(unlimited(1)).await;
    let mut made = event("e1", vec![steps(1, &[(1, Span::ZERO), (2, secs(5))])]);
    made.event.cause = Some(super::makers::new_id());
    let accepted_at = house.now();
    let claim = house.start(made.clone()).await;
    let shown = house.shown(claim.execution).await;
    let execution = &shown.execution;
    assert_eq!((&execution.event, &execution.traceparent), (&made.event, &made.traceparent));
    assert_eq!((execution.automation, execution.automation_version), (Some(automation(1)), 7));
    assert_eq!((execution.generation, execution.accepted_at), (1, accepted_at));
    let Work::Deliver(plan) = &made.executions[0].work else { panic!("it delivers") };
    assert_eq!(&execution.plan, plan, "methods, paths, headers and bodies");
    assert_eq!(claim.cause, made.event.cause);
    assert_eq!((shown.state, shown.attempt_count), (State::Running, 1));
    assert_eq!((shown.attempts[0].verdict, shown.attempts[0].ended_at), (Verdict::Started, None));
}

pub(crate) async fn long_bodies_are_stored_compressed_and_are_sent_and_shown_as_they_were(house: &House) {
    house.entitle(unlimited(1)).await;
    let field = |number: usize| format!("\"field_{number}\":\"value {}\",", number * 7_919 % 1_000);
    let long: String = (0..400).map(field).collect();
    let mut made = event("e1", vec![steps(1, &[(1, Span::ZERO), (2, Span::ZERO)])]);
    let Work::Deliver(plan) = &mut made.executions[0].work else { panic!("it delivers") };
    Arc::make_mut(plan).deliveries[1].body = long.clone().into();
    let plan = Arc::clone(plan);
    let claim = house.start(made).await;
    let stored = house.number("SELECT CAST(length(bodies) AS BIGINT) FROM execution").await;
    assert!(stored * 3 < i64::try_from(long.len()).unwrap(), "{stored} of {} bytes", long.len());
    assert_eq!(house.shown(claim.execution).await.execution.plan, plan);
    house.record(retry(&claim, Span::ZERO)).await;
    assert_eq!(house.claim_one().await.plan, plan, "read back to be sent again");
}

pub(crate) async fn attempts_are_in_order_of_delivery_and_number(house: &House) {
    house.entitle(unlimited(1)).await;
    let made = event("e1", vec![steps(1, &[(1, Span::ZERO), (2, Span::ZERO), (1, Span::ZERO)])]);
    let mut claim = house.start(made).await;
    for _ in 0..11 {
        house.record(retry(&claim, Span::ZERO)).await;
        claim = house.claim_one().await;
    }
    for _ in 0..2 {
        house.record(advance(&claim)).await;
        claim = house.claim_one().await;
    }
    let order: Vec<(usize, i64)> = house
        .shown(claim.execution)
        .await
        .attempts
        .iter()
        .map(|attempt| (attempt.step, attempt.number))
        .collect();
    let mut meant: Vec<(usize, i64)> = (1..=12).map(|number| (0, number)).collect();
    meant.extend([(1, 1), (2, 1)]);
    assert_eq!(order, meant, "by number, not by text");
}

async fn page(house: &House, filter: &Filter, after: Option<PageKey>, size: usize) -> ExecutionPage {
    house.store.executions(&house.acme, filter, after, size).await.unwrap()
}

fn in_state(state: StateName) -> Filter {
    Filter { states: vec![state], ..Filter::default() }
}

fn ids(page: &ExecutionPage) -> Vec<ExecutionId> {
    page.executions.iter().map(|shown| shown.execution.id).collect()
}

pub(crate) async fn pages_have_no_gap_and_no_repeat_while_more_arrives(house: &House) {
    let mut first: Vec<ExecutionId> = house.queue(&events("e", 50)).await;
    first.reverse();
    let (mut seen, mut after, mut round) = (Vec::new(), None, 0);
    loop {
        let page = page(house, &Filter::default(), after, 7).await;
        assert!(page.executions.len() <= 7);
        seen.extend(ids(&page));
        house.queue(&events(&format!("late{round}-"), 3)).await;
        round += 1;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, first, "newest first, each once, none that came later");
    let all = page(house, &Filter::default(), None, 500).await;
    assert_eq!((all.executions.len(), all.next), (50 + 3 * round, None));
    let exact = page(house, &Filter::default(), None, 50 + 3 * round).await;
    assert_eq!(exact.next, None, "the last page, just full, has no next");
}

pub(crate) async fn filters_by_automation_webhook_and_state(house: &House) {
    house.entitle(plan(1, 60, 6)).await;
    let made = event(
        "e1",
        vec![
            run(1, 1),
            run(1, 2),
            run(2, 1),
            run(2, 2),
            steps(2, &[(1, Span::ZERO), (3, Span::ZERO)]),
            run(3, 3),
        ],
    );
    let claims = house.accept(&[made], ROOMY).await.claims;
    house.record(success(&claims[0])).await;
    house.record(failure(&claims[1])).await;
    house.record(retry(&claims[2], secs(60))).await;
    let mut late = house.queue(&events("late", 1)).await;
    late.extend(house.queue(&[event("note", vec![notification(9)])]).await);
    let of = |places: &[usize]| places.iter().map(|at| claims[*at].execution).collect::<Vec<_>>();

    let cases: Vec<(&str, Filter, Vec<ExecutionId>)> = vec![
        ("automation", Filter { automation: Some(automation(2)), ..Filter::default() }, of(&[4, 3, 2])),
        ("webhook", Filter { webhook: Some(webhook(3)), ..Filter::default() }, of(&[5, 4])),
        (
            "both",
            Filter { automation: Some(automation(2)), webhook: Some(webhook(1)), ..Filter::default() },
            of(&[4, 2]),
        ),
        ("running", in_state(StateName::Running), of(&[5, 4, 3])),
        ("failed", in_state(StateName::Ended(EndState::Failed)), of(&[1])),
        ("waiting", in_state(StateName::Waiting), of(&[2])),
        ("paused", in_state(StateName::Paused), vec![late[0]]),
        ("queued", in_state(StateName::Queued), vec![late[1]]),
        (
            "none",
            Filter { automation: Some(automation(1)), webhook: Some(webhook(3)), ..Filter::default() },
            vec![],
        ),
    ];
    for (name, filter, meant) in cases {
        let whole = page(house, &filter, None, 100).await;
        assert_eq!((ids(&whole), whole.next), (meant.clone(), None), "{name}");
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let one = page(house, &filter, after, 1).await;
            seen.extend(ids(&one));
            after = one.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, meant, "{name} one by one");
    }
}

async fn shown(house: &House, filter: &Filter) -> Vec<ExecutionId> {
    let whole = page(house, filter, None, 100).await;
    let (mut one_by_one, mut after) = (Vec::new(), None);
    loop {
        let one = page(house, filter, after, 1).await;
        one_by_one.extend(ids(&one));
        after = one.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((one_by_one, whole.next), (ids(&whole), None), "one by one as all at once: {filter:?}");
    ids(&whole)
}

pub(crate) async fn what_ended_otherwise_than_well_is_found_by_its_end_and_reason(house: &House) {
    house.entitle(unlimited(1)).await;
    let claims = house.accept(&events("e", 6), ROOMY).await.claims;
    let of = |places: &[usize]| places.iter().map(|at| claims[*at].execution).collect::<Vec<_>>();
    let began = house.now();
    for at in [4, 1, 3] {
        house.record(failure(&claims[at])).await;
        house.advance(secs(60)).await;
    }
    house.record(report(&claims[0], Some(attempt(&claims[0], Verdict::Failed)), forbidden())).await;
    house.record(success(&claims[2])).await;
    let cancelled = house.queue(&events("c", 1)).await;
    house.store.cancel(&house.acme, cancelled[0]).await.unwrap();

    let failed = in_state(StateName::Ended(EndState::Failed));
    assert_eq!(shown(house, &failed).await, of(&[0, 3, 1, 4]), "the latest end first");
    let reason = |reason| Filter { end_reason: Some(reason), ..failed.clone() };
    assert_eq!(shown(house, &reason(EndReason::RefusedByReceiver)).await, of(&[3, 1, 4]));
    assert_eq!(shown(house, &reason(EndReason::Forbidden)).await, of(&[0]));
    assert_eq!(shown(house, &in_state(StateName::Ended(EndState::Cancelled))).await, cancelled);
    assert_eq!(shown(house, &in_state(StateName::Ended(EndState::Stopped))).await, []);
    let between = |from: i64, until: i64| TimeRange {
        from: Some(began.plus(secs(from))),
        until: Some(began.plus(secs(until))),
    };
    let ended = |from, until| Filter { ended: between(from, until), ..failed.clone() };
    assert_eq!(shown(house, &ended(60, 180)).await, of(&[3, 1]), "its first instant and not its last");
    let any = Filter { ended: between(180, 181), ..Filter::default() };
    let meant: HashSet<_> = of(&[2, 0]).into_iter().chain(cancelled.clone()).collect();
    assert_eq!(shown(house, &any).await.into_iter().collect::<HashSet<_>>(), meant, "in whatever state");
    assert_eq!(shown(house, &in_state(StateName::Ended(EndState::Succeeded))).await, of(&[2]));

    // What is opened again is not over, and is found by its next end, not by the one before.
    assert_eq!(house.store.retry(&house.acme, claims[1].execution).await.unwrap(), Retried::Reopened);
    assert_eq!(shown(house, &failed).await, of(&[0, 3, 4]));
    let again = house.claim_one().await;
    house.advance(secs(60)).await;
    house.record(failure(&again)).await;
    assert_eq!(shown(house, &failed).await, of(&[1, 0, 3, 4]));
    let indexed = house.number("SELECT count(*) FROM ending WHERE account IS NOT NULL").await;
    assert_eq!(indexed, 5, "four that failed and one that was cancelled; success is in no index");
}

fn forbidden() -> Next {
    Next::End(End::failed(EndReason::Forbidden, "answered 403"))
}

pub(crate) async fn what_happened_to_a_record_is_found_among_all_others(house: &House) {
    let about = |id: &str, object: &str, record: &str| {
        let mut made = event(id, vec![run(1, 1)]);
        (made.event.object, made.event.record_id) = (object.into(), record.into());
        made
    };
    let mut meant = house.queue(&[about("a", "deal", "4711"), about("b", "person", "4711")]).await;
    // More than one cut of the index lies between.
    let wide = |at: usize| event(&format!("e{at}"), (0..1_000).map(|_| run(1, 1)).collect());
    house.queue(&(0..2).map(wide).collect::<Vec<_>>()).await;
    meant.extend(house.queue(&[about("c", "deal", "4711"), about("d", "deal", "471")]).await);
    meant.truncate(3);
    let mut theirs = about("a", "deal", "4711");
    theirs.account = account("other");
    house.accept(&[theirs], 0).await;

    let record = |object: Option<&str>| Filter {
        record: Some(Record { id: "4711".into(), object: object.map(str::to_owned) }),
        ..Filter::default()
    };
    assert_eq!(shown(house, &record(None)).await, [meant[2], meant[1], meant[0]]);
    assert_eq!(shown(house, &record(Some("deal"))).await, [meant[2], meant[0]]);
    assert_eq!(shown(house, &record(Some("note"))).await, []);
    let waiting = Filter { states: vec![StateName::Running], ..record(None) };
    assert_eq!(shown(house, &waiting).await, [], "all filters must hold");
}

pub(crate) async fn what_is_not_over_is_found_however_much_is(house: &House) {
    house.entitle(plan(1, 60, 4)).await;
    let first = house.accept(&[event("a", vec![run(1, 1), run(1, 1), run(1, 1)])], ROOMY).await.claims;
    house.record(retry(&first[1], secs(600))).await;
    house.record(success(&first[2])).await;
    let delayed = house.queue(&[event("d", vec![steps(1, &[(1, secs(60))])])]).await[0];
    let mut ready = house.queue(&events("q", 3)).await;
    let note = house.queue(&[event("n", vec![notification(2)])]).await[0];
    assert_eq!(shown(house, &in_state(StateName::Running)).await, [first[0].execution]);
    assert_eq!(shown(house, &in_state(StateName::Waiting)).await, [delayed, first[1].execution]);
    let paused = Filter { pause_reason: Some(PauseReason::Quota), ..in_state(StateName::Paused) };
    assert_eq!(shown(house, &in_state(StateName::Queued)).await, [note, ready[0]], "one cell is left");
    let starts_first = ready.remove(0);
    ready.reverse();
    assert_eq!(shown(house, &paused).await, ready);
    let other = Filter { pause_reason: Some(PauseReason::Plan), ..in_state(StateName::Paused) };
    assert_eq!(shown(house, &other).await, []);
    house.put_gate(webhook(1), 1, true).await;
    let disabled = Filter { pause_reason: Some(PauseReason::WebhookDisabled), ..in_state(StateName::Paused) };
    house.advance(secs(60)).await;
    let held = [ready, vec![starts_first, delayed]].concat();
    assert_eq!(shown(house, &disabled).await, held, "what has come due is held back, too");
}

pub(crate) async fn a_time_of_acceptance_bounds_what_is_looked_at(house: &House) {
    let mut made = Vec::new();
    for hour in 0..5 {
        let minted = house.now();
        let mut late = event(&format!("e{hour}"), vec![run(1, 1)]);
        late.executions[0].id = ExecutionId::mint(minted, [7; 10]);
        made.extend(house.queue(&[late]).await);
        house.advance(secs(7_200)).await;
    }
    let at = |hour: i64| Some(house.now().minus(secs(7_200 * (5 - hour))));
    let accepted = |from, until| Filter { accepted: TimeRange { from, until }, ..Filter::default() };
    assert_eq!(shown(house, &accepted(at(1), at(4))).await, [made[3], made[2], made[1]]);
    assert_eq!(shown(house, &accepted(at(4), None)).await, [made[4]]);
    assert_eq!(shown(house, &accepted(None, at(1))).await, [made[0]]);
    assert_eq!(shown(house, &accepted(at(5), None)).await, []);
}

pub(crate) async fn a_page_that_looked_far_ends_with_a_cursor(house: &House) {
    let wanted = house.queue(&[event("old", vec![run(2, 2)])]).await;
    let wide = |at: usize| event(&format!("e{at}"), (0..1_000).map(|_| run(1, 1)).collect());
    let made: Vec<NewEvent> = (0..10).map(wide).collect();
    house.queue(&made).await;
    let filter = Filter { automation: Some(automation(2)), ..Filter::default() };
    let first = page(house, &filter, None, 10).await;
    assert!(
        first.executions.is_empty() && first.next.is_some(),
        "it looked at 10,000 and says where it stopped"
    );
    let second = page(house, &filter, first.next, 10).await;
    assert_eq!((ids(&second), second.next), (wanted, None));
}

fn traced(trace: &str, made: NewEvent) -> NewEvent {
    NewEvent { traceparent: format!("00-{trace}-00f067aa0ba902b7-01"), ..made }
}

pub(crate) async fn a_trace_is_found_among_all_others_and_pages_by_key(house: &House) {
    let (wanted, another) = ("0123456789abcdef0123456789abcdef", "00000000000000000000000000000001");
    let of = |id: &str, runs: Vec<_>| traced(wanted, event(id, runs));
    let mut meant = house
        .queue(&[of("a", vec![run(1, 1), run(2, 2)]), traced(another, event("b", vec![run(1, 1)]))])
        .await;
    meant.truncate(2);
    // More than one cut of the index lies between.
    let wide = |at: usize| event(&format!("e{at}"), (0..1_000).map(|_| run(1, 1)).collect());
    house.queue(&(0..9).map(wide).collect::<Vec<_>>()).await;
    meant.extend(house.queue(&[of("c", vec![run(2, 1)])]).await);
    let other = account("other");
    house.accept(&[traced(wanted, super::makers::event_of(&other, "a", vec![run(1, 1)]))], 0).await;
    meant.reverse();

    let filter = Filter { trace: wanted.parse().ok(), ..Filter::default() };
    for size in [1, 2, 3, 100] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = page(house, &filter, after, size).await;
            seen.extend(ids(&page));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, meant, "newest first, {size} at a time");
    }
    let narrowed = Filter { automation: Some(automation(2)), ..filter.clone() };
    assert_eq!(ids(&page(house, &narrowed, None, 100).await), [meant[0], meant[1]]);
    let unknown = Filter { trace: "ff".repeat(16).parse().ok(), ..Filter::default() };
    let nothing = page(house, &unknown, None, 100).await;
    assert_eq!((ids(&nothing), nothing.next), (vec![], None));
    let theirs = house.store.executions(&other, &filter, None, 100).await.unwrap();
    assert_eq!(theirs.executions.len(), 1, "another account's share of the trace is its own");
}

pub(crate) async fn a_foreign_account_sees_nothing(house: &House) {
    let mine: HashSet<ExecutionId> = house.queue(&events("e", 3)).await.into_iter().collect();
    let other = account("other");
    assert!(
        house.store.executions(&other, &Filter::default(), None, 10).await.unwrap().executions.is_empty()
    );
    let theirs = super::makers::event_of(&other, "e0", vec![run(1, 1)]);
    house.accept(&[theirs], 0).await;
    let seen = house.store.executions(&other, &Filter::default(), None, 10).await.unwrap();
    assert_eq!(seen.executions.len(), 1);
    assert!(!mine.contains(&seen.executions[0].execution.id));
    for id in mine {
        assert!(house.store.execution(&other, id).await.unwrap().is_none());
    }
}

pub(crate) async fn what_has_just_come_due_is_shown_queued_while_there_is_quota(house: &House) {
    house.entitle(plan(1, 60, 2)).await;
    let delayed = || event("delayed", vec![steps(1, &[(1, secs(10))])]);
    let ids = house.queue(&[delayed()]).await;
    house.advance(secs(10)).await;
    assert_eq!(house.state(ids[0]).await, State::Queued);
    assert_eq!(house.claim(1).await.len(), 1);
    let others = house.queue(&[event("again", vec![steps(1, &[(1, secs(1))]), run(1, 1)])]).await;
    assert_eq!(house.state(others[1]).await, State::Queued);
    assert_eq!(house.claim(ROOMY).await.len(), 1);
    house.entitle(plan(2, 1, 1)).await;
    house.advance(secs(1)).await;
    assert!(matches!(house.state(others[0]).await, State::Paused(PauseReason::Quota, _)));
}
