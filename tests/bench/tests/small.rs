//! The bench itself, as small as it goes: that it works on both backends, counts right, and shows every figure it promises. What
//! the figures are is nobody's matter here.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test has no better use for an error than to fail")]

use std::process::Command;

use serde_json::Value;

fn measured(backend: &str) -> Value {
    let small = ["--accounts", "1,3", "--events", "300", "--pairs", "1", "--latency-seconds", "1"];
    let run = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["e2e", "--json", "--backend", backend])
        .args(small)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    serde_json::from_slice(&run.stdout).unwrap()
}

fn number(figures: &Value, path: &str) -> f64 {
    let found = figures.pointer(path).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("no number at {path} in {figures}"))
}

fn shows_everything(figures: &Value, durability: &str) {
    assert_eq!(figures["durability"].as_str(), Some(durability));
    assert!(number(figures, "/ceiling_per_s") > 0.0);
    for accounts in ["1", "3"] {
        for mode in ["unary", "batch16", "batch256"] {
            let at = |figure: &str| number(figures, &format!("/accounts/{accounts}/{mode}/{figure}"));
            let positive = ["accepted_per_s", "delivered_per_s", "ratio", "memory_mib", "verified"];
            assert!(positive.iter().all(|figure| at(figure) > 0.0), "{figures}");
            assert_eq!((at("duplicates"), at("lost")), (0.0, 0.0), "{figures}");
            for part in ["client", "suite", "receiver", "database"] {
                assert!(at(&format!("cpu_s_per_1000/{part}")) >= 0.0);
            }
            assert!(at("db_bytes_per_1000") >= 0.0);
        }
        for load in ["low", "half"] {
            let at = |figure: &str| number(figures, &format!("/accounts/{accounts}/latency/{load}/{figure}"));
            assert!(at("p50_ms") > 0.0 && at("p50_ms") <= at("p99_ms"), "{figures}");
        }
    }
}

#[test]
fn on_sqlite_nothing_is_lost_and_every_figure_is_there() {
    shows_everything(&measured("sqlite"), "sqlite: journal_mode=wal synchronous=FULL");
}

#[test]
fn on_postgres_nothing_is_lost_and_every_figure_is_there() {
    shows_everything(&measured("postgres"), "postgres: fsync=on synchronous_commit=on full_page_writes=on");
}
