//! A service, or the database, is away for a while under load: what architecture.md promises of it, counted.
//!
//! Away for 5 s, or 30 s with `SLUICE_TEST_SIZE=full`; once ended in order and once killed, both backends at once.

use std::time::Duration;

use proto::dispatcher::v1::{ExecutionState, ListExecutionsRequest};
use sluice_runtime::Clock;
use sluice_testkit::Receiver;
use sluice_tests::ledgers::Ledgers;
use sluice_tests::producer::{Load, Told};
use sluice_tests::requests::{automation_webhook, deal, delay, post, titled};
use sluice_tests::{Backend, Deployment, House, Service, figures, until};

/// Producers that send one event after another.
const PRODUCERS: usize = 2;
/// The mean delay of retries in microseconds, as the houses have it at least.
const RETRY_AFTER: i64 = 50_000;

/// How it went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Ended,
    Killed,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_registry_what_is_known_goes_on_and_nothing_fails() {
    each(Service::Registry).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_evaluator_what_was_accepted_is_sent() {
    each(Service::Evaluator).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_dispatcher_producers_are_told_to_come_back_and_nothing_is_lost_or_doubled() {
    each(Service::Dispatcher).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_nothing_is_accepted_and_nothing_is_lost() {
    let (one, three) = (Deployment::one_process, Deployment::three_processes);
    tokio::join!(
        Box::pin(without_the_database(one(Backend::Postgres))),
        Box::pin(without_the_database(three(Backend::Postgres))),
    );
}

async fn each(service: Service) {
    let away = |backend, way| Box::pin(away(Deployment::three_processes(backend), service, way));
    tokio::join!(
        away(Backend::Sqlite, Way::Ended),
        away(Backend::Postgres, Way::Ended),
        away(Backend::Sqlite, Way::Killed),
        away(Backend::Postgres, Way::Killed),
    );
}

fn a_while() -> Duration {
    let full = sluice_testkit::full_size();
    Duration::from_secs(if full { 30 } else { 5 })
}

/// Under load, with an automation whose second request comes two seconds after the first.
async fn busy(deployment: Deployment, receiver: &Receiver) -> (House, Load) {
    let setup = House::setup(deployment)
        .outside()
        .proxied()
        .on_plan("boundless")
        // The lease is this and fifteen seconds.
        .with("dispatcher.delivery.connect_timeout=1s")
        .with("dispatcher.delivery.first_byte_timeout=2s")
        .with("dispatcher.delivery.timeout=2s");
    let house = setup.open().await;
    let (first, _) = house.webhook(automation_webhook("First", &receiver.url("/first"))).await;
    let (then, _) = house.webhook(automation_webhook("Then", &receiver.url("/then"))).await;
    house.automation(titled("two", [post(&first, "1"), delay(2), post(&then, "2")])).await;
    let load = Load::start(&house.producer(), PRODUCERS, |producer, number| {
        deal(&format!("load-{producer}-{number}"), "two")
    });
    until("both requests of some have arrived", async || {
        (receiver.hits_at("/then").len() >= 10).then_some(())
    })
    .await;
    (house, load)
}

async fn away(deployment: Deployment, service: Service, way: Way) {
    let receiver = Receiver::start().await;
    let (mut house, load) = busy(deployment, &receiver).await;
    match way {
        Way::Ended => {
            house.process(service).terminate();
            assert!(house.process(service).end_of().await.success());
        }
        Way::Killed => house.kill(service),
    }
    let gone = Clock::system().now().as_micros();
    let before = (receiver.hits_at("/first").len(), receiver.hits_at("/then").len());
    match service {
        Service::Registry | Service::Dispatcher => tokio::time::sleep(a_while()).await,
        Service::Evaluator => {
            all_are_sent(&house).await;
            tokio::time::sleep(a_while()).await;
        }
    }
    let first = receiver.hits_at("/first").len() - before.0;
    let then = receiver.hits_at("/then").len() - before.1;
    house.back(service).await;
    let told = load.stop().await;
    house.rests().await;
    let kills = if way == Way::Killed && service == Service::Dispatcher { vec![gone] } else { Vec::new() };
    let what = format!("{} {way:?} for {} s, {deployment}", service.name(), a_while().as_secs());
    settle(&what, &house, &receiver, &told, &kills, (first, then)).await;
    match service {
        Service::Registry => {
            assert_eq!((told.at_once, told.unavailable, told.broken), (told.accepted(), 0, 0));
            assert!(first > 0 && then > 0, "what is known is accepted and sent: {first}, {then}");
        }
        Service::Evaluator => assert!(told.broken > 0 && then > 0, "what was accepted is sent: {then}"),
        Service::Dispatcher => {
            assert_eq!((first, then), (0, 0));
            assert!(told.unavailable > 0 && told.broken == 0, "the evaluator says when to come back");
        }
    }
}

/// Waits until all that was accepted is delivered.
async fn all_are_sent(house: &House) {
    until("what was accepted is sent", async || {
        let newest = ListExecutionsRequest { page_size: 100, ..Default::default() };
        let all = house.listed(newest).await;
        all.iter().all(|execution| execution.state() == ExecutionState::Succeeded).then_some(())
    })
    .await;
}

async fn without_the_database(deployment: Deployment) {
    let receiver = Receiver::start().await;
    let (house, load) = busy(deployment, &receiver).await;
    let database = house.database().expect("the database should be behind a proxy");
    database.cut();
    let gone = Clock::system().now().as_micros();
    // What is on the wire has arrived by then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = (receiver.hits_at("/first").len(), receiver.hits_at("/then").len());
    tokio::time::sleep(a_while()).await;
    let first = receiver.hits_at("/first").len() - before.0;
    let then = receiver.hits_at("/then").len() - before.1;
    database.mend();
    let told = load.stop().await;
    house.rests().await;
    let what = format!("database away for {} s, {deployment}", a_while().as_secs());
    // What can't be recorded before its lease ends is rescued.
    settle(&what, &house, &receiver, &told, &[gone], (first, then)).await;
    assert_eq!((first, then), (0, 0), "nothing is claimed without it");
    assert!(told.unavailable > 0 && told.broken == 0);
}

/// Tells the figures and holds the ledgers against one another.
async fn settle(
    what: &str,
    house: &House,
    receiver: &Receiver,
    told: &Told,
    kills: &[i64],
    meanwhile: (usize, usize),
) {
    let ledgers = Ledgers::read(house, receiver, told.acknowledged.clone(), RETRY_AFTER).await;
    let (first, then) = meanwhile;
    figures(format_args!(
        "{what}: {told}; hits meanwhile: {first} new executions', {then} second requests'; {ledgers}"
    ));
    assert_eq!(told.refused, [], "{what}");
    assert_eq!(told.accepted(), told.at_once + told.with_one_retry + told.later, "{what}");
    assert_eq!(ledgers.violations(kills), Vec::<String>::new(), "{what}");
}
