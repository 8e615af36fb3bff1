//! Every place at which a process can be killed by name: both sides of every transaction, of the dial, and of an answer.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What makes a process reach a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// Events, and what they set off.
    Events,
    /// Somebody cancels an execution.
    Cancelling,
    /// Somebody opens one again.
    Retrying,
    /// An automation is switched off, and on again.
    Stopping,
    /// An automation is made.
    Making,
    /// A webhook is switched off, and on again.
    Gating,
    /// Billing puts a plan.
    Billing,
    /// Billing tops an allowance up.
    Granting,
    /// An operator pauses an account, and resumes it.
    Pausing,
    /// A receiver is gone: its webhook is given up, and enabled again.
    GivingUp,
    /// A start, on what a kill left.
    Starting,
    /// The end of a lease whose owner was killed.
    Waiting,
}

/// The sides of a transaction, which `libs/storage` reaches for each.
const SIDES: &[&str] = &["begun", "committing", "committed"];

/// What is done, how a process gets there, and the places it has beside a transaction's.
const TABLE: &[(&str, By, bool, &[&str])] = &[
    ("migration", By::Starting, true, &[]),
    ("ingest", By::Events, false, &["enqueueing", "answering"]),
    ("accept", By::Events, true, &["answering"]),
    ("claim", By::Events, true, &[]),
    ("dial", By::Events, false, &["beginning", "answered", "reported"]),
    ("finish", By::Events, true, &[]),
    ("cancel", By::Cancelling, true, &[]),
    ("retry", By::Retrying, true, &[]),
    ("automation_creation", By::Making, true, &[]),
    ("automation_change", By::Stopping, true, &[]),
    ("stop", By::Stopping, true, &[]),
    ("stop_arrived", By::Stopping, true, &[]),
    ("registry", By::Gating, true, &[]),
    ("gate", By::Gating, true, &[]),
    ("entitlements", By::Billing, true, &[]),
    ("grant", By::Granting, true, &[]),
    ("pause", By::Pausing, true, &[]),
    ("sweep_webhook", By::GivingUp, true, &[]),
    ("notices_sent", By::GivingUp, true, &[]),
    ("rescue", By::Waiting, true, &["telling"]),
];

/// What no suite with real processes reaches, and why.
const BEYOND: &[(&str, &str)] = &[
    ("clock", "only databases of tests have a clock that can be set"),
    ("postpone", "only an account whose rows can't be read is postponed"),
    ("prune", "histories are kept for a day at least"),
    ("shelf", "histories are kept for a day at least, and looked at every ten minutes"),
    ("put_back", "a shelf is put back once it was looked through"),
    ("prune_lanes", "lanes are looked at every ten minutes"),
    ("receiver_limits", "none of the suite's webhooks has limits"),
    ("prune_grants", "grants are kept until a day after their period, and looked at every ten minutes"),
    ("prune_notices", "notices are kept for thirty days, and looked at every ten minutes"),
    ("prune_receipts", "receipts are kept for an hour at least, and looked at every ten minutes"),
    ("prune_changes", "changes are looked at every ten minutes"),
];

/// A place: `<what>.<side>`.
pub(super) type Point = (String, By);

/// All of them, each kind together.
pub(super) fn all() -> Vec<Point> {
    let of = |(what, by, transaction, more): &(&str, By, bool, &[&str])| -> Vec<Point> {
        let sides = if *transaction { SIDES } else { &[] };
        sides.iter().chain(*more).map(|side| (format!("{what}.{side}"), *by)).collect()
    };
    TABLE.iter().flat_map(of).collect()
}

/// The Rust sources of libs and services, without their tests.
fn sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let crates = ["libs", "services"].map(|part| fs::read_dir(root.join(part)).unwrap());
    let mut folders: Vec<PathBuf> =
        crates.into_iter().flatten().map(|entry| entry.unwrap().path().join("src")).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// What stands between `before` and the next quotation mark, each time.
fn quoted<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_place_in_the_sources_is_in_the_table() {
    let (mut in_sources, mut sides, mut unnamed) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        for name in quoted(&text, ".write(\"") {
            in_sources.extend(SIDES.iter().map(|side| format!("{name}.{side}")));
        }
        // A name and a side; of a transaction's only the side stands there.
        for piece in text.split("failpoint::reach(").skip(1) {
            let words: Vec<&str> = piece.split(')').next().unwrap_or_default().split('"').collect();
            match words[..] {
                ["", what, ", ", side, ""] => drop(in_sources.insert(format!("{what}.{side}"))),
                [_, side, ""] => drop(sides.insert(side.to_owned())),
                _ => unnamed.push((path.clone(), piece.chars().take(60).collect::<String>())),
            }
        }
    }
    let beyond = BEYOND.iter().flat_map(|(what, _)| SIDES.iter().map(move |side| format!("{what}.{side}")));
    let in_table: BTreeSet<String> = all().into_iter().map(|(name, _)| name).chain(beyond).collect();
    assert_eq!(unnamed, [], "a place that can't be read");
    assert_eq!(sides, SIDES.iter().map(|side| (*side).to_owned()).collect());
    assert_eq!(in_sources, in_table, "the sources, and the table above");
    assert!(all().len() >= 30, "{} places", all().len());
}

#[test]
fn only_the_suites_ask_for_failpoints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let members = ["libs", "services"].map(|part| fs::read_dir(root.join(part)).unwrap());
    let manifests = members.into_iter().flatten().map(|entry| entry.unwrap().path().join("Cargo.toml"));
    for manifest in manifests.chain([root.join("Cargo.toml")]) {
        let text = fs::read_to_string(&manifest).unwrap();
        let asked = text.lines().filter(|line| line.contains("failpoints") && *line != "failpoints = []");
        assert_eq!(asked.collect::<Vec<_>>(), Vec::<&str>::new(), "{}", manifest.display());
    }
}
