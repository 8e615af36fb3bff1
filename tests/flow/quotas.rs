//! What billing and operators do about an account's quota, through the public API.

use proto::dispatcher::v1::{
    ClosedGate, Execution, ExecutionState, GetQuotaRequest, GrantExecutionsRequest, PauseAccountRequest,
    PauseReason, Quota, ResumeAccountRequest, closed_gate,
};
use proto::evaluator::v1::IngestOutcome;
use sluice_testkit::Receiver;
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{
    Answer, Deployment, House, Mirror, PARENT, Person, micros, on_each_deployment, opened, until,
};
use tonic::Code;

on_each_deployment!(
    an_operators_pause_holds_everything_back_and_resuming_delivers_all_once_in_order,
    a_grant_lets_what_waits_for_the_allowance_start_and_counts_once,
    what_can_not_be_granted_or_noted_is_refused_with_every_field_and_rule,
    a_quota_is_shown_with_what_is_used_and_what_holds_the_rest_back,
);

const QUOTA: &str = "accounts/acme/quota";

async fn house(deployment: Deployment, plan: &'static str, receiver: &Receiver) -> House {
    let house = House::open_on(deployment, plan).await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, r#""{{ event.id }}""#)])).await;
    house
}

async fn quota(house: &House) -> Quota {
    let asked = house.admin().quotas().get_quota(GetQuotaRequest { name: QUOTA.to_owned() }).await;
    opened(asked).expect("the quota should be shown").quota.expect("the quota")
}

async fn grant(billing: &Person, units: i64, request_id: &str) -> Answer<Quota> {
    let request = GrantExecutionsRequest { name: QUOTA.to_owned(), units, request_id: request_id.to_owned() };
    Ok(opened(billing.quotas().grant_executions(request).await)?.quota.expect("the quota"))
}

async fn pause(billing: &Person, note: &str) -> Answer<Quota> {
    let request = PauseAccountRequest { name: PARENT.to_owned(), note: note.to_owned() };
    Ok(opened(billing.quotas().pause_account(request).await)?.quota.expect("the quota"))
}

async fn resume(billing: &Person) -> Answer<Quota> {
    let request = ResumeAccountRequest { name: PARENT.to_owned() };
    Ok(opened(billing.quotas().resume_account(request).await)?.quota.expect("the quota"))
}

/// The reasons why something is held back, with what they stand before.
fn closed(quota: &Quota) -> Vec<(closed_gate::Before, PauseReason)> {
    let gate = |gate: &ClosedGate| (gate.before.clone().unwrap(), gate.pause.unwrap().reason());
    quota.closed_gates.iter().map(gate).collect()
}

async fn an_operators_pause_holds_everything_back_and_resuming_delivers_all_once_in_order(
    deployment: Deployment,
) {
    let receiver = Receiver::start().await;
    let mut house = house(deployment, "advanced", &receiver).await;
    let billing = house.people().billing();
    let paused = pause(&billing, "the shop moves").await.unwrap();
    assert_eq!(paused.pause_note, "the shop moves");
    assert_eq!(closed(&paused), [(closed_gate::Before::Account(true), PauseReason::Operator)]);
    assert_eq!((paused.startable_executions, paused.startable_notifications), (0, 0));

    let mut names = Vec::new();
    for number in 0..6 {
        names.push(house.fires(won(&format!("e-{number}"))).await);
    }
    let waits = |execution: &Execution| {
        execution.state() == ExecutionState::Paused
            && execution.pause.unwrap().reason() == PauseReason::Operator
            && execution.attempt_count == 0
    };
    assert!(house.history().await.iter().all(waits), "from its acceptance on");
    let mut mirror = Mirror::new();
    mirror
        .see(&house.admin(), |seen| seen.closed.contains_key("account") && seen.executions.len() == 6)
        .await;
    assert_eq!(mirror.closed["account"].reason(), PauseReason::Operator);

    house.restart().await;
    assert!(house.history().await.iter().all(waits), "also over a restart");
    assert!(receiver.hits().is_empty());
    assert_eq!(quota(&house).await.waiting, 6);

    let billing = house.people().billing();
    let resumed = resume(&billing).await.unwrap();
    assert_eq!((closed(&resumed), resumed.pause_note.as_str()), (vec![], ""));
    let mut all = house.all_ended().await;
    all.reverse();
    assert_eq!(
        all.iter().map(|execution| &execution.name).collect::<Vec<_>>(),
        names.iter().collect::<Vec<_>>()
    );
    let once = |execution: &Execution| {
        (execution.state(), execution.attempt_count) == (ExecutionState::Succeeded, 1)
    };
    assert!(all.iter().all(once), "{all:?}");
    assert!(all.is_sorted_by_key(|execution| micros(execution.start_time)), "{all:?}");
    assert_eq!(receiver.hits().len(), 6);
    house.stop().await;
}

async fn a_grant_lets_what_waits_for_the_allowance_start_and_counts_once(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let house = house(deployment, "monthly", &receiver).await;
    for number in 0..6 {
        house.fires(won(&format!("e-{number}"))).await;
    }
    until("two have started, as the plan has it", async || {
        let shown = quota(&house).await;
        let used = shown.allowance.unwrap().used;
        (used == 2 && shown.waiting == 4).then_some(())
    })
    .await;
    let billing = house.people().billing();
    for _ in 0..3 {
        let allowance = grant(&billing, 3, "top-up 1").await.unwrap().allowance.unwrap();
        assert_eq!((allowance.amount, allowance.granted), (Some(2), 3));
    }
    until("three more have started", async || {
        let shown = quota(&house).await;
        let allowance = shown.allowance.unwrap();
        assert!(allowance.used <= 5, "{allowance:?}");
        (allowance.used == 5 && allowance.left == Some(0) && shown.waiting == 1).then_some(())
    })
    .await;
    let other = grant(&billing, 4, "top-up 1").await.unwrap_err();
    assert_eq!((other.code, other.reason.as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    grant(&billing, 1, "top-up 2").await.unwrap();
    assert_eq!(house.all_ended().await.len(), 6);
    assert_eq!(house.ingest(won("e-0")).await.outcome(), IngestOutcome::Repeated);
}

async fn what_can_not_be_granted_or_noted_is_refused_with_every_field_and_rule(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let house = house(deployment, "monthly", &receiver).await;
    let billing = house.people().billing();
    until("the dispatcher has heard of the plan", async || grant(&billing, 1, "probe").await.ok()).await;
    for units in [0, -1, i64::MIN, i64::MAX, 1_000_000_000_000_001] {
        let refused = grant(&billing, units, "").await.unwrap_err();
        assert_eq!(
            (refused.code, &refused.fields[..]),
            (Code::InvalidArgument, &["units".into(), "request_id".into()][..])
        );
        assert!(refused.details.contains("must be 1 to 1,000,000,000,000,000"), "{refused:?}");
    }
    let refused = grant(&billing, 1_000_000_000_000_000, "too much").await.unwrap_err();
    assert_eq!((refused.code, &refused.fields[..]), (Code::InvalidArgument, &["units".to_owned()][..]));
    assert!(refused.details.contains("all together must be at most"), "{refused:?}");
    assert_eq!(quota(&house).await.allowance.unwrap().granted, 1);
    for note in [String::new(), " ".into(), "x".repeat(501)] {
        let refused = pause(&billing, &note).await.unwrap_err();
        assert_eq!((refused.code, &refused.fields[..]), (Code::InvalidArgument, &["note".to_owned()][..]));
    }
    assert_eq!(quota(&house).await.closed_gates, []);
    let unknown = GetQuotaRequest { name: "accounts/initech/quota".to_owned() };
    let refused = opened(house.people().admin("initech").quotas().get_quota(unknown).await).unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "ACCOUNT_UNKNOWN"));
    assert_eq!(refused.metadata["account"], "initech");
}

async fn a_quota_is_shown_with_what_is_used_and_what_holds_the_rest_back(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let house = house(deployment, "tiny", &receiver).await;
    for number in 0..5 {
        house.fires(won(&format!("e-{number}"))).await;
    }
    let shown = until("two have started", async || {
        let shown = quota(&house).await;
        (shown.allowance.as_ref()?.used == 2).then_some(shown)
    })
    .await;
    let rate = shown.executions.unwrap();
    assert_eq!((rate.units, rate.per.unwrap().seconds, rate.burst, rate.free), (2, 3_600, 2, 0));
    assert_eq!((shown.startable_executions, shown.waiting, shown.max_waiting), (0, 3, 1_000_000));
    assert_eq!((shown.allowance.unwrap().amount, shown.automations), (None, true));
    assert_eq!(shown.startable_notifications, 600);
    assert_eq!(closed(&shown), [(closed_gate::Before::Automations(true), PauseReason::Quota)]);
    let until = shown.closed_gates[0].pause.unwrap().expected_end_time;
    assert_eq!(micros(until), micros(rate.next_free_time), "the next starts when the next cell is free");
    assert!(receiver.hits().len() <= 2);
}
