//! A collector that is gone or hangs is nobody's trouble but its own.

use std::time::{Duration, Instant};

use proto::dispatcher::v1::ExecutionState;
use sluice_testkit::Receiver;
use sluice_tests::requests::{automation, automation_webhook, post, won};
use sluice_tests::{Deployment, House, Shape, on_each_deployment};
use tokio::net::TcpListener;

/// Longer than the last spans may take to leave, shorter than a drain.
const END: Duration = Duration::from_secs(10);

on_each_deployment!(a_collector_that_is_gone_or_hangs_is_told_of_and_holds_nothing_up);

async fn a_collector_that_is_gone_or_hangs_is_told_of_and_holds_nothing_up(deployment: Deployment) {
    // It takes connections, as the operating system does for it, and never says a word.
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("telemetry.otlp_endpoint=http://{}", hanging.local_addr().unwrap());
    let mut house = House::setup(deployment).outside().with(endpoint).open().await;
    let receiver = Receiver::start().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    let name = house.fires(won("e-1")).await;
    house.shows(&name, ExecutionState::Succeeded).await;
    assert_ends_in_time(&mut house).await;

    drop(hanging);
    house.start().await;
    let name = house.fires(won("e-2")).await;
    house.shows(&name, ExecutionState::Succeeded).await;
    assert_ends_in_time(&mut house).await;
    let said = house.said();
    let of_losses = said.lines().filter(|line| line.contains("spans do not reach the collector")).count();
    let lives = match deployment.shape {
        Shape::OneProcess => 2,
        Shape::ThreeProcesses => 6,
    };
    assert!((1..=lives).contains(&of_losses), "once in each life of a process, not for each batch:\n{said}");
}

/// The end is in order, and not later than without a collector.
async fn assert_ends_in_time(house: &mut House) {
    #[expect(clippy::disallowed_methods, reason = "how long the processes take is real time")]
    let began = Instant::now();
    house.stop().await;
    assert!(began.elapsed() < END, "{:?}", began.elapsed());
}
