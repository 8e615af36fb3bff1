//! Inside each service: which room may name what.

use std::collections::BTreeSet;

use super::manifests::dependencies;
use super::references::{Reference, Source, Target};
use super::tree::{Fault, Tree};

/// The services, which have rooms and never depend on each other.
pub(crate) const SERVICES: &[&str] = &["registry", "evaluator", "dispatcher"];

/// A folder beside the nouns, with the file of the same name: a door to one outside thing.
struct Room {
    name: &'static str,
    /// The other rooms it may enter.
    enters: &'static [&'static str],
    /// The crates, or parts of them, that it never names.
    never: &'static [&'static str],
}

const GRPC_TYPES: &[&str] = &["proto", "prost", "prost_types"];

const ROOMS: &[Room] = &[
    Room {
        name: "grpc",
        enters: &["store", "clients", "worker"],
        never: &["sea_orm", "sqlx", "sluice_storage", "reqwest"],
    },
    Room {
        name: "store",
        enters: &[],
        never: &[
            "proto",
            "prost",
            "prost_types",
            "tonic",
            "tonic_types",
            "sluice_rpc",
            "sluice_egress",
            "reqwest",
        ],
    },
    Room {
        name: "clients",
        enters: &[],
        never: &["sea_orm", "sqlx", "sluice_storage", "sluice_egress", "reqwest"],
    },
    Room {
        name: "delivery",
        enters: &[],
        never: &[
            "proto",
            "prost",
            "prost_types",
            "tonic",
            "sluice_rpc",
            "sea_orm",
            "sqlx",
            "sluice_storage",
            "reqwest",
        ],
    },
    Room {
        name: "worker",
        enters: &["store", "clients", "delivery"],
        never: &["proto", "prost", "prost_types", "sea_orm", "sqlx", "reqwest"],
    },
];

/// What nouns of every service may name. They are values and decisions: no I/O, no tasks, no clock, no randomness.
const NOUNS_MAY: &[&str] = &[
    "std",
    "core",
    "alloc",
    "sluice_domain",
    "sluice_rules",
    "sluice_signing",
    // Only for serde: how a length of time is written.
    "sluice_runtime::human_span",
    "serde",
    "serde_json",
    "thiserror",
    "bytes",
    // Calendar arithmetic.
    "chrono",
    "url",
    "base64",
    "sha2",
    "zeroize",
];

/// What the nouns of one service may name besides.
fn nouns_also_may(service: &str) -> &'static [&'static str] {
    match service {
        // Endpoints are judged when they are registered, credentials sealed before they are kept.
        "registry" => &[
            "sluice_egress::Decision",
            "sluice_egress::Policy",
            "sluice_egress::PolicyError",
            "sluice_egress::Reach",
            "sluice_egress::Refusal",
            "sluice_egress::decide_address",
            "sluice_egress::decide_parsed",
            "sluice_egress::decide_url",
            "sluice_egress::MAX_URL_BYTES",
            "aws_lc_rs::aead",
            "aws_lc_rs::error",
        ],
        // Readers load an atomic snapshot.
        "evaluator" => &["arc_swap"],
        // The quota's arithmetic, on our own clock and state.
        "dispatcher" => &["governor"],
        _ => &[],
    }
}

/// What nouns never name although it lies in a crate that they may: the outside world, clocks, randomness.
const NOUNS_NEVER: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "chrono::Local",
    "chrono::Utc::now",
    "chrono::Utc::today",
    "governor::DefaultDirectRateLimiter",
    "governor::DefaultKeyedRateLimiter",
    "governor::RateLimiter::direct",
    "governor::RateLimiter::keyed",
    "governor::RateLimiter::hashmap",
    "governor::RateLimiter::dashmap",
    "governor::clock::DefaultClock",
    "governor::clock::MonotonicClock",
    "governor::clock::QuantaClock",
    "governor::clock::QuantaUpkeepClock",
    "governor::clock::SystemClock",
    "governor::Jitter",
];

/// What storage says of its failures: a service's one error enum, and the door that answers with it, may name it.
const STORAGE_ERROR: &str = "sluice_storage::StorageError";

fn answers_for_storage(module: &[String]) -> bool {
    matches!(module.first().map(String::as_str), Some("error" | "grpc"))
}

/// What `lib.rs` never names: it is the cast, and a re-export there would be a way round the rooms.
const CAST_NEVER: &[&str] =
    &["tokio", "tonic", "prost", "proto", "sea_orm", "sqlx", "reqwest", "rand", "sluice_runtime"];

/// Where a file of a service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Noun,
    Room(usize),
    /// `lib.rs`.
    Cast,
    /// `main.rs`, `service.rs`, `config.rs`: they know everything of their crate.
    PlugBoard,
}

fn place(module: &[String]) -> Place {
    match module.first().map(String::as_str) {
        None | Some("lib") => Place::Cast,
        Some("main" | "service" | "config") => Place::PlugBoard,
        Some(name) => ROOMS.iter().position(|room| room.name == name).map_or(Place::Noun, Place::Room),
    }
}

/// The module that a file below `src/` is: `store/claim.rs` is `store::claim`.
fn module_of(path: &str) -> Vec<String> {
    path.trim_end_matches(".rs").split('/').map(str::to_owned).collect()
}

fn lies_in(path: &[String], prefix: &str) -> bool {
    let mut segments = prefix.split("::");
    let mut given = path.iter();
    segments.all(|segment| given.next().is_some_and(|part| part == segment))
}

/// The broken rules of all rooms of all services.
pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    SERVICES.iter().flat_map(|service| check_service(tree, service)).collect()
}

fn check_service(tree: &Tree, service: &str) -> Vec<Fault> {
    let root = format!("services/{service}/src/");
    let known: BTreeSet<String> = dependencies(tree, &format!("services/{service}"))
        .into_iter()
        .map(|dependency| dependency.key.replace('-', "_"))
        .collect();
    let files: Vec<(&str, Vec<String>, Source)> = tree
        .rust()
        .filter_map(|(path, text)| Some((path, module_of(path.strip_prefix(&root)?), Source::read(text))))
        .collect();
    let for_tests: BTreeSet<Vec<String>> = files
        .iter()
        .flat_map(|(_, module, source)| {
            let above = if place(module) == Place::Cast { Vec::new() } else { module.clone() };
            source.test_modules.iter().map(move |name| [above.clone(), vec![name.clone()]].concat())
        })
        .collect();
    let mut faults = Vec::new();
    for (path, module, source) in &files {
        if for_tests.iter().any(|test| module.starts_with(test)) {
            continue;
        }
        let own = if place(module) == Place::Cast { Vec::new() } else { module.clone() };
        let fault = |line, rule| Fault { path: (*path).to_owned(), line, rule };
        faults.extend(source.path_attributes.iter().map(|line| {
            fault(
                *line,
                "a file stands where its module path says, so that its room is known: no #[path]".to_owned(),
            )
        }));
        let includes = source.macros.iter().filter(|(name, _, _)| name == "include");
        faults.extend(
            includes.map(|(_, line, _)| {
                fault(*line, "no include!, so that the room of code is known".to_owned())
            }),
        );
        for reference in source.references.iter().filter(|reference| !reference.test) {
            for target in source.targets(reference, &own, &known) {
                if let Some(rule) = judge(service, module, &target) {
                    faults.push(fault(reference.line, rule));
                }
            }
        }
    }
    faults.sort_by(|a, b| (&a.path, a.line, &a.rule).cmp(&(&b.path, b.line, &b.rule)));
    faults.dedup();
    faults
}

fn judge(service: &str, module: &[String], target: &Target) -> Option<String> {
    let place = place(module);
    match (place, target) {
        (_, Target::Outside(path)) if lies_in(path, STORAGE_ERROR) && answers_for_storage(module) => None,
        (Place::PlugBoard, _) => None,
        (Place::Cast, Target::Inside(_)) => None,
        (Place::Cast, Target::Outside(path)) => {
            let named = CAST_NEVER.iter().find(|never| lies_in(path, never))?;
            Some(format!("lib.rs is the cast and never names {named}: {}", path.join("::")))
        }
        (Place::Noun, Target::Outside(path)) => {
            let may = NOUNS_MAY.iter().chain(nouns_also_may(service)).any(|may| lies_in(path, may));
            let mut std_path = path.clone();
            if matches!(path.first().map(String::as_str), Some("core" | "alloc")) {
                std_path[0] = "std".to_owned();
            }
            let never = NOUNS_NEVER.iter().any(|never| lies_in(&std_path, never));
            (!may || never).then(|| format!("a noun never names {}", path.join("::")))
        }
        (Place::Noun, Target::Inside(path)) => {
            let first = path.first()?;
            let closed =
                matches!(first.as_str(), "service" | "config") || ROOMS.iter().any(|room| room.name == first);
            closed.then(|| format!("a noun knows no room: crate::{}", path.join("::")))
        }
        (Place::Room(at), Target::Outside(path)) => {
            let room = &ROOMS[at];
            let never = room.never.iter().any(|never| lies_in(path, never));
            never.then(|| format!("{}/ never names {}", room.name, path.join("::")))
        }
        (Place::Room(at), Target::Inside(path)) => {
            let room = &ROOMS[at];
            let first = path.first()?;
            if first == room.name {
                return None;
            }
            let closed = first == "service"
                || (ROOMS.iter().any(|other| other.name == first) && !room.enters.contains(&first.as_str()));
            let entity =
                first == "store" && path.get(1).is_some_and(|part| part == "entity" || part == "entities");
            (closed || entity).then(|| format!("{}/ never enters crate::{}", room.name, path.join("::")))
        }
    }
}

/// Whether generated types stop where they should: the rooms that may name them.
pub(crate) fn rooms_with_generated_types() -> Vec<&'static str> {
    ROOMS
        .iter()
        .filter(|room| GRPC_TYPES.iter().all(|types| !room.never.contains(types)))
        .map(|room| room.name)
        .collect()
}

/// All targets of a reference in a file of its own, for tests of the reading itself.
pub(crate) fn named(text: &str, module: &[&str], known: &[&str]) -> Vec<String> {
    let source = Source::read(text);
    let module: Vec<String> = module.iter().map(|part| (*part).to_owned()).collect();
    let known = known.iter().map(|name| (*name).to_owned()).collect();
    let text_of = |reference: &Reference| source.targets(reference, &module, &known);
    source
        .references
        .iter()
        .filter(|reference| !reference.test)
        .flat_map(text_of)
        .map(|target| match target {
            Target::Outside(path) => path.join("::"),
            Target::Inside(path) => format!("crate::{}", path.join("::")),
        })
        .collect()
}
