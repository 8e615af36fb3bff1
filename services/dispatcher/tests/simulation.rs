//! The pure machines under a seeded virtual clock, faults and restarts: after every step what reliability.md promises, at the end the
//! three ledgers, and planted bugs to show that it would be noticed.
//!
//! Events, claims, attempts, retries, delays, lines and quotas; receivers that fail, breakers, probes, and webhooks that are given up; a
//! registry that is heard late; operators who pause accounts, and billing, which changes plans and grants units. Not in this world are
//! webhooks that are deleted, receivers with limits of their own, and loop limits.
//!
//! `cargo test -p sluice-dispatcher --test simulation`; `SLUICE_TEST_SIZE=full` runs 10,000 seeds, `SLUICE_TEST_SEED=17` that one alone,
//! with all that happens printed. That the store does the same as the world that is simulated here, the store's suite shows
//! (`replay`).

#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail, and the figures are meant to be seen"
)]

mod simulation {
    pub(crate) mod breakers;
    pub(crate) mod bucket;
    pub(crate) mod claims;
    pub(crate) mod health;
    pub(crate) mod holdbacks;
    pub(crate) mod ledger;
    pub(crate) mod lines;
    pub(crate) mod moves;
    pub(crate) mod mutation;
    pub(crate) mod operators;
    pub(crate) mod owners;
    pub(crate) mod people;
    pub(crate) mod receivers;
    pub(crate) mod registry;
    #[allow(dead_code, reason = "replay, in the store's suite, reads what only a trace is made of here")]
    pub(crate) mod schedule;
    pub(crate) mod world;
}

use simulation::ledger::Broken;
use simulation::mutation::Mutation;
use simulation::schedule::{Figures, Simulation};
use sluice_dispatcher::retry::Schedule;
use sluice_domain::{Span, Timestamp};

/// Seeds in CI and with `SLUICE_TEST_SIZE=full`.
const SEEDS: [u64; 2] = [200, 10_000];
/// Steps of each.
const STEPS: u32 = 300;

/// The seeds of this run, and whether one was asked for alone.
fn seeds() -> (std::ops::Range<u64>, bool) {
    let full = sluice_testkit::full_size();
    match std::env::var("SLUICE_TEST_SEED").ok().and_then(|seed| seed.parse::<u64>().ok()) {
        Some(seed) => (seed..seed + 1, true),
        None => (0..SEEDS[usize::from(full)], false),
    }
}

fn retries() -> Schedule {
    Schedule {
        retries: 3,
        first: Span::from_secs(5),
        factor: 4.0,
        longest: Span::from_secs(60),
        longest_retry_after: Span::from_secs(60),
    }
}

/// Runs one seed to its end.
fn run(seed: u64, mutation: Option<Mutation>, printed: bool) -> Result<Figures, Broken> {
    let start = Timestamp::from_micros(1_795_000_000_000_000);
    let mut simulation = Simulation::begin(seed, start, retries(), mutation, false);
    let told = |simulation: &mut Simulation, step: &str| {
        for deed in simulation.deeds.drain(..).filter(|_| printed) {
            println!("{step}: {deed:?}");
        }
    };
    for step in 0..STEPS {
        let outcome = simulation.step();
        told(&mut simulation, &step.to_string());
        outcome.map_err(|broken| format!("step {step}: {broken}"))?;
    }
    let outcome = simulation.drain();
    told(&mut simulation, "drain");
    outcome.map_err(|broken| format!("drain: {broken}"))?;
    Ok(Figures { executions: simulation.world.made.len(), ..simulation.figures })
}

#[test]
fn whatever_happens_every_promise_holds_after_each_step_and_the_ledgers_agree() {
    let (seeds, alone) = seeds();
    let mut sum = Figures::default();
    for seed in seeds.clone() {
        match run(seed, None, alone) {
            Ok(figures) => {
                sum.executions += figures.executions;
                sum.hits += figures.hits;
                sum.interrupted += figures.interrupted;
                sum.lost_reports += figures.lost_reports;
                sum.restarts += figures.restarts;
                sum.repeats += figures.repeats;
                sum.probes += figures.probes;
                sum.dead_probes += figures.dead_probes;
                sum.swept += figures.swept;
                sum.pauses += figures.pauses;
                sum.grants += figures.grants;
                sum.kept += figures.kept;
            }
            Err(broken) => panic!(
                "seed {seed}, {broken}\nalone: SLUICE_TEST_SEED={seed} cargo test -p sluice-dispatcher --test simulation whatever -- --nocapture"
            ),
        }
    }
    println!(
        "{} seeds: {} executions, {} hits, {} interrupted, {} reports of lost claims, {} restarts, {} events repeated",
        seeds.end - seeds.start,
        sum.executions,
        sum.hits,
        sum.interrupted,
        sum.lost_reports,
        sum.restarts,
        sum.repeats
    );
    let Figures { probes, dead_probes, swept, pauses, grants, kept, .. } = sum;
    println!(
        "{probes} probes, {dead_probes} of them without an owner in the end, {swept} webhooks given up, {pauses} accounts paused, \
         {grants} grants; {kept} held back when nothing else was left to do, and let go then"
    );
    let happened = [sum.hits, sum.interrupted, sum.lost_reports, sum.restarts, sum.repeats];
    let happened = [&happened[..], &[probes, dead_probes, swept, pauses, grants, kept]].concat();
    assert!(alone || happened.iter().all(|times| *times > 100), "no empty pass: {happened:?}");
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_one_another() {
    let trace = |seed| run(seed, None, false).unwrap().trace;
    let (first, second, other) = (trace(7), trace(7), trace(8));
    println!("seed 7: trace {first:016x}, seed 8: trace {other:016x}");
    assert_eq!(first, second);
    assert_ne!(first, other);
}

#[test]
fn planted_bugs_are_found() {
    let mut missed = Vec::new();
    for mutation in Mutation::ALL {
        let found = (0..SEEDS[0]).find_map(|seed| Some((seed, run(seed, Some(mutation), false).err()?)));
        match found {
            Some((seed, broken)) => println!("{mutation:?}: seed {seed}, {broken}"),
            None => missed.push(mutation),
        }
    }
    assert!(missed.is_empty(), "{missed:?} in none of {} seeds", SEEDS[0]);
}
