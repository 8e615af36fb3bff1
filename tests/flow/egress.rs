//! Where a request goes is judged again when it is sent.

use proto::dispatcher::v1::{EndReason, ExecutionState};
use sluice_testkit::Receiver;
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{Deployment, House, on_each_deployment};

on_each_deployment!(a_target_that_is_forbidden_when_it_is_sent_to_is_never_dialled);

async fn a_target_that_is_forbidden_when_it_is_sent_to_is_never_dialled(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let mut house = House::open(deployment).await;
    let named = receiver.url("/in").replace("127.0.0.1", "localhost");
    let mut automations = Vec::new();
    for (id, url) in [("by-address", receiver.url("/in")), ("by-name", named)] {
        let (webhook, _) = house.webhook(automation_webhook(id, &url)).await;
        automations.push((id, house.automation(automation(id, [post(&webhook, "{}")])).await));
    }
    for (_, name) in &automations {
        house.admin().deactivate(name).await.unwrap();
    }
    // What was allowed when the webhooks were registered is allowed no more.
    house.set("egress.allow=[]");
    house.restart().await;
    for (id, name) in automations {
        house.admin().activate(&name).await.unwrap();
        let execution = house.fires(won(id)).await;
        let failed = house.shows(&execution, ExecutionState::Failed).await;
        let end = failed.end.unwrap();
        assert_eq!(end.reason(), EndReason::TargetForbidden, "{id}");
        let errors = failed.deliveries[0].attempts.iter().map(|attempt| attempt.error.as_str());
        for said in errors.chain([end.message.as_str()]) {
            assert!(
                !said.contains("127.") && !said.contains("loopback"),
                "our network is nobody's business: {said}"
            );
        }
        house.admin().deactivate(&name).await.unwrap();
    }
    assert!(receiver.hits().is_empty());
}
