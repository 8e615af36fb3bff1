//! Two hundred attempts at once to receivers of every hostile kind.

use std::time::Duration;

use proto::dispatcher::v1::{Attempt, AttemptOutcome, ExecutionState};
use sluice_runtime::Clock;
use sluice_testkit::{RawReceiver, Receiver};
use sluice_tests::memory::Peak;
use sluice_tests::requests::{automation_webhook, deal, post, titled};
use sluice_tests::{Backend, House, PARENT, Service, figures, on_each_backend, within};
use tokio::task::JoinSet;

use super::acts::{Hostile, Shown, all};

on_each_backend!(each_attempt_ends_in_its_time_little_is_kept_and_others_never_notice);

/// Executions for each kind: about two hundred in all.
const EACH: usize = 9;
/// The total timeout of an attempt, in seconds; the parts before it are shorter.
const TOTAL: u64 = 4;
const MIB: u64 = 1024 * 1024;
/// What the sockets on both sides hold beyond what was read.
const IN_BUFFERS: u64 = 12 * MIB;
const KEPT: usize = 64 * 1024;

async fn each_attempt_ends_in_its_time_little_is_kept_and_others_never_notice(backend: Backend) {
    let mut setup = House::setup(backend).outside().on_plan("boundless");
    let total = format!("timeout={TOTAL}s");
    for setting in ["connect_timeout=2s", "first_byte_timeout=3s", &total, "in_flight=256"] {
        setup = setup.with(format!("dispatcher.delivery.{setting}"));
    }
    let mut house = setup.with("dispatcher.retry.retries=0").open().await;
    let mut hostile: Vec<(Hostile, RawReceiver)> = Vec::new();
    for kind in all() {
        let receiver = RawReceiver::start(kind.act.clone()).await;
        hostile.push((kind, receiver));
    }
    for (kind, receiver) in &hostile {
        let url = format!("{}://{}/in", kind.scheme, receiver.address());
        let (webhook, _) = house.webhook(automation_webhook(kind.name, &url)).await;
        let body = format!("\"{}\"", "x".repeat(60 * 1024));
        house.automation(titled(kind.name, [post(&webhook, &body)])).await;
    }
    let well = Receiver::start().await;
    let (webhook, _) = house.webhook(automation_webhook("well", &well.url("/in"))).await;
    house.automation(titled("well", [post(&webhook, "{}")])).await;
    house.fires(deal("well-0", "well")).await;
    well.wait_for(1).await;

    let peak = Peak::of(house.process(Service::Dispatcher).id());
    let mut senders = JoinSet::new();
    for (kind, _) in &hostile {
        let (producer, name) = (house.producer(), kind.name);
        senders.spawn(async move {
            let mut executions = Vec::new();
            for number in 0..EACH {
                let answer = producer.ingest(PARENT, deal(&format!("{name}-{number}"), name)).await.unwrap();
                executions.extend(answer.executions);
            }
            (name, executions)
        });
    }
    let sent = senders.join_all().await;
    let clock = Clock::system();
    let mut slowest = Duration::ZERO;
    for number in 1..=20 {
        let began = clock.now();
        house.fires(deal(&format!("well-{number}"), "well")).await;
        well.wait_for(1 + number).await;
        slowest = slowest.max(clock.now().since(began).to_duration());
    }
    within(Duration::from_secs(120), "every execution is over", async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let open = [
            ExecutionState::Queued,
            ExecutionState::Running,
            ExecutionState::Waiting,
            ExecutionState::Paused,
        ];
        for state in open {
            if house.count(state).await > 0 {
                return None;
            }
        }
        Some(())
    })
    .await;
    let rise = peak.rise().await;

    let (mut faults, mut longest, mut largest) = (Vec::new(), Duration::ZERO, 0);
    for (name, executions) in &sent {
        let shown = hostile.iter().find(|(kind, _)| kind.name == *name).unwrap().0.shown;
        assert_eq!(executions.len(), EACH, "{name}");
        for execution in executions {
            let execution = house.execution(execution).await;
            let [attempt] = &execution.deliveries[0].attempts[..] else { panic!("{name}: one attempt") };
            faults.extend(fault(name, shown, attempt));
            longest = longest.max(duration(attempt));
            largest = largest.max(attempt.answer.as_ref().map_or(0, |answer| answer.body.len()));
        }
    }
    let (worst, written) = hostile
        .iter()
        .map(|(kind, it)| (kind.name, it.written()))
        .max_by_key(|(_, written)| *written)
        .unwrap();
    figures(format_args!(
        "{backend:?}, {} hostile attempts at once of {} kinds: the longest {:.2} s of {TOTAL} s, kept at most {largest} bytes, \
         written at most {:.1} MiB in {EACH} ({worst}); memory + {:.1} MiB; the slowest of 20 others {} ms",
        EACH * hostile.len(),
        hostile.len(),
        longest.as_secs_f64(),
        written as f64 / MIB as f64,
        rise as f64 / MIB as f64,
        slowest.as_millis(),
    ));
    assert_eq!(faults, Vec::<String>::new());
    assert!(rise < 100 * MIB, "memory rose by {rise} bytes");
    assert!(written <= EACH as u64 * (MIB + IN_BUFFERS), "{worst} was read beyond its end: {written} bytes");
    assert!(slowest < Duration::from_secs(TOTAL), "others wait for nobody hostile: {slowest:?}");

    // Every seat is free again.
    let before = well.hits().len();
    for number in 0..300 {
        house.fires(deal(&format!("after-{number}"), "well")).await;
    }
    well.wait_for(before + 300).await;
}

fn fault(name: &str, shown: Shown, attempt: &Attempt) -> Option<String> {
    let kept = attempt.answer.as_ref().map_or(0, |answer| answer.body.len());
    let well = shown.fits(attempt)
        && kept <= KEPT
        && duration(attempt) <= Duration::from_secs(TOTAL + 1)
        && matches!(
            attempt.outcome(),
            AttemptOutcome::Succeeded | AttemptOutcome::Failed | AttemptOutcome::FailedRetryable
        );
    let answer =
        attempt.answer.as_ref().map(|answer| (answer.status, answer.body_truncated, answer.body.len()));
    let took = duration(attempt);
    (!well)
        .then(|| format!("{name}: {:?}, {answer:?}, {:?} after {took:?}", attempt.outcome(), attempt.error))
}

fn duration(attempt: &Attempt) -> Duration {
    let duration = attempt.duration.unwrap();
    Duration::new(duration.seconds.try_into().unwrap(), duration.nanos.try_into().unwrap())
}
