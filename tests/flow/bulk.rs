//! Retrying and cancelling all that a filter means.

use proto::dispatcher::v1::{
    CancelExecutionsRequest, EndReason, ExecutionFilter, ExecutionState, RetryExecutionsRequest,
};
use sluice_testkit::{Answer, Receiver};
use sluice_tests::requests::{automation, automation_webhook, delay, post, won};
use sluice_tests::{Deployment, House, PARENT, on_each_deployment};

on_each_deployment!(
    all_that_failed_for_a_reason_is_brought_back,
    all_that_waits_is_cancelled,
    a_filter_that_says_nothing_sensible_is_refused_whole,
);

async fn all_that_failed_for_a_reason_is_brought_back(deployment: Deployment) {
    let receiver = Receiver::start().await;
    receiver.script("/shop", [400, 403, 400, 200].map(Answer::status));
    let house = House::open(deployment).await;
    let (shop, _) = house.webhook(automation_webhook("Shop", &receiver.url("/shop"))).await;
    house.automation(automation("Tell the shop", [post(&shop, "{}")])).await;
    let mut fired = Vec::new();
    for number in 0..4 {
        let name = house.fires(won(&format!("e-{number}"))).await;
        house.all_ended().await;
        fired.push(name);
    }
    let filter = ExecutionFilter { end_reason: EndReason::RefusedByReceiver.into(), ..Default::default() };
    let request =
        RetryExecutionsRequest { parent: PARENT.to_owned(), filter: Some(filter), ..Default::default() };
    let answer = house.admin().retry_all(request.clone()).await.unwrap();
    assert_eq!((answer.matched_count, answer.retried_count, answer.next_page_token.as_str()), (2, 2, ""));
    for name in [&fired[0], &fired[2]] {
        let again = house.shows(name, ExecutionState::Succeeded).await;
        assert_eq!(again.deliveries[0].attempts.len(), 2, "its attempts go on");
    }
    assert_eq!(house.execution(&fired[1]).await.state(), ExecutionState::Failed);
    let nothing = house.admin().retry_all(request).await.unwrap();
    assert_eq!(nothing.matched_count, 0, "there is nothing left to do");
}

async fn all_that_waits_is_cancelled(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let house = House::open(deployment).await;
    let (shop, _) = house.webhook(automation_webhook("Shop", &receiver.url("/shop"))).await;
    house.automation(automation("Later", [delay(3_600), post(&shop, "{}")])).await;
    let mut fired = Vec::new();
    for number in 0..3 {
        fired.push(house.fires(won(&format!("e-{number}"))).await);
    }
    let waiting = ExecutionFilter { state: ExecutionState::Waiting.into(), ..Default::default() };
    let request =
        CancelExecutionsRequest { parent: PARENT.to_owned(), filter: Some(waiting), ..Default::default() };
    let answer = house.admin().cancel_all(request).await.unwrap();
    assert_eq!((answer.matched_count, answer.cancelled_count, answer.running_count), (3, 3, 0));
    for name in &fired {
        assert_eq!(house.execution(name).await.state(), ExecutionState::Cancelled);
    }
    assert!(receiver.hits().is_empty());
}

async fn a_filter_that_says_nothing_sensible_is_refused_whole(deployment: Deployment) {
    let house = House::open(deployment).await;
    let parent = PARENT.to_owned();
    let retry = RetryExecutionsRequest { parent: parent.clone(), ..Default::default() };
    let refused = house.admin().retry_all(retry).await.unwrap_err();
    assert_eq!((refused.reason.as_str(), refused.fields), ("INVALID_ARGUMENT", vec!["filter".to_owned()]));
    let filter = ExecutionFilter {
        state: ExecutionState::Succeeded.into(),
        object: "deal".to_owned(),
        ..Default::default()
    };
    let cancel =
        CancelExecutionsRequest { parent, filter: Some(filter), page_token: "of another".to_owned() };
    let refused = house.admin().cancel_all(cancel).await.unwrap_err();
    assert_eq!(refused.fields, ["filter.object", "filter.state", "page_token"]);
}
