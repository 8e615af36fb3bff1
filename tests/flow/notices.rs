//! Operational webhooks: whoever runs Sluice is told of receivers that fail, recover, or are given up, by event webhooks of the system
//! account.

use proto::dispatcher::v1::{ExecutionState, ListExecutionsRequest};
use serde_json::{Value, json};
use sluice_testkit::{Answer, Hit, Receiver};
use sluice_tests::requests::{automation, automation_webhook, deal, post, won};
use sluice_tests::{Deployment, House, SYSTEM_ACCOUNT, on_each_deployment, until};
use tonic::Code;

use super::delivery::assert_signed;

on_each_deployment!(
    who_runs_sluice_is_told_once_of_a_receiver_that_fails_recovers_and_is_given_up,
    who_runs_sluice_is_told_once_of_an_allowance_that_is_used_up,
    nobody_but_sluice_sends_events_of_the_system_account,
);

fn body(hit: &Hit) -> Value {
    serde_json::from_str(hit.text()).unwrap()
}

/// How many notices became events, as the system account's history has it.
async fn told_in_history(house: &House) -> usize {
    let all = ListExecutionsRequest { parent: format!("accounts/{SYSTEM_ACCOUNT}"), ..Default::default() };
    house.people().admin(SYSTEM_ACCOUNT).list_executions(all).await.unwrap().executions.len()
}

async fn who_runs_sluice_is_told_once_of_a_receiver_that_fails_recovers_and_is_given_up(
    deployment: Deployment,
) {
    let receiver = Receiver::start().await;
    receiver.script(
        "/in",
        [
            Answer::status(503),
            Answer::status(503),
            Answer::status(503),
            Answer::status(200),
            Answer::status(410),
        ],
    );
    let setup = House::setup(deployment)
        .with("dispatcher.breaker.failures=2")
        .with("dispatcher.breaker.over=1ms")
        .with("dispatcher.breaker.first=100ms")
        .with("dispatcher.breaker.longest=100ms");
    let house = setup.open().await;
    let (_, secret) = house.operations_webhook(&receiver.url("/operations"), "webhook").await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    house.dispatcher_heard("advanced").await;

    let first = house.fires(won("e-0")).await;
    house.shows(&first, ExecutionState::Succeeded).await;
    let second = house.fires(won("e-1")).await;
    house.shows(&second, ExecutionState::Failed).await;
    let hits = until("three notices are here", async || {
        let hits = receiver.hits_at("/operations");
        (hits.len() >= 3).then_some(hits)
    })
    .await;
    let told: Vec<Value> = hits.iter().map(body).collect();
    let kind = |kind: &str| {
        let of: Vec<&Value> = told.iter().filter(|told| told["type"] == kind).collect();
        assert_eq!(of.len(), 1, "{kind} once: {told:?}");
        of[0]["data"].clone()
    };
    let (failing, recovered) = (kind("webhook.failing"), kind("webhook.recovered"));
    assert_eq!(
        failing,
        json!({"account": "accounts/acme", "webhook": webhook, "failures": 2, "since": failing["since"]})
    );
    assert_eq!(recovered, json!({"account": "accounts/acme", "webhook": webhook, "since": failing["since"]}));
    let disabled = json!({"account": "accounts/acme", "webhook": webhook, "reason": "GONE"});
    assert_eq!(kind("webhook.disabled"), disabled);
    for hit in &hits {
        assert_signed(hit, &secret);
    }

    let shown = (told_in_history(&house).await, house.history().await.len());
    assert_eq!(shown, (3, 2), "in the system account's history alone");
}

async fn who_runs_sluice_is_told_once_of_an_allowance_that_is_used_up(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let mut house = House::open_on(deployment, "monthly").await;
    house.operations_webhook(&receiver.url("/operations"), "quota").await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    house.dispatcher_heard("monthly").await;
    let first = house.fires(won("e-0")).await;
    house.shows(&first, ExecutionState::Succeeded).await;
    assert_eq!(receiver.hits_at("/operations").len(), 0, "half of it is used");
    let second = house.fires(won("e-1")).await;
    house.shows(&second, ExecutionState::Succeeded).await;
    until("both are told", async || (receiver.hits_at("/operations").len() >= 2).then_some(())).await;
    house.restart().await;
    let third = house.fires(won("e-2")).await;
    house.shows(&third, ExecutionState::Paused).await;

    assert_eq!(told_in_history(&house).await, 2);
    let mut told: Vec<Value> = receiver.hits_at("/operations").iter().map(body).collect();
    told.sort_by_key(|told| told["data"]["percent"].as_i64());
    for (told, percent) in told.iter().zip([80, 100]) {
        let data = json!({"account": "accounts/acme", "percent": percent, "used": 2, "of": 2, "period_end": told["data"]["period_end"]});
        assert_eq!((&told["type"], &told["data"]), (&json!("quota.threshold"), &data));
    }
}

async fn nobody_but_sluice_sends_events_of_the_system_account(deployment: Deployment) {
    let house = House::open(deployment).await;
    let receiver = Receiver::start().await;
    house.operations_webhook(&receiver.url("/operations"), "*").await;
    let producer = house.people().producer(SYSTEM_ACCOUNT);
    let refused =
        producer.ingest(&format!("accounts/{SYSTEM_ACCOUNT}"), deal("e-1", "own")).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::InvalidArgument, "INVALID_ARGUMENT"));
    assert_eq!(refused.fields, ["parent"]);
    let refused = producer
        .ingest_batch(&format!("accounts/{SYSTEM_ACCOUNT}"), vec![deal("e-1", "own")])
        .await
        .unwrap_err();
    assert_eq!(refused.fields, ["parent"]);
    assert_eq!(receiver.hits().len(), 0);
}
