//! A collector of spans that is gone, or that hangs: ingest goes on as fast as with one that works.

use std::io::Write as _;

use sluice_tests::{Backend, Deployment, Hanging, Rotel, free_address};

use super::load::Site;
use super::pairs::Cost;

/// Events of a round: in CI, and with `SLUICE_TEST_SIZE=full`.
const EVENTS: (usize, usize) = (40, 1_500);
/// An outage may cost so many times what a collector that works does.
const AT_MOST: f64 = 1.15;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_gone_or_hangs_costs_ingest_nothing() {
    let full = sluice_testkit::full_size();
    let events = if full { EVENTS.1 } else { EVENTS.0 };
    let collector = Rotel::start_silent().await;
    let hanging = Hanging::start().await;
    let endpoints = [
        ("gone", format!("http://{}", free_address())),
        ("hanging", format!("http://{}", hanging.address())),
    ];
    for deployment in [Deployment::one_process(Backend::Sqlite), Deployment::three_processes(Backend::Sqlite)]
    {
        // The first calls are everybody's slowest.
        let warm = events.div_ceil(4);
        let mut well = Site::open(deployment, &collector.endpoint()).await;
        well.round(warm).await;
        for (how, endpoint) in &endpoints {
            let mut ill = Site::open(deployment, endpoint).await;
            ill.round(warm).await;
            let cost = Cost::measure(&mut well, &mut ill, events).await;
            tell(&format!("collector {how}, {deployment}, {events} events a round: {cost}"));
            if full {
                assert!(cost.took <= AT_MOST && cost.call <= AT_MOST, "more than {AT_MOST} x: {cost}");
            }
        }
    }
    assert_ne!(hanging.connections(), 0, "the hanging one was asked");
}

/// Past the harness, which shows only what failing tests print.
fn tell(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error takes text");
}
