//! Ordering by record, with a receiver that fails, hangs and breaks off, and a dispatcher that is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proto::event::v1::Event;
use proto::registry::v1::{CreateWebhookRequest, WebhookOrdering};
use serde_json::{Value, json};
use sluice_testkit::{Answer, Hit, Receiver};
use sluice_tests::requests::{event_webhook, updated};
use sluice_tests::{Backend, Deployment, House, PARENT, Service, figures, until, within};

/// How many events there are, about how many records.
const EVENTS: usize = 1_000;
const RECORDS: usize = 20;
/// How many are acknowledged before the next are sent.
const BATCH: usize = 100;
/// A record of its own for what only shows that the webhooks are known.
const PROBE: &str = "probe";
const PATIENCE: Duration = Duration::from_secs(180);

/// A lease is long, so both backends wait for theirs at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_requests_about_a_record_arrive_in_its_order_whatever_fails_hangs_or_is_killed() {
    let (sqlite, postgres) = (is_in_order(Backend::Sqlite), is_in_order(Backend::Postgres));
    tokio::join!(Box::pin(sqlite), Box::pin(postgres));
}

fn event(number: usize) -> Event {
    let record_id = format!("{}", number % RECORDS);
    Event { record_id, ..updated(&format!("{number}"), json!({"n": 0}), json!({"n": number})) }
}

fn ordered(name: &str, url: &str) -> CreateWebhookRequest {
    let mut request = event_webhook(name, url, "deal");
    if let Some(webhook) = &mut request.webhook {
        webhook.set_ordering(WebhookOrdering::Record);
    }
    request
}

/// The record and the number of the event that a request tells of.
fn told(hit: &Hit) -> (String, usize) {
    let body: Value = serde_json::from_str(hit.text()).unwrap();
    let record = body["meta"]["record_id"].as_str().unwrap().to_owned();
    (record, usize::try_from(body["data"]["n"].as_u64().unwrap()).unwrap())
}

/// What becomes of an event's first request; every further one is answered well.
fn answer(number: usize, first: bool) -> Answer {
    match number {
        _ if !first => Answer::status(200),
        _ if number % 97 == 5 => Answer::hang(),
        _ if number % 53 == 7 => Answer::close(),
        _ if number % 101 == 9 => Answer::status(400),
        _ if number % 11 == 3 => Answer::status(503),
        _ => Answer::status(200),
    }
}

async fn is_in_order(backend: Backend) {
    let (receiver, free) = (Receiver::start().await, Receiver::start().await);
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    receiver.answer_with(move |hit| {
        let (_, number) = told(hit);
        answer(number, seen.insert(number))
    });
    // The lease is the timeout and fifteen seconds.
    let setup = House::setup(Deployment::three_processes(backend))
        .with("dispatcher.delivery.connect_timeout=500ms")
        .with("dispatcher.delivery.first_byte_timeout=1s")
        .with("dispatcher.delivery.timeout=1s");
    let mut house = setup.on_plan("boundless").open().await;
    house.webhook(ordered("In order", &receiver.url("/ordered"))).await;
    house.webhook(event_webhook("Free", &free.url("/free"), "deal")).await;

    let mut probes = 0;
    until("the evaluator has heard of both", async || {
        probes += 1;
        let probe = Event { record_id: PROBE.into(), id: format!("{PROBE}-{probes}"), ..event(EVENTS) };
        (house.ingest(probe).await.executions.len() == 2).then_some(())
    })
    .await;
    let all: Vec<Event> = (0..EVENTS).map(event).collect();
    for (at, batch) in all.chunks(BATCH).enumerate() {
        house.producer().ingest_batch(PARENT, batch.to_vec()).await.unwrap();
        if at == 3 || at == 7 {
            receiver.wait_for(at * 10).await;
            house.kill(Service::Dispatcher);
            house.back(Service::Dispatcher).await;
        }
    }
    within(PATIENCE, "everything is over", async || {
        house.history().await.iter().all(|execution| execution.end.is_some()).then_some(())
    })
    .await;

    let mut by_record: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for hit in receiver.hits() {
        let (record, number) = told(&hit);
        by_record.entry(record).or_default().push(number);
    }
    by_record.remove(PROBE);
    let hits: usize = by_record.values().map(Vec::len).sum();
    for (record, numbers) in &by_record {
        assert!(numbers.is_sorted(), "record {record}: {numbers:?}");
        let distinct: BTreeSet<&usize> = numbers.iter().collect();
        assert_eq!(distinct.len(), EVENTS / RECORDS, "record {record}: {numbers:?}");
    }
    let others: BTreeSet<usize> = free.hits().iter().map(|hit| told(hit).1).filter(|n| *n < EVENTS).collect();
    assert_eq!((by_record.len(), others.len()), (RECORDS, EVENTS));
    figures(format!("{backend:?}: {EVENTS} events in order per record, {hits} hits, two kills"));
}
