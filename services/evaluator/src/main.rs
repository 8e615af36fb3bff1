//! `sluice-evaluator`: does this event set something off?

use std::process::ExitCode;

fn main() -> ExitCode {
    sluice_evaluator::service::process::run()
}
