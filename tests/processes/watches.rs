//! Who watches misses nothing when what it watches is killed.

use proto::dispatcher::v1::{ExecutionChangeKind as Kind, ExecutionState};
use sluice_testkit::{Answer, Receiver};
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{Backend, Deployment, House, Mirror, Service, on_each_backend};

on_each_backend!(a_watch_goes_on_over_kills_and_has_every_change_in_its_order);

async fn a_watch_goes_on_over_kills_and_has_every_change_in_its_order(backend: Backend) {
    let receiver = Receiver::start().await;
    receiver.script(
        "/shop",
        [Answer::status(503), Answer::status(200), Answer::status(503), Answer::status(200)],
    );
    // The lease is this and fifteen seconds.
    let mut house = House::setup(Deployment::three_processes(backend))
        .outside()
        .with("dispatcher.delivery.connect_timeout=500ms")
        .with("dispatcher.delivery.first_byte_timeout=1s")
        .with("dispatcher.delivery.timeout=1s")
        .open()
        .await;
    let (shop, _) = house.webhook(automation_webhook("Shop", &receiver.url("/shop"))).await;
    house.automation(automation("Tell", [post(&shop, "1")])).await;
    let mut mirror = Mirror::new();
    for round in 0..4 {
        for number in 0..6 {
            house.fires(won(&format!("e-{round}-{number}"))).await;
        }
        let some = 3 + 6 * round;
        mirror.see(&house.admin(), |seen| seen.executions.len() >= some).await;
        house.kill(Service::Dispatcher);
        house.back(Service::Dispatcher).await;
    }
    mirror.see(&house.admin(), |seen| seen.count(ExecutionState::Succeeded) == 24).await;
    for execution in house.all_ended().await {
        let seen = &mirror.executions[&execution.name];
        assert_eq!((seen.state(), &seen.end), (execution.state(), &execution.end));
        let whole = house.execution(&execution.name).await;
        let told = &mirror.changes[&execution.name];
        let ended: Vec<i32> = told
            .iter()
            .filter(|(kind, ..)| *kind == Kind::AttemptEnded)
            .map(|(_, _, number)| *number)
            .collect();
        let mut on_record: Vec<i32> =
            whole.deliveries[0].attempts.iter().map(|attempt| attempt.number).collect();
        on_record.sort_unstable();
        let mut once = ended.clone();
        once.dedup();
        assert_eq!(once, on_record, "every attempt, in its order: {told:?}");
        assert_eq!(told.first().map(|(kind, ..)| *kind), Some(Kind::Accepted), "{told:?}");
    }
    house.stop().await;
}
