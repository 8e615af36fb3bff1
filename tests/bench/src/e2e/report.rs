//! What is shown of a run.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::deliveries::Run;
use super::house::House;
use super::latency::Latency;
use crate::cli::{Backend, E2e, Mode};
use crate::figures::median;
use crate::usage;

/// The pairs of one number of accounts.
#[derive(Debug, Default)]
pub(crate) struct Runs(BTreeMap<Mode, Vec<(f64, Run)>>);

/// What one number of accounts came to.
#[derive(Debug)]
pub(crate) struct AccountsReport {
    modes: BTreeMap<Mode, Value>,
    latency: BTreeMap<&'static str, Latency>,
    lost: u64,
}

/// Everything.
#[derive(Debug)]
pub(crate) struct Report {
    backend: Backend,
    pub(crate) ceilings: Vec<f64>,
    pub(crate) durability: String,
    pub(crate) accounts: BTreeMap<String, AccountsReport>,
}

/// Says how a pair went, on standard error.
#[expect(clippy::print_stderr, reason = "somebody waits for it")]
pub(crate) fn say(flags: &E2e, pair: usize, mode: Mode, bare: f64, run: &Run) {
    eprintln!(
        "pair {pair}/{}: {:8} {:7.0} delivered/s beside {bare:7.0}: {:.3}",
        flags.pairs,
        mode.name(),
        run.delivered_per_s,
        run.delivered_per_s / bare
    );
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

impl Runs {
    /// Adds a pair.
    pub(crate) fn add(&mut self, mode: Mode, bare: f64, run: Run) {
        self.0.entry(mode).or_default().push((bare, run));
    }

    /// Deliveries a second in this way of sending, the median.
    pub(crate) fn delivered_per_s(&self, mode: Mode) -> f64 {
        let pairs = self.0.get(&mode).map_or(&[][..], Vec::as_slice);
        median(pairs.iter().map(|(_, run)| run.delivered_per_s).collect())
    }

    /// Medians and sums.
    pub(crate) fn report(
        &self,
        house: &House,
        syncs: &BTreeMap<Mode, f64>,
        latency: BTreeMap<&'static str, Latency>,
    ) -> AccountsReport {
        let memory = usage::peak_memory_mib(house.process()).ok().map(|mib| rounded(mib, 1));
        let one = |(mode, pairs): (&Mode, &Vec<(f64, Run)>)| {
            let of =
                |figure: &dyn Fn(&Run) -> f64| median(pairs.iter().map(|(_, run)| figure(run)).collect());
            let sum = |figure: &dyn Fn(&Run) -> u64| pairs.iter().map(|(_, run)| figure(run)).sum::<u64>();
            let per_1000 = |part: &'static str| {
                rounded(of(&|run| run.cpu.get(part).copied().unwrap_or(0.0) * 1_000.0 / run.events as f64), 4)
            };
            let cpu: BTreeMap<&str, f64> =
                ["client", "suite", "receiver", "database"].map(|part| (part, per_1000(part))).into();
            let shown = json!({
                "accepted_per_s": rounded(of(&|run| run.accepted_per_s), 0),
                "delivered_per_s": rounded(of(&|run| run.delivered_per_s), 0),
                "ratio": rounded(median(pairs.iter().map(|(bare, run)| run.delivered_per_s / bare).collect()), 3),
                "cpu_s_per_1000": cpu,
                "duplicates": sum(&|run| run.duplicates),
                "lost": sum(&|run| run.lost),
                "refused": sum(&|run| run.refused),
                "verified": sum(&|run| run.tally.verified),
                "memory_mib": memory,
                "fsyncs_per_1000": syncs.get(mode).map(|count| rounded(*count, 1)),
                "db_bytes_per_1000": rounded(of(&|run| run.db_bytes as f64 * 1_000.0 / run.events as f64), 0),
            });
            (*mode, shown)
        };
        let lost = self.0.values().flatten().map(|(_, run)| run.lost).sum();
        AccountsReport { modes: self.0.iter().map(one).collect(), latency, lost }
    }
}

impl Report {
    pub(crate) fn new(flags: &E2e) -> Self {
        Self {
            backend: flags.backend,
            ceilings: Vec::new(),
            durability: String::new(),
            accounts: BTreeMap::new(),
        }
    }

    /// Deliveries that never came, in all.
    pub(crate) fn lost(&self) -> u64 {
        self.accounts.values().map(|one| one.lost).sum()
    }

    /// Prints it.
    #[expect(clippy::print_stdout, reason = "that is what was asked for")]
    pub(crate) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        let object = self.object();
        println!("{}", if as_json { object.to_string() } else { serde_json::to_string_pretty(&object)? });
        Ok(())
    }

    fn object(&self) -> Value {
        let one = |report: &AccountsReport| {
            let mut shown: serde_json::Map<String, Value> = report
                .modes
                .iter()
                .map(|(mode, figures)| (mode.name().to_owned(), figures.clone()))
                .collect();
            shown.insert("latency".to_owned(), json!(report.latency));
            Value::Object(shown)
        };
        let accounts: serde_json::Map<String, Value> =
            self.accounts.iter().map(|(number, report)| (number.clone(), one(report))).collect();
        json!({
            "backend": format!("{:?}", self.backend).to_lowercase(),
            "ceiling_per_s": rounded(median(self.ceilings.clone()), 0),
            "durability": self.durability,
            "accounts": accounts,
            "latency": self.accounts.values().next().map(|first| json!(first.latency)),
        })
    }
}
