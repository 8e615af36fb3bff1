//! A backlog of a million, half of it behind a gate: what it costs in memory, how soon a process that starts on it sends, how soon the
//! gate's half goes on, and that another account's events go as they go without it.

use std::time::Duration;

use proto::registry::v1::WebhookState;
use sluice_testkit::Receiver;
use sluice_tests::memory::resident;
use sluice_tests::{Backend, House, Service, figures, on_each_backend, until};
use tokio::time::Instant;

use super::starts::{Arrivals, Starts};
use super::tenant::Tenant;

on_each_backend!(a_backlog_costs_little_memory_and_keeps_neither_a_start_nor_another_account_waiting);

/// How many wait, and the events that are measured.
const CI: (usize, usize) = (2_000, 50);
const FULL: (usize, usize) = (1_000_000, 2_000);
/// Between two of these.
const PACE: Duration = Duration::from_millis(20);
/// The most that a process may have resident then.
const MEMORY: u64 = 150 * 1_024 * 1_024;
/// The most from its start to its first request, and from the gate's opening to the first of those behind it.
const SOON: Duration = Duration::from_secs(2);
/// In CI only orders of magnitude are asserted.
const NOT_HELD: Duration = Duration::from_secs(15);

async fn a_backlog_costs_little_memory_and_keeps_neither_a_start_nor_another_account_waiting(
    backend: Backend,
) {
    let full = sluice_testkit::full_size();
    let (waiting, events) = if full { FULL } else { CI };
    let mut house = House::setup(backend).outside().on_plan("boundless").open().await;
    let (arrivals, slowly) = (Arrivals::start().await, Receiver::start().await);
    let other = [Tenant::new(&house, "other", &[("well", arrivals.url())]).await];
    // Five a second.
    let webhooks = [("gated", slowly.url("/gated")), ("open", slowly.url("/open"))];
    let backlog = Tenant::on_plan(&house, "backlog", "brisk", &webhooks).await;
    arrivals.measure(&other, ("warm", "well"), events / 5, None).await;
    let empty = resident(house.process(Service::Dispatcher).id());
    let alone = arrivals.measure(&other, ("alone", "well"), events, Some(PACE)).await;

    backlog.set_state("gated", WebhookState::Disabled).await;
    let began = Instant::now();
    // In this order, so that what is behind the gate is what goes next once it opens.
    backlog.flood(waiting / 2, "gated").await;
    backlog.flood(waiting / 2, "open").await;
    let filled = began.elapsed();
    let memory = resident(house.process(Service::Dispatcher).id());
    let beside = arrivals.measure(&other, ("beside", "well"), events, Some(PACE)).await;

    house.kill_all();
    let (sent, began) = (slowly.hits().len(), Instant::now());
    house.start().await;
    slowly.wait_for(sent + 1).await;
    let (first, afresh) = (began.elapsed(), resident(house.process(Service::Dispatcher).id()));
    let left = usize::try_from(backlog.quota().await.waiting).unwrap();
    assert!(left <= waiting && left + slowly.hits().len() + 20 >= waiting, "{left} of {waiting} wait");

    let gated = slowly.hits_at("/gated").len();
    let began = Instant::now();
    backlog.set_state("gated", WebhookState::Enabled).await;
    until("what was behind the gate goes on", async || {
        (slowly.hits_at("/gated").len() > gated).then_some(())
    })
    .await;
    let opened = began.elapsed();

    let mib = |bytes: u64| bytes as f64 / 1_024.0 / 1_024.0;
    figures(format_args!(
        "{backend:?}, {waiting} waiting, half of them behind a gate, accepted in {filled:.1?}\n  \
         memory {:.1} MiB before, {:.1} MiB with them, {:.1} MiB after a start\n  \
         from the start to the first request {first:.2?}, from the gate's opening to the first behind it {opened:.2?}\n  \
         another account alone:     {alone}\n  beside it:                 {beside}",
        mib(empty),
        mib(memory),
        mib(afresh),
    ));
    assert!(first < NOT_HELD && opened < NOT_HELD && beside.per_mille(1_000) < NOT_HELD);
    if full {
        let p99 = |starts: &Starts| starts.per_mille(990);
        let most = (p99(&alone) * 2).max(p99(&alone) + Duration::from_millis(10));
        assert!(p99(&beside) <= most, "p99 of another account: {beside}, alone {alone}");
        assert!(memory.max(afresh) <= MEMORY, "{memory} bytes, {afresh} after a start");
        assert!(
            first <= SOON && opened <= SOON,
            "{first:?} to the first request, {opened:?} behind the gate"
        );
    }
}
