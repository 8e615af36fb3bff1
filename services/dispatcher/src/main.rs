//! `sluice-dispatcher`: the dispatcher as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    sluice_dispatcher::service::process::run()
}
