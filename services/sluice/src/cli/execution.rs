//! The commands under `sluice execution`.

use clap::{ArgGroup, Args, Subcommand};

use super::words;

/// What can be done to an execution. EXECUTION is an id (`ex_…`) or a resource name.
#[derive(Debug, Subcommand)]
pub enum Execution {
    /// List an account's, newest first.
    List(ExecutionList),
    /// Follow what happens to an account's, until interrupted.
    Watch(ExecutionWatch),
    /// Show the whole history of one: requests, attempts, answers.
    Get {
        /// An id or a resource name.
        execution: String,
    },
    /// End one that is not finished, or with --all every one that the filters let through.
    Cancel(ExecutionChoice),
    /// Open a failed or cancelled one again, or with --all every one that the filters let through; the failed ones, without --state.
    Retry(ExecutionChoice),
}

/// Which executions are meant. Filters must all hold.
#[derive(Debug, Args)]
#[group(multiple = true)]
pub struct ExecutionFilter {
    /// In this state: queued, running, waiting, paused, succeeded, failed, stopped or cancelled.
    #[arg(long, value_name = "STATE", value_parser = words::execution_state)]
    pub state: Option<i32>,
    /// Of this automation: an id, a resource name or the exact name.
    #[arg(long, value_name = "AUTOMATION")]
    pub automation: Option<String>,
    /// With a request to this webhook: an id, a resource name or the exact name.
    #[arg(long, value_name = "WEBHOOK")]
    pub webhook: Option<String>,
    /// Of this trace: its 32 hexadecimal digits.
    #[arg(long, value_name = "TRACE")]
    pub trace_id: Option<String>,
    /// Set off by an event of this record: its id, or the kind of record and the id (`deal/4711`).
    #[arg(long, value_name = "RECORD", value_parser = words::record)]
    pub record: Option<words::Record>,
    /// Ended for this reason, such as retries_exhausted or forbidden.
    #[arg(long, value_name = "REASON", value_parser = words::end_reason)]
    pub end_reason: Option<i32>,
    /// Held back for this reason, such as quota or webhook_disabled.
    #[arg(long, value_name = "REASON", value_parser = words::pause_reason)]
    pub pause_reason: Option<i32>,
    /// Accepted from then on: an instant (2026-11-24T08:00:00Z) or how long ago (24h).
    #[arg(long, value_name = "WHEN", value_parser = words::when)]
    pub accepted_from: Option<words::When>,
    /// Accepted before then.
    #[arg(long, value_name = "WHEN", value_parser = words::when)]
    pub accepted_until: Option<words::When>,
    /// Ended from then on.
    #[arg(long, value_name = "WHEN", value_parser = words::when)]
    pub ended_from: Option<words::When>,
    /// Ended before then.
    #[arg(long, value_name = "WHEN", value_parser = words::when)]
    pub ended_until: Option<words::When>,
}

/// One execution, or all that some filters let through.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").args(["execution", "all"]).required(true))]
pub struct ExecutionChoice {
    /// An id or a resource name.
    #[arg(conflicts_with = "ExecutionFilter")]
    pub execution: Option<String>,
    /// All that the filters let through; without any, all that it can be done to.
    #[arg(long)]
    pub all: bool,
    /// Which, with --all.
    #[command(flatten)]
    pub filter: ExecutionFilter,
    /// With --all, go on where an earlier run ended: the token that it printed.
    #[arg(long, value_name = "TOKEN", requires = "all")]
    pub page_token: Option<String>,
}

/// Flags of `sluice execution list`.
#[derive(Debug, Args)]
pub struct ExecutionList {
    /// Which.
    #[command(flatten)]
    pub filter: ExecutionFilter,
    /// At most so many; 0 means all.
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    pub limit: usize,
}

/// Flags of `sluice execution watch`.
#[derive(Debug, Args)]
pub struct ExecutionWatch {
    /// Begin with the oldest change that is kept, instead of with what happens from now on.
    #[arg(long, conflicts_with = "cursor")]
    pub oldest: bool,
    /// Go on behind this answer: its `cursor`, as --json prints it.
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
    /// End after so many lines; 0 means to go on until interrupted.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub limit: usize,
}
