//! The commands under `sluice event`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::words;

/// What can be done with an event.
#[derive(Debug, Subcommand)]
pub enum Event {
    /// Tell that a record was added, updated or deleted, and print what that set off.
    Send(EventFields),
    /// Say whether it would set an automation off, why, and what would be sent. Nothing is sent or kept.
    Explain(EventExplain),
}

/// Flags of `sluice event explain`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("asked").required(true).args(["automation", "draft"]))]
pub struct EventExplain {
    /// The automation that is asked about: an id, a resource name or the exact name.
    pub automation: Option<String>,
    /// A draft in its place: a file as `sluice automation create` takes it. It is not kept.
    #[arg(long, value_name = "FILE")]
    pub draft: Option<PathBuf>,
    /// The event.
    #[command(flatten)]
    pub event: EventFields,
}

/// What an event is made of. A flag weighs more than the file.
#[derive(Debug, Args)]
pub struct EventFields {
    /// The event as protobuf's JSON (sluice.event.v1.Event; - reads standard input); `current` and `previous` may be written as
    /// the JSON objects they are.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The event's id: sent again under it, it has its effect once [default: one is made; sending prints it].
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// The kind of record: deal, person, …
    #[arg(long, value_name = "OBJECT", required_unless_present = "file")]
    pub object: Option<String>,
    /// What was done to it: added, updated or deleted.
    #[arg(long, value_name = "ACTION", value_parser = words::action, required_unless_present = "file")]
    pub action: Option<i32>,
    /// The record's id.
    #[arg(long, value_name = "ID", required_unless_present = "file")]
    pub record_id: Option<String>,
    /// The record as it is now, a JSON object.
    #[arg(long, value_name = "JSON")]
    pub current: Option<String>,
    /// The record as it was, a JSON object.
    #[arg(long, value_name = "JSON")]
    pub previous: Option<String>,
    /// `previous` holds only what changed.
    #[arg(long)]
    pub previous_partial: bool,
    /// The user who did it.
    #[arg(long, value_name = "USER")]
    pub actor: Option<String>,
    /// The execution that brought it about (ex_…).
    #[arg(long, value_name = "EXECUTION")]
    pub cause: Option<String>,
    /// A user who may see the record, * for everybody in the account. May be repeated.
    #[arg(long, value_name = "USER")]
    pub visible_to: Vec<String>,
    /// An import: nothing fires.
    #[arg(long)]
    pub suppress: bool,
}
