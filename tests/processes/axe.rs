//! Killed with hundreds paused by the quota, hundreds delayed, hundreds to be retried, and requests on the wire: nothing is lost, the
//! quota holds over the kill, and the history knows of each request.

use std::collections::HashSet;

use proto::dispatcher::v1::{AttemptOutcome, ExecutionState, ListExecutionsRequest};
use proto::event::v1::Event;
use sluice_runtime::Clock;
use sluice_testkit::{Answer, Hit, Receiver};
use sluice_tests::ledgers::{Ledgers, Standing};
use sluice_tests::producer::{Load, Told};
use sluice_tests::requests::{automation_webhook, deal, delay, event_webhook, noted, post, titled};
use sluice_tests::starts::Promise;
use sluice_tests::{Backend, Deployment, House, Service, figures, until};

/// At least so many of each kind wait when the axe falls.
const OF_EACH: usize = 300;
/// Requests that a receiver has and has not answered.
const ON_THE_WIRE: usize = 40;
/// Executions sent beyond the burst, of which some start while the others are sent.
const PACED: usize = 600;
/// Events of a batch.
const BATCH: usize = 100;
/// The plan `paced`.
const PROMISE: Promise = Promise { units: 1_200, per_seconds: 60, burst: 840 };
/// As the settings below have it.
const RETRY_AFTER: i64 = 20_000_000;

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victims {
    Everybody,
    TheDispatcher,
}

/// What waits for a lease waits on both backends at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_sluice_up_is_killed() {
    on_both(Deployment::one_process, Victims::Everybody).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_all_three_processes_are_killed() {
    on_both(Deployment::three_processes, Victims::Everybody).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_dispatcher_alone_is_killed() {
    on_both(Deployment::three_processes, Victims::TheDispatcher).await;
}

async fn on_both(deployment: fn(Backend) -> Deployment, victims: Victims) {
    let (sqlite, postgres) = (deployment(Backend::Sqlite), deployment(Backend::Postgres));
    tokio::join!(Box::pin(falls(sqlite, victims)), Box::pin(falls(postgres, victims)));
}

async fn falls(deployment: Deployment, victims: Victims) {
    let receiver = Receiver::start().await;
    receiver.answer_with(answers());
    let mut house = open(deployment, &receiver).await;
    let mut told = fill(&house).await;
    let load = Load::start(&house.producer(), 2, |producer, number| {
        deal(&format!("live-{producer}-{number}"), "pace")
    });
    told.batch(&house.producer(), (0..ON_THE_WIRE).map(|number| noted(&format!("n-{number}"))).collect())
        .await;
    until("the requests are on the wire", async || {
        (receiver.hits_at("/hold").len() >= ON_THE_WIRE).then_some(())
    })
    .await;
    match victims {
        Victims::Everybody => house.kill_all(),
        Victims::TheDispatcher => house.kill(Service::Dispatcher),
    }
    let kill = Clock::system().now().as_micros();

    match victims {
        Victims::Everybody => house.start().await,
        Victims::TheDispatcher => house.back(Service::Dispatcher).await,
    }
    let told = told.and(load.stop().await);
    assert_eq!(told.refused, []);
    house.rests().await;
    let ledgers = Ledgers::read(&house, &receiver, told.acknowledged.clone(), RETRY_AFTER).await;
    let at_the_kill = ledgers.standing_at(kill);
    let excess = PROMISE.excess(&ledgers.starts());
    figures(format_args!(
        "axe, {deployment}, {victims:?} killed with {at_the_kill:?}; {ledgers}; starts beyond the quota: {excess}"
    ));
    let Standing { paused, delayed, retrying, on_the_wire } = at_the_kill;
    assert!(paused.min(delayed).min(retrying) >= OF_EACH && on_the_wire >= ON_THE_WIRE, "{at_the_kill:?}");
    assert_eq!(ledgers.violations(&[kill]), Vec::<String>::new());
    assert_eq!(excess, 0, "starts beyond the quota");
    let held = ledgers.outcomes_at("/hold");
    let cut_off = held.iter().filter(|outcome| **outcome == AttemptOutcome::Interrupted).count();
    assert_eq!(
        (held.len(), cut_off),
        (2 * ON_THE_WIRE, ON_THE_WIRE),
        "what was on the wire is on record as cut off"
    );
}

/// What the receiver answers: at `/retry` 503 and at `/hold` nothing, until a delivery comes again; 200 elsewhere.
fn answers() -> impl FnMut(&Hit) -> Answer {
    let mut seen = HashSet::new();
    move |hit| {
        let again = !seen.insert(hit.header("webhook-id").to_owned());
        match hit.path() {
            "/retry" if !again => Answer::status(503),
            "/hold" if !again => Answer::hang(),
            _ => Answer::status(200),
        }
    }
}

async fn open(deployment: Deployment, receiver: &Receiver) -> House {
    let setup = House::setup(deployment)
        .outside()
        .on_plan("paced")
        .with("dispatcher.retry.first=20s")
        .with("dispatcher.retry.longest=20s")
        // Long enough that what is held is held until the kill; the lease is this and fifteen seconds.
        .with("dispatcher.delivery.connect_timeout=3s")
        .with("dispatcher.delivery.first_byte_timeout=4s")
        .with("dispatcher.delivery.timeout=4s");
    let house = setup.open().await;
    let mut webhooks = Vec::new();
    for path in ["/retry", "/delay", "/pace"] {
        webhooks.push(house.webhook(automation_webhook(path, &receiver.url(path))).await.0);
    }
    let [retry, delayed, pace] = &webhooks[..] else { panic!("three webhooks") };
    house.automation(titled("retry", [post(retry, "1")])).await;
    house.automation(titled("delay", [post(delayed, "1"), delay(25), post(delayed, "2")])).await;
    house.automation(titled("pace", [post(pace, "1")])).await;
    let (notes, _) = house.webhook(event_webhook("Notes", &receiver.url("/hold"), "note")).await;
    house.heard_of(&notes).await;
    house
}

/// Sends what is delayed and what is to be retried while the burst lasts, then more than the quota lets start.
async fn fill(house: &House) -> Told {
    let producer = house.producer();
    let mut told = Told::default();
    let batch = |title: &str, from: usize| -> Vec<Event> {
        (from..from + BATCH).map(|number| deal(&format!("{title}-{number}"), title)).collect()
    };
    for from in (0..OF_EACH + 10).step_by(BATCH) {
        told.batch(&producer, batch("delay", from)).await;
        told.batch(&producer, batch("retry", from)).await;
    }
    for from in (0..PACED).step_by(BATCH) {
        told.batch(&producer, batch("pace", from)).await;
    }
    let request =
        ListExecutionsRequest { state: ExecutionState::Waiting.into(), page_size: 100, ..Default::default() };
    until("what is delayed and what is to be retried has had its first request", async || {
        (house.listed(request.clone()).await.len() >= 2 * OF_EACH).then_some(())
    })
    .await;
    told
}
