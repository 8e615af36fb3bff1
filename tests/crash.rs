//! Sluice under the axe: killed at any moment and at every named place, its database falling, its disk full; and what it has promised
//! by then, from the three ledgers of tests/src/ledgers.rs. Each test name is what is claimed; each prints its figures.
//!
//! The binaries are those beside this suite in the target directory, as for tests/processes.rs.
//!
//!   SLUICE_TEST_SIZE   `full` for the sizes of reliability.md
//!   SLUICE_TEST_SEED   a number, to have the kills of a run that printed it
//!   SLUICE_TEST_POINT  how the names of the places begin at which a process is killed, instead of all

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail"
)]

mod crash {
    mod failpoints;
    mod full;
    mod kills;
    mod points;
    mod synced;
    mod town;
}
