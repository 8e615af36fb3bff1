//! The commands under `sluice automation`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::words;

/// What can be done to an automation. AUTOMATION is an id (`au_…`), a resource name or its exact name.
#[derive(Debug, Subcommand)]
pub enum Automation {
    /// Create one from a file, inactive.
    Create(AutomationCreate),
    /// Show one.
    Get {
        /// An id, a resource name or the exact name.
        automation: String,
    },
    /// List an account's, oldest first.
    List(AutomationList),
    /// Change the fields that a file names.
    Update(AutomationUpdate),
    /// Delete one; its unfinished executions that are not being dialled are stopped.
    Delete {
        /// An id, a resource name or the exact name.
        automation: String,
    },
    /// Let one fire from now on.
    Activate {
        /// An id, a resource name or the exact name.
        automation: String,
    },
    /// Keep one from firing; its unfinished executions that are not being dialled are stopped.
    Deactivate {
        /// An id, a resource name or the exact name.
        automation: String,
    },
}

/// Flags of `sluice automation create`.
#[derive(Debug, Args)]
pub struct AutomationCreate {
    /// The automation as protobuf's JSON (sluice.evaluator.v1.Automation; - reads standard input). Where it names a webhook, an id
    /// or an exact name will do.
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
    /// Let it fire at once.
    #[arg(long)]
    pub activate: bool,
    /// Makes the same command answer as before when it is repeated within a day.
    #[arg(long, value_name = "ID")]
    pub request_id: Option<String>,
}

/// Flags of `sluice automation list`.
#[derive(Debug, Args)]
pub struct AutomationList {
    /// Only in this state: active or inactive.
    #[arg(long, value_name = "STATE", value_parser = words::automation_state)]
    pub state: Option<i32>,
    /// Only those that name this webhook: an id, a resource name or the exact name.
    #[arg(long, value_name = "WEBHOOK")]
    pub webhook: Option<String>,
    /// At most so many; 0 means all.
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    pub limit: usize,
}

/// Flags of `sluice automation update`.
#[derive(Debug, Args)]
pub struct AutomationUpdate {
    /// An id, a resource name or the exact name [default: the `name` in the file].
    pub automation: Option<String>,
    /// What to change, as protobuf's JSON (- reads standard input): displayName, trigger, condition, steps, missing. What is not
    /// named stays; null takes it away. With an `etag`, refused if somebody else changed it since.
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
}
