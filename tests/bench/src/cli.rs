//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures Sluice beside what it is compared with.
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// From the producer's call to the receiver's answer.
    E2e(E2e),
    /// The receiver of a run; ends when its standard input closes.
    #[command(hide = true)]
    Receiver,
    /// The suite of a run; ends when its standard input closes.
    #[command(hide = true)]
    Suite,
    /// Bare reqwest; reads what to do from its standard input.
    #[command(hide = true)]
    Ceiling,
}

/// Where the suite keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// How events are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Mode {
    /// One by one.
    Unary,
    /// Sixteen at a time.
    Batch16,
    /// Two hundred and fifty-six at a time.
    Batch256,
}

impl Mode {
    /// As the figures call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::Batch16 => "batch16",
            Self::Batch256 => "batch256",
        }
    }

    /// Calls under way at once: enough to keep the suite busy.
    pub(crate) const fn calls(self) -> usize {
        match self {
            Self::Unary => 256,
            Self::Batch16 => 64,
            Self::Batch256 => 16,
        }
    }

    /// Events in a call.
    pub(crate) const fn size(self) -> usize {
        match self {
            Self::Unary => 1,
            Self::Batch16 => 16,
            Self::Batch256 => 256,
        }
    }
}

/// Flags of `bench e2e`.
#[derive(Debug, Args)]
pub(crate) struct E2e {
    /// Where the suite keeps its data.
    #[arg(long, value_enum, default_value = "sqlite")]
    pub(crate) backend: Backend,
    /// How many accounts share the events; each number is measured.
    #[arg(long, value_delimiter = ',', default_value = "1,1000")]
    pub(crate) accounts: Vec<usize>,
    /// How events are sent; each way is measured.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "unary,batch16,batch256")]
    pub(crate) modes: Vec<Mode>,
    /// Events of one run.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) events: usize,
    /// How often ceiling and suite are run in turn; medians are shown.
    #[arg(long, default_value_t = 5)]
    pub(crate) pairs: usize,
    /// Calls under way at once; by default 256 with one event, 64 with 16, 16 with 256.
    #[arg(long)]
    pub(crate) calls: Option<usize>,
    /// How long latency is measured at each load.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    pub(crate) latency_seconds: u64,
    /// One JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}
