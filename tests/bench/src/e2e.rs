//! From the producer's call to the receiver's answer, beside bare reqwest to the same receiver.
//!
//! One run alternates: the ceiling, then the suite in each way of sending. A ratio is taken within a pair; what is shown is
//! the median of the pairs. The client is this process, with two threads; receiver, suite, ceiling and database are processes
//! of their own. All share the machine's processors.

mod accounts;
mod ceiling;
mod deliveries;
mod house;
mod latency;
mod load;
mod receiving;
mod report;
mod store;
mod syncs;

use anyhow::ensure;

use crate::cli::E2e;
use ceiling::Ceiling;
use deliveries::Deliveries;
use house::House;
use receiving::Receiving;
use report::{AccountsReport, Report};

/// Measures and prints.
///
/// # Errors
/// When a part fails, or a request was lost.
pub(crate) async fn run(flags: &E2e) -> anyhow::Result<()> {
    let receiving = Receiving::start().await?;
    let mut report = Report::new(flags);
    for &accounts in &flags.accounts {
        let house = House::open(flags.backend, accounts, &receiving).await?;
        let measured = measure(flags, &house, &receiving, &mut report).await;
        let closed = house.close().await;
        report.accounts.insert(accounts.to_string(), measured?);
        closed?;
    }
    receiving.end().await?;
    report.print(flags.json)?;
    ensure!(report.lost() == 0, "requests were lost");
    Ok(())
}

async fn measure(
    flags: &E2e,
    house: &House,
    receiving: &Receiving,
    report: &mut Report,
) -> anyhow::Result<AccountsReport> {
    house.durability().clone_into(&mut report.durability);
    let mut deliveries = Deliveries::new(house, receiving, flags.calls);
    for &mode in &flags.modes {
        deliveries.warm_up(mode).await?;
    }
    let ceiling = Ceiling::choose(receiving, flags.events).await?;
    let mut runs = report::Runs::default();
    for pair in 1..=flags.pairs {
        for &mode in &flags.modes {
            let bare = ceiling.run().await?;
            let sluice = deliveries.run(mode, flags.events).await?;
            report::say(flags, pair, mode, bare, &sluice);
            report.ceilings.push(bare);
            runs.add(mode, bare, sluice);
        }
    }
    let fastest = flags.modes.first().map_or(0.0, |mode| runs.delivered_per_s(*mode));
    let latency = latency::measure(&mut deliveries, fastest / 2.0, flags.latency_seconds).await?;
    let syncs = syncs::count(&mut deliveries, &flags.modes, flags.events).await?;
    deliveries.history_is_complete().await?;
    Ok(runs.report(house, &syncs, latency))
}
