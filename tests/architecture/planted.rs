//! Proof that each rule catches what it is for: faults planted in memory, on a stage with every dependency there is.

use super::tree::{Fault, Tree};
use super::{files, manifests, rooms};

const NOUN: &str = "services/dispatcher/src/planted.rs";

fn planted(stage: &Tree, path: &str, text: &str, check: fn(&Tree) -> Vec<Fault>) -> Vec<Fault> {
    let mut tree = stage.clone();
    tree.plant(path, text);
    check(&tree).into_iter().filter(|fault| fault.path == path).collect()
}

fn caught(stage: &Tree, path: &str, text: &str, check: fn(&Tree) -> Vec<Fault>, word: &str) {
    let faults = planted(stage, path, text, check);
    let said = faults.iter().any(|fault| fault.rule.contains(word));
    assert!(said, "nothing about {word:?} in {faults:?}, planted in {path}:\n{text}");
}

fn free(stage: &Tree, path: &str, text: &str, check: fn(&Tree) -> Vec<Fault>) {
    let faults = planted(stage, path, text, check);
    assert!(faults.is_empty(), "{faults:?}, planted in {path}:\n{text}");
}

/// Every way to name a crate that a noun must not name.
pub(crate) fn ways_to_name_a_crate(stage: &Tree) {
    for way in [
        "use tokio::time;",
        "use {tokio::time, std::fmt};",
        "use std::fmt; use {std::{io}, ::tokio::{sync::{mpsc, oneshot as once}, time::{self}}};",
        "use tokio as t; fn f() { t::spawn(async {}); }",
        "use ::tokio::spawn;",
        "pub(crate) use tokio::{self as clockwork};",
        "pub use tokio;",
        "use r#tokio::time;",
        "fn f() { tokio::spawn(async {}); }",
        "fn f() -> ::tokio::task::JoinHandle<()> { return ::tokio::spawn(async {}); }",
        "fn f() { let _ = <tokio::sync::Notify as Default>::default(); }",
        "fn f(x: &dyn tokio::io::AsyncRead) {}",
        "fn f() { if true { use tokio::time::sleep; } }",
        "fn f() { const X: u8 = { use tokio as x; 1 }; }",
        "mod inner { mod more { use tokio::time; } }",
        "extern crate tokio;",
        "#[macro_use] extern crate tokio as renamed;",
        "#[tokio::main] async fn main() {}",
        "#[cfg_attr(all(), tokio::test)] fn f() {}",
        "fn f() { tokio::select! { else => {} } }",
        "macro_rules! m { () => { tokio::spawn(async {}) } }",
        "fn f() { println!(\"{}\", tokio::runtime::Handle::current()); }",
        "#[derive(Serialize)] struct S { #[serde(with = \"tokio::time\")] x: u8 }",
        "const A: char = '\"'; use tokio::time; const B: char = '\"';",
        "const A: &str = r#\"\"\"#; use tokio::time; /* \" */",
        "#[cfg(test)] mod tests { } use tokio::time;",
        "#[cfg(not(test))] use tokio::time;",
        "#[cfg(any(test, unix))] use tokio::time;",
        "struct S { #[cfg(test)] a: u8, b: tokio::sync::Notify }",
        "#[cfg(test)] use std::fmt; use tokio::time;",
        "#[cfg(test)] fn f() -> [u8; 3] { [0; 3] } use tokio::time;",
    ] {
        caught(stage, NOUN, way, rooms::check, "tokio");
    }
    for harmless in [
        "// use tokio::time;",
        "/* tokio::spawn */ //! tokio::time",
        "const WORDS: &str = \"tokio::spawn\";",
        "const WORDS: &str = r#\"use \"tokio\"::time;\"#;",
        "#[cfg(test)] mod tests { use tokio::time; fn f() { tokio::spawn(async {}); } }",
        "#[cfg(test)] use tokio::time; use std::fmt;",
        "#[cfg(all(test, unix))] fn f() { tokio::spawn(async {}); }",
        "#![cfg(test)] use tokio::time;",
        "fn f() { crate::execution::tokio::x(); }",
    ] {
        free(stage, NOUN, harmless, rooms::check);
    }
}

/// What nouns may name and what not, crate by crate.
pub(crate) fn nouns(stage: &Tree) {
    for (way, word) in [
        ("use tonic::Status;", "tonic"),
        ("use prost::Message as _;", "prost"),
        ("use proto::dispatcher::v1::Execution;", "proto"),
        ("use sea_orm::Value;", "sea_orm"),
        ("use sluice_storage::Database;", "sluice_storage"),
        ("use sluice_egress::Egress;", "sluice_egress"),
        ("use sluice_runtime::Clock;", "sluice_runtime::Clock"),
        ("use sluice_runtime::{human_span, Entropy};", "sluice_runtime::Entropy"),
        ("use sluice_runtime as r; fn f(c: &r::Clock) {}", "sluice_runtime"),
        ("use rand::Rng as _;", "rand"),
        ("fn f() -> u8 { rand::random() }", "rand"),
        ("use std::time::Instant;", "Instant"),
        ("use std::time; fn f() { time::SystemTime::now(); }", "SystemTime"),
        ("use std::time::{self as when}; fn f() { when::Instant::now(); }", "Instant"),
        ("use chrono::Utc; fn f() { Utc::now(); }", "chrono::Utc::now"),
        ("use chrono::{DateTime, Utc as Zone}; fn f() { Zone::now(); }", "chrono::Utc::now"),
        ("fn f() { chrono::Local::now(); }", "chrono::Local"),
        ("use governor::clock::{Clock, DefaultClock};", "DefaultClock"),
        ("use governor::RateLimiter; fn f(q: Q) { RateLimiter::direct(q); }", "RateLimiter::direct"),
        ("fn f() { std::thread::spawn(|| ()); }", "std::thread"),
        ("fn f() { core::time::x(); std::env::var(\"HOME\"); }", "std::env"),
        ("use crate::store::Store;", "crate::store"),
        ("use super::store::Store;", "crate::store"),
        ("mod inner { use super::super::grpc::Api; }", "crate::grpc"),
        ("use crate::{execution::Execution, worker};", "crate::worker"),
        ("fn f(c: &crate::config::Config) {}", "crate::config"),
        ("use crate::clients as c;", "crate::clients"),
        ("use crate::delivery::Courier;", "crate::delivery"),
        ("#[path = \"store.rs\"] mod hidden;", "#[path]"),
        ("include!(\"store.rs\");", "include!"),
    ] {
        caught(stage, NOUN, way, rooms::check, word);
    }
    caught(stage, "services/dispatcher/src/retry/planted.rs", "use tokio::time;", rooms::check, "tokio");
    caught(stage, "services/registry/src/planted.rs", "use sluice_egress::Egress;", rooms::check, "Egress");
    caught(
        stage,
        "services/registry/src/planted.rs",
        "use sluice_egress as e;",
        rooms::check,
        "sluice_egress",
    );
    caught(
        stage,
        "services/registry/src/planted.rs",
        "use aws_lc_rs::rand;",
        rooms::check,
        "aws_lc_rs::rand",
    );
    caught(
        stage,
        "services/evaluator/src/planted.rs",
        "use governor::Quota; use moka::x;",
        rooms::check,
        "moka",
    );
    caught(stage, "services/evaluator/src/lib.rs", "pub use tokio as t;", rooms::check, "tokio");
    let storage = "use sluice_storage::StorageError;";
    caught(stage, NOUN, storage, rooms::check, "StorageError");
    free(stage, "services/dispatcher/src/error.rs", storage, rooms::check);
    caught(
        stage,
        "services/dispatcher/src/error.rs",
        "use sluice_storage::Database;",
        rooms::check,
        "Database",
    );
    for allowed in [
        "use std::{fmt, time::Duration}; use serde::Serialize; use thiserror::Error; use bytes::Bytes;",
        "use chrono::{DateTime, Datelike as _, Months, Utc};",
        "use governor::{Quota, RateLimiter, clock::{Clock, Reference}, state::StateStore};",
        "use governor::RateLimiter; fn f() { RateLimiter::direct_with_clock(q, c); }",
        "#[derive(Deserialize)] struct S { #[serde(with = \"sluice_runtime::human_span\")] x: Span }",
        "use crate::execution::Execution; use super::attempt::Attempt; use sluice_domain::AccountId;",
    ] {
        free(stage, NOUN, allowed, rooms::check);
    }
    let pure = "use sluice_egress::{Decision, Policy, decide_url}; use aws_lc_rs::aead::{Aad, Nonce};";
    free(stage, "services/registry/src/planted.rs", pure, rooms::check);
}

/// What each room never names, and which rooms it never enters.
pub(crate) fn doors(stage: &Tree) {
    for (room, forbidden, allowed) in [
        (
            "grpc",
            "sea_orm::Value sluice_storage::Database crate::delivery::X crate::service::X crate::store::entity::X",
            "proto::dispatcher::v1::X tonic::Status sluice_rpc::X sluice_auth::X sluice_storage::StorageError crate::store::X crate::clients::X crate::worker::X",
        ),
        (
            "store",
            "proto::dispatcher::v1::X prost::Message tonic::Code sluice_rpc::X sluice_egress::X crate::grpc::X crate::worker::X \
             crate::clients::X crate::delivery::X crate::service::X",
            "sea_orm::Value sluice_storage::Database tokio::sync::X crate::execution::X crate::store::entity::X",
        ),
        (
            "clients",
            "sea_orm::Value sluice_storage::X crate::store::X crate::grpc::X crate::worker::X crate::delivery::X",
            "proto::registry::v1::X sluice_rpc::X tonic::X crate::execution::X",
        ),
        (
            "delivery",
            "proto::dispatcher::v1::X sea_orm::X sluice_storage::X crate::store::X crate::clients::X crate::grpc::X crate::worker::X",
            "sluice_egress::X sluice_signing::X sluice_telemetry::X tokio::time::X crate::attempt::X",
        ),
        (
            "worker",
            "proto::dispatcher::v1::X prost::X sea_orm::X crate::grpc::X crate::service::X",
            "sluice_runtime::Clock tokio::time::X crate::store::X crate::clients::X crate::delivery::X",
        ),
    ] {
        for path in [
            format!("services/dispatcher/src/{room}.rs"),
            format!("services/dispatcher/src/{room}/planted.rs"),
        ] {
            for name in forbidden.split_whitespace() {
                caught(stage, &path, &format!("use {name};"), rooms::check, name);
                caught(stage, &path, &format!("fn f() {{ {name}::new(); }}"), rooms::check, name);
            }
            for name in allowed.split_whitespace() {
                free(stage, &path, &format!("use {name};"), rooms::check);
            }
        }
    }
    assert_eq!(rooms::rooms_with_generated_types(), ["grpc", "clients"]);
    free(
        stage,
        "services/dispatcher/src/service.rs",
        "use tokio::time; use crate::{grpc, store, worker};",
        rooms::check,
    );
    for room in ["grpc", "store", "clients", "delivery", "worker"] {
        let path = format!("services/dispatcher/src/{room}/planted.rs");
        caught(stage, &path, "fn f() { reqwest::get(\"x\"); }", rooms::check, "reqwest");
    }
    caught(stage, NOUN, "use reqwest::Client;", rooms::check, "reqwest");
}

/// What files never hold.
pub(crate) fn files(stage: &Tree) {
    let path = "libs/domain/src/planted.rs";
    for (text, word) in [
        ("fn f() { unsafe { g() } }", "unsafe"),
        ("use std::collections::*;", "glob"),
        ("fn f() { use Kind::*; }", "glob"),
        ("#[cfg(test)] mod tests { use crate::*; }", "glob"),
        ("use super::*;", "glob"),
        ("fn f() { println!(\"x\"); }", "prints"),
        ("fn f() { std::print!(\"x\"); }", "prints"),
        ("fn f() { std::eprintln!(\"x\"); }", "prints"),
    ] {
        caught(stage, path, text, files::check, word);
    }
    free(
        stage,
        path,
        "#[cfg(test)] mod tests { use super::*; use proptest::prelude::*; } // unsafe",
        files::check,
    );
    free(stage, "services/sluice/src/planted.rs", "fn f() { println!(\"x\"); }", files::check);
    caught(stage, "services/registry/src/store/mod.rs", "", files::check, "mod.rs");
    caught(stage, "services/registry/src/utils.rs", "", files::check, "right word");
    caught(stage, "services/registry/src/main.rs", &"\n".repeat(21), files::check, "20 lines");
    caught(stage, path, &"//\n".repeat(601), files::check, "600");
    caught(stage, "services/dispatcher/src/store/planted.sql", &"--\n".repeat(601), files::check, "600");
    free(stage, path, &"//\n".repeat(600), files::check);
    free(stage, "tests/planted.rs", &"//\n".repeat(800), files::check);
    caught(stage, "tests/planted.rs", &"//\n".repeat(801), files::check, "800");
}

/// What manifests must say, and must not.
pub(crate) fn manifests(stage: &Tree) {
    let sound = "[package]\nlicense.workspace = true\n[lints]\nworkspace = true\n";
    let with = |more: &str| format!("{sound}{more}");
    free(
        stage,
        "libs/planted/Cargo.toml",
        &with("[dependencies]\nsluice-domain.workspace = true"),
        manifests::check,
    );
    for (path, text, word) in [
        ("libs/planted/Cargo.toml", with("[dependencies]\nsluice-registry.workspace = true"), "libs never"),
        (
            "libs/planted/Cargo.toml",
            with("[dev-dependencies]\nx = { package = \"sluice-registry\", path = \"\" }"),
            "libs never",
        ),
        (
            "services/registry/Cargo.toml",
            with("[dependencies]\nsluice-evaluator.workspace = true"),
            "each other",
        ),
        (
            "services/evaluator/Cargo.toml",
            with("[target.'cfg(unix)'.dependencies]\nsluice-dispatcher.workspace = true"),
            "each other",
        ),
        (
            "services/dispatcher/Cargo.toml",
            with("[build-dependencies]\nsluice.workspace = true"),
            "each other",
        ),
        (
            "services/dispatcher/Cargo.toml",
            with("[dependencies]\nhttp = { package = \"reqwest\", version = \"1\" }"),
            "reqwest",
        ),
        (
            "services/dispatcher/Cargo.toml",
            with("[dependencies]\nsluice-testkit.workspace = true"),
            "dev-dependencies",
        ),
        ("libs/planted/Cargo.toml", "[package]\nlicense.workspace = true\n".to_owned(), "lints"),
        (
            "libs/planted/Cargo.toml",
            "[lints]\nworkspace = true\n[package]\nlicense = \"MIT\"\n".to_owned(),
            "license",
        ),
        ("Cargo.toml", "[workspace.lints.rust]\nunsafe_code = \"deny\"\n".to_owned(), "unsafe"),
    ] {
        caught(stage, path, &text, manifests::check, word);
    }
}
