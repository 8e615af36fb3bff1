//! One account floods, and its receiver hangs: the others start as fast as they do alone, and so do its own other webhooks.

use std::time::Duration;

use sluice_runtime::Clock;
use sluice_testkit::{Answer, Receiver};
use sluice_tests::{Backend, House, figures, on_each_backend};

use super::starts::{Arrivals, Starts};
use super::tenant::Tenant;

on_each_backend!(a_flood_towards_a_receiver_that_hangs_keeps_no_other_account_and_no_other_receiver_waiting);

/// The accounts that have nothing to do with it.
const OTHERS: usize = 4;
/// More than a receiver gets at once that answers late.
const HANGING: f64 = 70.0;
/// Far from what a start takes, and far from what the receiver hangs.
const NOT_HELD: Duration = Duration::from_secs(3);

struct Size {
    backlog: usize,
    hangs: Duration,
    events: usize,
    pace: Duration,
}

const CI: Size =
    Size { backlog: 2_000, hangs: Duration::from_secs(8), events: 50, pace: Duration::from_millis(30) };
const FULL: Size =
    Size { backlog: 100_000, hangs: Duration::from_secs(30), events: 1_000, pace: Duration::from_millis(20) };

async fn a_flood_towards_a_receiver_that_hangs_keeps_no_other_account_and_no_other_receiver_waiting(
    backend: Backend,
) {
    let full = sluice_testkit::full_size();
    let size = if full { FULL } else { CI };
    let hangs = size.hangs.as_secs();
    let setup = House::setup(backend).outside().on_plan("boundless");
    let setup = setup.with(format!("dispatcher.delivery.first_byte_timeout={hangs}s"));
    let house = setup.with(format!("dispatcher.delivery.timeout={}s", hangs + 5)).open().await;
    let (arrivals, hanging) = (Arrivals::start().await, Receiver::start().await);
    hanging.script("/in", [Answer::hang()]);
    let mut others = Vec::new();
    for number in 0..OTHERS {
        others.push(Tenant::new(&house, &format!("other-{number}"), &[("well", arrivals.url())]).await);
    }
    let webhooks = [("well", arrivals.url()), ("hangs", hanging.url("/in"))];
    let flood = Tenant::new(&house, "flood", &webhooks).await;

    let (paced, own) = (Some(size.pace), std::slice::from_ref(&flood));
    arrivals.measure(&others, ("warm", "well"), size.events / 5, None).await;
    let alone = arrivals.measure(&others, ("alone", "well"), size.events, paced).await;
    let alone_busy = arrivals.measure(&others, ("alone-busy", "well"), size.events, None).await;

    let clock = Clock::system();
    let began = clock.now();
    flood.flood(size.backlog, "hangs").await;
    hanging.wait_for(8).await;
    let beside = arrivals.measure(&others, ("beside", "well"), size.events, paced).await;
    let beside_busy = arrivals.measure(&others, ("beside-busy", "well"), size.events, None).await;
    let of_its_own = arrivals.measure(own, ("own", "well"), size.events, paced).await;
    let hung = hanging.hits().len();
    let times = clock.now().since(began).to_duration().as_secs_f64() / size.hangs.as_secs_f64();

    let slower = beside_busy.took.as_secs_f64() / alone_busy.took.as_secs_f64();
    figures(format_args!(
        "{backend:?}, backlog of {} towards a receiver that hangs {hangs} s, {hung} requests to it\n  \
         others alone:            {alone}\n  others beside it:        {beside}\n  \
         others alone, at once:   {alone_busy}\n  others beside, at once:  {beside_busy} ({slower:.2} x)\n  \
         its own other webhook:   {of_its_own}",
        size.backlog,
    ));
    assert!(
        hung as f64 <= HANGING * (times + 1.0),
        "{hung} requests in {times:.1} times as long as it hangs"
    );
    for (whose, starts) in [("others", &beside), ("others", &beside_busy), ("its own", &of_its_own)] {
        assert!(starts.per_mille(1_000) < NOT_HELD, "{whose}: {starts}");
    }
    if full {
        let p99 = |starts: &Starts| starts.per_mille(990);
        let most = (p99(&alone) * 2).max(p99(&alone) + Duration::from_millis(10));
        assert!(p99(&beside) <= most, "p99 of the others: {beside}, alone {alone}");
        assert!(slower < 1.1, "the others lose throughput: {beside_busy}, alone {alone_busy}");
    }
    hanging.script("/in", [Answer::status(200)]);
    hanging.release();
}
