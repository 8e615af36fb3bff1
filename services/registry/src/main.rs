//! `sluice-registry`: who may send what, and where to?

use std::process::ExitCode;

fn main() -> ExitCode {
    sluice_registry::service::process::run()
}
