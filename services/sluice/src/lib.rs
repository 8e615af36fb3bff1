//! The `sluice` binary as a library: registry, evaluator and dispatcher in one process, and the commands.
//!
//! Who is here:
//! - [`cli`]: the command line;
//! - [`client`]: what the commands that call a server share;
//! - [`commands`]: what each command does;
//! - [`data_directory`]: the database files and the keys of a suite, made on its first start;
//! - [`settings`]: what a suite is set up with, from a file, the environment and flags;
//! - [`suite`]: the three services in one process, as `up`, `demo` and the suites in `tests/` run them;
//! - [`demo`]: the whole path shown on real HTTP, counted from what others saw.

pub mod cli;
pub mod client;
pub mod commands;
pub mod data_directory;
pub mod demo;
pub mod settings;
pub mod suite;
